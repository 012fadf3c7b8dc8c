"""Packs the slices of analog blocks into dies, tiles and tiers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping as MappingABC
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dse.errors import Cause, InfeasibleError, SpecError
from dse.mapping.instance import STAGE_OF
from dse.mapping.model import Mapping
from dse.mapping.tile_choice import all_tiles, load_bound, stage_tiles
from dse.spec.architecture import AnalogCore, Architecture
from dse.units import Quantity, at_point
from dse.workload.blocks import Block, BlockClass
from dse.workload.build import Workload
from dse.workload.routing import visits_per_token
from dse.workload.steps import all_steps

# S slices

COLUMNS = ("block", "matrix", "i", "j", "copy", "group", "die", "tile", "tier")
Array = NDArray[np.float64]
Indices = NDArray[np.int64]


class PackingError(InfeasibleError):
    """The slices of a group do not fit its tiles; ``group``, ``need`` and ``have`` [crossbars] say by how much."""

    def __init__(self, group: str, need: int, have: int, blocks: str) -> None:
        self.group, self.need, self.have = group, need, have
        fix = f"add {need - have} crossbars, or place fewer blocks there"
        super().__init__([Cause(f"capacity[{group}]", float(need), float(have), "crossbars", blocks, fix)])


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class GroupPacking:
    """How well the slices of one group are packed."""

    group: str
    busiest_visits: float
    """Mean visits of the busiest tile in a step: summed over the stages, or over all stages where they overlap."""
    bound_visits: float
    """What no packing gets below."""
    slices: int
    crossbars: int
    """Crossbars that there are."""
    tiles_used: int
    tiles: int
    dies_used: int
    dies: int
    dies_per_block: float
    """Mean number of dies that a block is spread over: each gets the inputs and sends sums."""

    @property
    def gap(self) -> float:
        """(busiest − bound) / busiest."""
        return max(0.0, self.busiest_visits - self.bound_visits) / max(self.busiest_visits, 1e-300)


def pack(mapping: Mapping, arch: Architecture, workload: Workload) -> Mapping:
    """The mapping with ``slices``, one row per slice of an analog block with its die, tile and tier, and ``packing``.

    Tiers of a tile hold slices of different layers wherever a layer has no more slices than the group has tiles; else
    the slices of a layer share tiles so that the busiest one is visited least. Copies are on different tiles.

    Raises:
        PackingError: a group has fewer crossbars than slices, or fewer tiles than a block has copies.
        SpecError: the architecture stands for several design points.
    """
    blocks = {block.name: block for block in workload.blocks}
    visits = visits_per_step(workload)
    tables, found = [], []
    for core in arch.analog_cores:
        own = {n: option.copies for n, option in mapping.placement.items() if option.group == core.name}
        if own:
            is_pipelined = arch.composition == "pipelined"
            table, packing = pack_core(
                core, arch, [blocks[n] for n in own], list(own.values()), visits, is_pipelined=is_pipelined
            )
            tables.append(table)
            found.append(packing)
    empty = pd.DataFrame(columns=list(COLUMNS))
    slices = pd.concat(tables, ignore_index=True) if tables else empty
    return dataclasses.replace(mapping, slices=slices, packing=tuple(packing_record(packing) for packing in found))


def packing_record(packing: GroupPacking) -> dict[str, str | float]:
    """A group's packing as it stands in ``mapping.json``."""
    return {**dataclasses.asdict(packing), "gap": packing.gap}


def visits_per_step(workload: Workload) -> dict[str, float]:
    """Block → mean visits in a step of the run."""
    total: dict[str, float] = dict.fromkeys((block.name for block in workload.blocks), 0.0)
    for step in all_steps(workload):
        tokens, weight = at_point(step.workload.tokens_per_step, 0), at_point(step.weight, 0)
        for block, visits in zip(step.workload.blocks, visits_per_token(step.workload).tolist(), strict=True):
            total[block.name] += weight * tokens * visits
    return total


def pack_core(
    core: AnalogCore,
    arch: Architecture,
    blocks: list[Block],
    copies: list[int],
    visits: MappingABC[str, float],
    *,
    is_pipelined: bool,
) -> tuple[pd.DataFrame, GroupPacking]:
    """Slices of one group, and how well they are packed; tiles are numbered within their die."""
    n_tiles, n_tiers, per_die = whole(arch.n_tiles(core)), whole(core.tiers_per_tile), whole(core.working_tiles_per_die)
    owner = np.repeat(np.arange(len(blocks)), copies)
    copy = np.concatenate([np.arange(n) for n in copies])
    classes = {block.block_class for block in blocks}
    names = sorted({matrix.name for block_class in classes for matrix in block_class.matrices})
    templates = {c: class_slices(c, core, names) for c in classes}
    counts = np.array([len(templates[blocks[b].block_class]) for b in owner.tolist()])
    of_slice = np.repeat(owner, counts)
    if len(of_slice) > n_tiles * n_tiers or max(copies) > n_tiles:
        need = max(len(of_slice), max(copies) * n_tiers)
        raise PackingError(core.name, need, n_tiles * n_tiers, f"{len(blocks)} blocks")
    load = np.array([visits[block.name] for block in blocks])[of_slice]
    stage_of = {stage: i for i, stage in enumerate(dict.fromkeys((b.layer, STAGE_OF[b.kind]) for b in blocks))}
    stage = np.array([stage_of[b.layer, STAGE_OF[b.kind]] for b in blocks])[of_slice]
    tile = all_tiles(load, n_tiles) if is_pipelined else serial_tiles(stage, load, n_tiles)
    rows = np.concatenate([templates[blocks[b].block_class] for b in owner.tolist()])
    table = pd.DataFrame(
        {
            "block": np.array([block.name for block in blocks], dtype=object)[of_slice],
            "matrix": np.array(names, dtype=object)[rows[:, 0]],
            "i": rows[:, 1], "j": rows[:, 2], "copy": np.repeat(copy, counts), "group": core.name,
            "die": tile // per_die, "tile": tile % per_die, "tier": rank_within(tile),
        }
    )  # fmt: skip
    busiest, bound = loads_of(np.zeros_like(stage) if is_pipelined else stage, load, tile, n_tiles)
    tiles_used, n_dies = np.bincount(tile, minlength=n_tiles) > 0, -(-n_tiles // per_die)
    on_die = np.zeros((len(blocks), n_dies), dtype=bool)
    on_die[of_slice, tile // per_die] = True
    return table, GroupPacking(
        group=core.name, busiest_visits=busiest, bound_visits=bound, slices=len(tile), crossbars=n_tiles * n_tiers,
        tiles_used=int(tiles_used.sum()), tiles=n_tiles, dies_used=int(on_die.any(axis=0).sum()), dies=n_dies,
        dies_per_block=float(on_die.sum()) / len(blocks),
    )  # fmt: skip


def serial_tiles(stage: Indices, load: Array, n_tiles: int) -> Indices:
    """(S,): tile of every slice where the stages run one after the other."""
    tile = np.empty(len(load), dtype=np.int64)
    first = 0
    for own in in_stages(stage):
        tile[own] = stage_tiles(load[own], n_tiles, first)
        first = (first + len(own)) % n_tiles
    return tile


def in_stages(stage: Indices) -> list[Indices]:
    """The slices of every stage."""
    order = np.argsort(stage, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(stage[order])) + 1)


def rank_within(tile: Indices) -> Indices:
    """(S,): how many slices before it are on the same tile: its tier."""
    order = np.argsort(tile, kind="stable")
    ordered = tile[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=-1))
    rank = np.arange(len(tile)) - np.repeat(starts, np.diff(starts, append=len(tile)))
    tier = np.empty(len(tile), dtype=np.int64)
    tier[order] = rank
    return tier


def loads_of(stage: Indices, load: Array, tile: Indices, n_tiles: int) -> tuple[float, float]:
    """Visits of the busiest tile, and the bound of it, summed over the stages."""
    busiest = bound = 0.0
    for own in in_stages(stage):
        busiest += float(np.bincount(tile[own], load[own], n_tiles).max())
        bound += load_bound(load[own], n_tiles)
    return busiest, bound


def class_slices(block_class: BlockClass, core: AnalogCore, names: list[str]) -> Indices:
    """(slices, 3): position of the matrix among the names, i (along the input), j (along the output)."""
    rows = [
        (names.index(matrix.name), i, j)
        for matrix in block_class.matrices
        for i in range(-(-matrix.n_in // whole(core.rows)))
        for j in range(-(-matrix.n_out // whole(core.cols)))
    ]
    return np.array(rows, dtype=np.int64)


def largest_same_layer_share(mapping: Mapping) -> int:
    """Most slices of one layer's experts that share a tile; 0 without analog experts.

    Raises:
        SpecError: the mapping is not packed.
    """
    slices = mapping.slices
    if slices is None:
        raise SpecError("the mapping has no slices yet; pack(mapping, arch, workload) adds them")
    blocks = pd.Series(slices["block"].unique(), dtype=object)
    layer_of = {name: name.split(".")[1] for name in blocks if ".experts." in name}
    experts = slices[slices["block"].isin(layer_of)]
    if experts.empty:
        return 0
    keys = [experts["block"].map(layer_of), experts["group"], experts["die"], experts["tile"]]
    return int(experts.groupby(keys, sort=False).size().max())


def whole(value: Quantity) -> int:
    """A count of one design point."""
    if np.size(value) != 1:
        raise SpecError("packing needs one design point, the architecture stands for several")
    return int(np.asarray(value).item())
