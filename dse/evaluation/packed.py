"""What the tiles of each stage hold, read from the slices of a packed mapping."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping as MappingABC
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dse.mapping.model import Mapping
from dse.mapping.tile_contents import contents
from dse.spec.model import Model
from dse.workload.blocks import BlockKind, make_blocks
from dse.workload.build import Workload
from dse.workload.routing import visits_per_token


@dataclass(frozen=True, slots=True, eq=False)
class PackedTiles:
    """Different tiles of one analog group in one stage of one layer, in the order of the tiles."""

    blocks: tuple[str, ...]
    """Names of the blocks."""
    held: NDArray[np.int64]
    """(S, N): slices of each block on the tile; tiles that hold the same are listed once."""
    n_slices: int
    """Slices of all blocks."""

    @property
    def signature(self) -> tuple[tuple[int, ...], bytes]:
        """What two layers must share to have the same loads."""
        return self.held.shape, self.held.tobytes()


def packed_stages(
    workload: Workload, mapping: Mapping, stage_of: MappingABC[BlockKind, str]
) -> MappingABC[int | None, MappingABC[tuple[str, str], PackedTiles]]:
    """Layer → stage and analog group → its tiles; empty where the mapping has no slices."""
    if mapping.slices is None or mapping.slices.empty:
        return {}
    return stages_of_slices(workload.model, mapping, tuple(stage_of.items()))


@lru_cache(maxsize=2)
def stages_of_slices(
    model: Model, mapping: Mapping, stage_of: tuple[tuple[BlockKind, str], ...]
) -> MappingABC[int | None, MappingABC[tuple[str, str], PackedTiles]]:
    """The same for a packed mapping; the steps of a run share it."""
    slices, stages = mapping.slices, dict(stage_of)
    assert slices is not None
    blocks = {block.name: block for block in make_blocks(model) if block.kind in stages}
    code, names = pd.factorize(slices["block"])
    group, groups = pd.factorize(slices["group"])
    cells = {n: (b.layer, stages[b.kind]) for n, name in enumerate(names) if (b := blocks.get(name)) is not None}
    number = {cell: n for n, cell in enumerate(dict.fromkeys(cells.values()))}
    cell_of = np.full(len(names), -1)
    cell_of[list(cells)] = [number[cell] for cell in cells.values()]
    key = np.where(cell_of[code] < 0, -1, cell_of[code] * len(groups) + group)
    place = places(slices)
    order = np.argsort(key, kind="stable")
    found: dict[int | None, dict[tuple[str, str], PackedTiles]] = defaultdict(dict)
    for own in np.split(order, np.flatnonzero(np.diff(key[order])) + 1):
        if key[own[0]] >= 0:
            layer, stage = cells[int(code[own[0]])]
            position, held = pd.factorize(code[own])
            tiles = PackedTiles(tuple(names[held].tolist()), contents(place[own], position, len(held)), len(own))
            found[layer][stage, str(groups[group[own[0]]])] = tiles
    return dict(found)


def places(slices: pd.DataFrame) -> NDArray[np.int64]:
    """One number for die and tile of every slice."""
    return np.asarray((slices["die"].to_numpy(np.int64) << 24) + slices["tile"].to_numpy(np.int64))


@dataclass(frozen=True, slots=True, eq=False)
class PackedVisits:
    """What the tiles of one analog group do in all layers together."""

    per_token: MappingABC[int, NDArray[np.float64]]
    """Block class → visits per token of its slices on each tile in use."""
    n_slices: MappingABC[int, int]
    """Block class → slices."""


def packed_visits(workload: Workload, mapping: Mapping) -> dict[str, PackedVisits]:
    """Analog group → visits of its tiles; empty where the mapping has no slices."""
    slices = mapping.slices
    if slices is None or slices.empty:
        return {}
    class_of = {id(block_class): index for index, block_class in enumerate(workload.classes)}
    of_block = {b.name: class_of[id(b.block_class)] for b in workload.blocks}
    visits = dict(zip([b.name for b in workload.blocks], visits_per_token(workload).tolist(), strict=True))
    code, names = pd.factorize(slices["block"])
    block_class = np.array([of_block.get(name, -1) for name in names])[code]
    load = np.array([visits.get(name, 0.0) for name in names])[code]
    place = places(slices)
    found = {}
    for group in slices["group"].unique():
        own = np.flatnonzero((slices["group"] == group).to_numpy() & (block_class >= 0))
        tile, tiles = pd.factorize(place[own])
        kinds = np.unique(block_class[own]).tolist()
        at = {kind: block_class[own] == kind for kind in kinds}
        found[str(group)] = PackedVisits(
            {kind: np.bincount(tile[at[kind]], load[own][at[kind]], len(tiles)).astype(np.float64) for kind in kinds},
            {kind: int(at[kind].sum()) for kind in kinds},
        )
    return found
