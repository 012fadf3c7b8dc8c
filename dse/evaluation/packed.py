"""What the tiles of each stage hold, read from the slices of a packed mapping."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping as MappingABC
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dse.mapping.model import Mapping
from dse.workload.blocks import BlockKind
from dse.workload.build import Workload


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
) -> dict[int | None, dict[tuple[str, str], PackedTiles]]:
    """Layer → stage and analog group → its tiles; empty where the mapping has no slices."""
    slices = mapping.slices
    if slices is None or slices.empty:
        return {}
    blocks = {block.name: block for block in workload.blocks}
    found: dict[int | None, dict[tuple[str, str], PackedTiles]] = defaultdict(dict)
    place = (slices["die"].to_numpy(np.int64) << 32) + slices["tile"].to_numpy(np.int64)
    known = slices["block"].isin(blocks.keys()).to_numpy()
    stage = slices["block"].map({name: stage_of[b.kind] for name, b in blocks.items() if b.kind in stage_of})
    layer = slices["block"].map({name: -1 if b.layer is None else b.layer for name, b in blocks.items()})
    keys = pd.MultiIndex.from_arrays([layer[known], stage[known], slices["group"][known]])
    of_row, cells = pd.factorize(keys)
    order = np.flatnonzero(known)[np.argsort(of_row, kind="stable")]
    ends = np.cumsum(np.bincount(of_row, minlength=len(cells)))[:-1]
    for (number, name, group), own in zip(cells.tolist(), np.split(order, ends), strict=True):
        codes, names = pd.factorize(slices["block"].to_numpy()[own])
        tiles = PackedTiles(tuple(names.tolist()), contents(place[own], codes, len(names)), len(own))
        found[None if number < 0 else int(number)][str(name), str(group)] = tiles
    return dict(found)


def contents(place: NDArray[np.int64], block: NDArray[np.int64], n_blocks: int) -> NDArray[np.int64]:
    """(S, N): slices of each block on each different tile."""
    cells, counts = np.unique(np.stack([place, block], axis=1), axis=0, return_counts=True)
    tiles, first = np.unique(cells[:, 0], return_index=True)
    if len(tiles) == len(cells) and counts.max() == 1:
        return np.eye(n_blocks, dtype=np.int64)
    different: dict[tuple[tuple[int, int], ...], None] = {}
    for start, end in zip(first, [*first[1:], len(cells)], strict=True):
        different[tuple(zip(cells[start:end, 1].tolist(), counts[start:end].tolist(), strict=True))] = None
    held = np.zeros((len(different), n_blocks), dtype=np.int64)
    for row, pairs in enumerate(different):
        for column, count in pairs:
            held[row, column] = count
    return held
