"""Busy time of the busiest tile of every analog group in a stage: one tier of a tile works at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dse.cost.option import OptionCost
from dse.cost.table import CostTable
from dse.evaluation.packed import PackedTiles
from dse.evaluation.profile import Entry
from dse.spec.architecture import AnalogCore, Architecture
from dse.units import Quantity
from dse.workload.batch import LayerRouting
from dse.workload.build import Workload
from dse.workload.busiest import Busiest, TileContents

# P design points, N blocks of a group in a stage

Array = NDArray[np.float64]
TINY = 1e-300
"""Weight of blocks that no token visits."""


class TileLoad(NamedTuple):
    """Time that the busiest tile works in one stage of one layer, (P,) [ns]."""

    mean: Array
    std: Array
    """Standard deviation from step to step, because tokens choose at random."""
    rest_ns: Array
    """Time of a block's products in a row beyond those on its fullest tile, mean over visits (``rest_of_chain_ns``)."""


def tile_loads(
    arch: Architecture,
    workload: Workload,
    costs: CostTable,
    entries: Sequence[Entry],
    *,
    packed: Mapping[str, PackedTiles],
    tokens: Array,
) -> dict[str, TileLoad]:
    """Load of the busiest tile of each analog group in a stage.

    Tiles hold what the mapping's slices say where they are given for this design, else slices in the order of
    execution, one per tile, round the tiles again when all have one.
    """
    loads: dict[str, TileLoad] = {}
    for core in arch.analog_cores:
        own = [e for e in entries if costs.options[e.option_index].group == core.name]
        if not own:
            continue
        numbers = [arch.n_tiles(core), *(costs.of(*e.at).units for e in own)]
        n_tiles, *per_block = (np.broadcast_to(np.asarray(n, np.float64), tokens.shape) for n in numbers)
        slices = reduce(np.add, [e.n_blocks * units for e, units in zip(own, numbers[1:], strict=True)])
        latency = reduce(np.maximum, [mean_product_ns(arch, core, costs.of(*e.at)) for e in own])
        tiles = packed.get(core.name)
        visited = [float(e.visits_per_token.sum()) or TINY for e in own]
        rests = [rest_of_chain_ns(arch, core, costs, e, placed=slices, packed=tiles) for e in own]
        rest = np.asarray(sum(v / sum(visited) * r for v, r in zip(visited, rests, strict=True)))
        if any(e.routing is not None for e in own):
            shared = np.asarray(slices > n_tiles) | (core.name in packed)
            columns = [np.where(shared, c, 0.0) for c in (n_tiles, *per_block)] if shared.any() else []
            at, inverse = distinct([tokens, *columns])
            found = np.array(routed_loads(own, [u[at] for u in per_block], n_tiles[at], tokens[at], tiles))
            loads[core.name] = TileLoad(found[inverse, 0] * latency, found[inverse, 1] * latency, rest)
        else:
            visits = np.maximum.reduce([np.asarray(e.visits(workload), np.float64) / e.n_blocks for e in own])
            per_tile = np.ceil(slices / n_tiles)
            if tiles is not None:
                per_tile = np.where(slices == tiles.n_slices, float(tiles.held.sum(axis=1).max()), per_tile)
            loads[core.name] = TileLoad(visits * per_tile * latency, np.zeros(tokens.shape), rest)
    return loads


def mean_product_ns(arch: Architecture, core: AnalogCore, cost: OptionCost) -> Quantity:
    """Mean time of one product of a block over its slices [ns]."""
    return cost.compute_ns_per_visit * arch.n_tiles(core) / cost.units


def rest_of_chain_ns(
    arch: Architecture,
    core: AnalogCore,
    costs: CostTable,
    entry: Entry,
    *,
    placed: Quantity,
    packed: PackedTiles | None,
) -> Array:
    """Time of a block's products in a row beyond those on its fullest tile, mean over visits, (P,) [ns].

    ``(Σ_depth max_tile g − max_tile Σ_depth g) T`` with g slices of the block at a depth on a tile and products of T.

    Args:
        arch: architecture.
        core: analog group.
        costs: unit costs.
        entry: blocks of the group in the stage.
        placed: slices of all blocks of the group in the stage, (P,).
        packed: what the mapping's slices put on the tiles, used where it holds as many slices.
    """
    cost, n_tiles = costs.of(*entry.at), arch.n_tiles(core)
    block_class, copies = costs.classes[entry.class_index], costs.options[entry.option_index].copies
    in_a_row: Quantity = 0.0
    for depth in range(block_class.path_length):
        own = sum(m.n_slices(rows=core.rows, cols=core.cols) for m in block_class.matrices if m.depth == depth)
        in_a_row = in_a_row + np.ceil(copies * own / n_tiles)
    rest = in_a_row - np.ceil(cost.units / n_tiles)
    if packed is not None and set(entry.names) <= set(packed.blocks):
        of_blocks = packed.rest[[packed.blocks.index(name) for name in entry.names]]
        of_visit = np.average(of_blocks, weights=entry.visits_per_token + TINY)
        rest = np.where(placed == packed.n_slices, of_visit, rest)
    return np.asarray(rest * mean_product_ns(arch, core, cost))


def distinct(columns: Sequence[Array]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """A position of each different row of some columns, and for every row which of them it equals."""
    varying = [column for column in columns if np.ptp(column) > 0] or [columns[0]]
    code, _ = pd.factorize(varying[0])
    for column in varying[1:]:
        inverse, values = pd.factorize(column)
        code, _ = pd.factorize(code * len(values) + inverse)
    first = np.empty(code.max() + 1, dtype=np.int64)
    first[code[::-1]] = np.arange(len(code))[::-1]
    return first, code


def routed_loads(
    own: Sequence[Entry], slices_per_block: Sequence[Array], n_tiles: Array, tokens: Array, packed: PackedTiles | None
) -> list[Busiest]:
    """Products of the busiest tile in a stage with routed experts, for some design points."""
    routing = next(e.routing for e in own if e.routing is not None)
    contents: dict[tuple[float, ...], TileContents] = {}
    loads = []
    for point in range(len(tokens)):
        shape = (float(n_tiles[point]), *(float(s[point]) for s in slices_per_block))
        if shape not in contents:
            contents[shape] = tile_contents(routing, own, shape[1:], round(shape[0]), packed)
        loads.append(routing.busiest(float(tokens[point]), contents[shape]))
    return loads


def tile_contents(
    routing: LayerRouting,
    own: Sequence[Entry],
    slices_per_block: Sequence[float],
    n_tiles: int,
    packed: PackedTiles | None,
) -> TileContents:
    """What the tiles hold: by the mapping's slices where they fit, else one slice per tile, round the tiles."""
    names = [name for e in own for name in e.names]
    expert = np.concatenate([e.experts if e.routing is not None else np.full(e.n_blocks, -1) for e in own])
    per_block = np.repeat([round(s) for s in slices_per_block], [e.n_blocks for e in own])
    if packed is not None and packed.n_slices == per_block.sum() and set(names) == set(packed.blocks):
        held = packed.held[:, [packed.blocks.index(name) for name in names]]
    elif per_block.sum() <= n_tiles:
        held = np.eye(len(names), dtype=np.int64)
    else:
        held = round_robin(per_block, n_tiles)
    by_expert = np.zeros((len(held), len(routing.visits)), dtype=np.int64)
    by_expert[:, expert[expert >= 0]] = held[:, expert >= 0]
    return TileContents(by_expert, held[:, expert < 0].sum(axis=1))


def round_robin(slices_per_block: NDArray[np.int64], n_tiles: int) -> NDArray[np.int64]:
    """(S, N): what different tiles hold when slices go to tile 0, 1, 2 … and round again.

    >>> round_robin(np.array([2, 2]), 3).tolist()
    [[1, 1], [1, 0], [0, 1]]
    """
    ends = np.cumsum(slices_per_block)
    starts = np.unique(np.concatenate([[0], ends % n_tiles]))
    slots = starts[:, None] + n_tiles * np.arange(-(-int(ends[-1]) // n_tiles))
    block = np.searchsorted(ends, slots, side="right")
    held = np.zeros((len(starts), len(ends) + 1), dtype=np.int64)
    np.add.at(held, (np.arange(len(starts))[:, None], block), 1)
    return held[:, :-1]
