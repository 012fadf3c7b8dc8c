"""What the tiles of each stage hold, read from the slices of a packed mapping."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping as MappingABC
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dse.mapping.model import Mapping
from dse.mapping.tile_contents import contents
from dse.spec.model import Model
from dse.workload.blocks import BlockClass, BlockKind, class_numbers, make_blocks
from dse.workload.build import Workload
from dse.workload.routing import visits_by_block

TILE_BITS: Final = 24
"""Bits of the number of a tile within its die."""


@dataclass(frozen=True, slots=True, eq=False)
class PackedTiles:
    """Different tiles of one analog group in one stage of one layer, in the order of the tiles."""

    blocks: tuple[str, ...]
    """Names of the blocks."""
    held: NDArray[np.int64]
    """(S, N): slices of each block on the tile; tiles that hold the same are listed once."""
    n_slices: int
    """Slices of all blocks."""
    rest: NDArray[np.int64]
    """(N,): products of one visit of each block in a row, beyond those on its fullest tile (``rest_of_chain``)."""
    on_dies: NDArray[np.float64]
    """(D, N): share of each block's slices on each die that holds some of the stage."""

    @property
    def signature(self) -> tuple[tuple[int, ...], bytes, bytes, bytes]:
        """What two layers must share to have the same loads, waits and traffic; dies are told by what they hold."""
        dies = self.on_dies[np.lexsort(self.on_dies.T)]
        return self.held.shape, self.held.tobytes(), self.rest.tobytes(), dies.tobytes()


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
    depth = depths(slices["matrix"], [blocks[name].block_class if name in blocks else None for name in names], code)
    cells = {n: (b.layer, stages[b.kind]) for n, name in enumerate(names) if (b := blocks.get(name)) is not None}
    number = {cell: n for n, cell in enumerate(dict.fromkeys(cells.values()))}
    cell_of = np.full(len(names), -1)
    cell_of[list(cells)] = [number[cell] for cell in cells.values()]
    key = np.where(cell_of[code] < 0, -1, cell_of[code] * len(groups) + group)
    place, die = places(slices), slices["die"].to_numpy(np.int64)
    order = np.argsort(key, kind="stable")
    found: dict[int | None, dict[tuple[str, str], PackedTiles]] = defaultdict(dict)
    for own in np.split(order, np.flatnonzero(np.diff(key[order])) + 1):
        if key[own[0]] >= 0:
            layer, stage = cells[int(code[own[0]])]
            position, held = pd.factorize(code[own])
            tiles = PackedTiles(
                tuple(names[held].tolist()),
                contents(place[own], position, len(held)),
                len(own),
                rest_of_chain(place[own], position, depth[own]),
                on_dies(die[own], position),
            )
            found[layer][stage, str(groups[group[own[0]]])] = tiles
    return dict(found)


def on_dies(die: NDArray[np.int64], block: NDArray[np.int64]) -> NDArray[np.float64]:
    """(D, N): share of each block's slices on each die that holds some, in the order of the dies.

    >>> on_dies(np.array([3, 3, 5, 5]), np.array([0, 0, 0, 1])).round(2).tolist()
    [[0.67, 0.0], [0.33, 1.0]]
    """
    row = np.unique(die, return_inverse=True)[1]
    counts = np.zeros((row.max() + 1, block.max() + 1))
    np.add.at(counts, (row, block), 1.0)
    return np.asarray(counts / counts.sum(axis=0))


def depths(matrix: pd.Series, classes: Sequence[BlockClass | None], block: NDArray[np.int64]) -> NDArray[np.int64]:
    """(S,): depth of the matrix of each slice.

    Args:
        matrix: its name.
        classes: class of every block; None where the model has no such block.
        block: position of its block.
    """
    code, names = pd.factorize(matrix)
    different = {id(block_class): block_class for block_class in classes}
    rows = {identity: row for row, identity in enumerate(different)}
    table = np.zeros((len(different), len(names)), dtype=np.int64)
    for row, block_class in enumerate(different.values()):
        own = {m.name: m.depth for m in block_class.matrices} if block_class else {}
        table[row] = [own.get(str(name), 0) for name in names]
    return np.asarray(table[np.array([rows[id(block_class)] for block_class in classes])[block], code])


def rest_of_chain(place: NDArray[np.int64], block: NDArray[np.int64], depth: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N,): products of one visit of each block in a row, beyond those on its fullest tile.

    ``Σ_depth max_tile g − max_tile Σ_depth g`` with g slices of the block at a depth on a tile: alone on its tiles, a
    block takes the first sum, of which its fullest tile works the second.

    >>> rest_of_chain(np.array([0, 0, 0, 1]), np.array([0, 0, 0, 0]), np.array([0, 0, 1, 1])).tolist()
    [0]
    >>> rest_of_chain(np.array([0, 1, 2]), np.array([0, 0, 0]), np.array([0, 0, 1])).tolist()
    [1]

    Args:
        place: (S,) tile of every slice, as any number.
        block: (S,) its block, 0 … N − 1.
        depth: (S,) depth of its matrix.
    """
    n_blocks, n_depths = int(block.max()) + 1, int(depth.max()) + 1
    tile, tiles = pd.factorize(place)

    def fullest(of: NDArray[np.int64], count: int) -> NDArray[np.int64]:
        cells, slices = np.unique(of * len(tiles) + tile, return_counts=True)
        largest = np.zeros(count, dtype=np.int64)
        np.maximum.at(largest, cells // len(tiles), slices)
        return largest

    in_a_row = fullest(block * n_depths + depth, n_blocks * n_depths).reshape(n_blocks, n_depths).sum(axis=1)
    return np.asarray(in_a_row - fullest(block, n_blocks))


def places(slices: pd.DataFrame) -> NDArray[np.int64]:
    """One number for die and tile of every slice."""
    return np.asarray((slices["die"].to_numpy(np.int64) << TILE_BITS) + slices["tile"].to_numpy(np.int64))


@dataclass(frozen=True, slots=True, eq=False)
class PackedVisits:
    """What the tiles of one analog group do in all layers together."""

    per_token: MappingABC[int, NDArray[np.float64]]
    """Block class → visits per token of its slices on each tile in use."""
    in_one_stage: MappingABC[tuple[int, int], NDArray[np.float64]]
    """Two block classes → Σ over stages of the product of their visits per token, on each tile in use."""
    n_slices: MappingABC[int, int]
    """Block class → slices."""
    busiest_die_fraction: float
    """Share of all visits of slices that falls on the busiest die."""


def packed_visits(
    workload: Workload, mapping: Mapping, stage_of: MappingABC[BlockKind, str]
) -> dict[str, PackedVisits]:
    """Analog group → visits of its tiles; empty where the mapping has no slices."""
    slices = mapping.slices
    if slices is None or slices.empty:
        return {}
    class_of = dict(zip([b.name for b in workload.blocks], class_numbers(workload.model), strict=True))
    visits = visits_by_block(workload)
    blocks = {b.name: b for b in workload.blocks if b.kind in stage_of}
    code, names = pd.factorize(slices["block"])
    own = [blocks.get(name) for name in names]
    block_class = np.array([-1 if b is None else class_of[b.name] for b in own])[code]
    stage, _ = pd.factorize(pd.Series([None if b is None else (b.layer, stage_of[b.kind]) for b in own], dtype=object))
    load, place = np.array([visits.get(name, 0.0) for name in names])[code], places(slices)
    found = {}
    for group in slices["group"].unique():
        at = np.flatnonzero((slices["group"] == group).to_numpy() & (block_class >= 0))
        found[str(group)] = visits_of_group(block_class[at], stage[code[at]], place[at], load[at])
    return found


def visits_of_group(
    block_class: NDArray[np.int64], stage: NDArray[np.int64], place: NDArray[np.int64], load: NDArray[np.float64]
) -> PackedVisits:
    """Visits of the tiles of one group.

    Args:
        block_class: (S,) class of every slice.
        stage: (S,) its layer and stage, as one number.
        place: (S,) its tile, as any number.
        load: (S,) its visits per token.
    """
    tile, tiles = pd.factorize(place)
    cell, cells = pd.factorize(stage * len(tiles) + tile)
    kinds = np.unique(block_class).tolist()
    of = {kind: np.bincount(cell, np.where(block_class == kind, load, 0.0), len(cells)) for kind in kinds}

    def by_tile(amounts: NDArray[Any]) -> NDArray[np.float64]:
        return np.bincount(cells % len(tiles), amounts, len(tiles)).astype(np.float64)

    return PackedVisits(
        {kind: by_tile(of[kind]) for kind in kinds},
        {
            pair: by_tile(of[pair[0]] * of[pair[1]])
            for pair in product(kinds, kinds)
            if np.any(of[pair[0]] * of[pair[1]])
        },
        {kind: int((block_class == kind).sum()) for kind in kinds},
        busiest_fraction(place >> TILE_BITS, load),
    )


def busiest_fraction(die: NDArray[np.int64], load: NDArray[np.float64]) -> float:
    """Largest share of a load that falls on one die.

    >>> busiest_fraction(np.array([0, 0, 2]), np.array([1.0, 2.0, 1.0]))
    0.75
    """
    return float(np.bincount(die, load).max() / load.sum()) if load.any() else 0.0
