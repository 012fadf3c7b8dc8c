"""Packs the slices of analog blocks into dies, tiles and tiers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping as MappingABC
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dse.errors import Cause, InfeasibleError, SpecError
from dse.mapping.die_rings import expected_dies
from dse.mapping.model import Mapping
from dse.mapping.pack_slices import GroupSlices, group_slices, whole
from dse.mapping.pack_stages import serial_tiles
from dse.mapping.stage_peak import Peak, StepKind, stage_peak, step_kinds
from dse.mapping.tile_choice import all_tiles, full_bound
from dse.spec.architecture import AnalogCore, Architecture
from dse.workload.build import Workload

# S slices

COLUMNS = ("block", "matrix", "i", "j", "copy", "group", "die", "tile", "tier")
Array = NDArray[np.float64]
Indices = NDArray[np.int64]


class PackingError(InfeasibleError):
    """The slices of a group do not fit its tiles; ``group``, ``need`` and ``have`` [crossbars] say by how much.

    A solver that catches it gives the group ``need − have`` crossbars less and places the blocks again.
    """

    def __init__(self, group: str, need: int, have: int, blocks: str) -> None:
        self.group, self.need, self.have = group, need, have
        fix = f"add {need - have} crossbars, or place fewer blocks there"
        super().__init__([Cause(f"capacity[{group}]", float(need), float(have), "crossbars", blocks, fix)])


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class GroupPacking:
    """How well the slices of one group are packed."""

    group: str
    busiest_visits: float
    """Visits in a step of the tile that has most on average, summed over the stages; over all stages together where
    micro-batches overlap."""
    peak_visits: float
    """Mean over the steps of the visits of whichever tile is busiest in each stage, summed over the stages; where
    micro-batches overlap waits even out, and it is ``busiest_visits``."""
    bound_visits: float
    """What no packing brings ``peak_visits`` below."""
    slices: int
    crossbars: int
    """Crossbars that there are."""
    tiles_used: int
    tiles: int
    dies_used: int
    dies: int
    tiers_per_tile_used: float
    """Mean number of tiers in use on the tiles in use."""
    dies_per_block: float
    """Mean number of dies that a block is spread over: each gets the inputs and sends sums."""
    dies_per_token: float | None
    """Expected dies with an expert of a token, mean over the layers; None without experts."""
    stages: tuple[MappingABC[str, object], ...]
    """layer, stage, peak_visits, bound_visits of every stage; empty where micro-batches overlap."""

    @property
    def gap(self) -> float:
        """(peak − bound) / peak."""
        return max(0.0, self.peak_visits - self.bound_visits) / max(self.peak_visits, 1e-300)


def pack(mapping: Mapping, arch: Architecture, workload: Workload, *, seed: int = 0) -> Mapping:
    """The mapping with ``slices``, one row per slice of an analog block with its die, tile and tier, and ``packing``.

    Tiers of a tile hold slices of different layers wherever a layer has no more slices than the group has tiles; each
    block stays on one die where all find room so, and the dies are equally busy in each layer. Else the slices of a
    layer share tiles so that the busiest one is visited least. Copies are on different tiles. The work is bounded, so
    that equal calls give equal answers.

    Args:
        mapping: placement of every block.
        arch: architecture of one design point.
        workload: workload.
        seed: of the sampled steps that tell which experts of a layer better not share a tile.

    Raises:
        PackingError: a group has fewer crossbars than slices, or fewer tiles than a block has copies.
        SpecError: the architecture stands for several design points.
    """
    blocks = {block.name: block for block in workload.blocks}
    steps = step_kinds(workload)
    visits = {name: sum(s.weight * s.tokens * s.visits_per_token[name] for s in steps) for name in blocks}
    tables, found = [], []
    for core in arch.analog_cores:
        own = {n: option.copies for n, option in mapping.placement.items() if option.group == core.name}
        if own:
            slices = group_slices(core, [blocks[n] for n in own], list(own.values()), visits)
            table, packing = pack_core(core, arch, workload, slices, steps, seed=seed)
            tables.append(table)
            found.append(packing)
    empty = pd.DataFrame(columns=list(COLUMNS))
    placed = pd.concat(tables, ignore_index=True) if len(tables) > 1 else [*tables, empty][0]
    return dataclasses.replace(mapping, slices=placed, packing=tuple(packing_record(packing) for packing in found))


def packing_record(packing: GroupPacking) -> dict[str, object]:
    """A group's packing as it stands in ``mapping.json``."""
    return {**dataclasses.asdict(packing), "stages": list(packing.stages), "gap": packing.gap}


def pack_core(
    core: AnalogCore,
    arch: Architecture,
    workload: Workload,
    slices: GroupSlices,
    steps: tuple[StepKind, ...],
    *,
    seed: int,
) -> tuple[pd.DataFrame, GroupPacking]:
    """Slices of one group, and how well they are packed; tiles are numbered within their die."""
    n_tiles, n_tiers, per_die = whole(arch.n_tiles(core)), whole(core.tiers_per_tile), whole(core.working_tiles_per_die)
    copies = int(slices.copy.max()) + 1
    if len(slices.block) > n_tiles * n_tiers or copies > n_tiles:
        need = max(len(slices.block), copies * n_tiers)
        raise PackingError(core.name, need, n_tiles * n_tiers, f"{len(slices.blocks)} blocks")
    is_pipelined = arch.composition == "pipelined"
    if is_pipelined:
        tile, peaks = all_tiles(slices.load, n_tiles, n_tiers, slices.piece), []
    else:
        tile = serial_tiles(slices, steps, n_tiles=n_tiles, n_tiers=n_tiers, per_die=per_die, seed=seed)
        peaks = [stage_peak(steps, slices, own, tile[own], n_tiles) for own in slices.in_stages()]
    used = np.bincount(tile, minlength=n_tiles)
    on_die = np.zeros((len(slices.blocks), n_tiles // per_die), dtype=bool)
    on_die[slices.block, tile // per_die] = True
    busiest = busiest_visits(slices, tile, n_tiles, is_pipelined=is_pipelined)
    return slices.table(core.name, tile // per_die, tile % per_die, rank_within(tile)), GroupPacking(
        group=core.name, busiest_visits=busiest,
        peak_visits=busiest if is_pipelined else sum(peak.visits for peak in peaks),
        bound_visits=full_bound(slices.load, n_tiles, n_tiers) if is_pipelined else sum(p.bound for p in peaks),
        slices=len(tile), crossbars=n_tiles * n_tiers, tiles_used=int((used > 0).sum()), tiles=n_tiles,
        dies_used=int(on_die.any(axis=0).sum()), dies=on_die.shape[1],
        tiers_per_tile_used=len(tile) / int((used > 0).sum()), dies_per_block=float(on_die.sum()) / len(slices.blocks),
        dies_per_token=dies_per_token(workload, slices, on_die, steps[-1]), stages=stage_records(slices, peaks),
    )  # fmt: skip


def busiest_visits(slices: GroupSlices, tile: Indices, n_tiles: int, *, is_pipelined: bool) -> float:
    """Mean visits of the busiest tile: summed over the stages, or of all stages together."""
    every = [np.arange(len(tile))] if is_pipelined else slices.in_stages()
    return sum(float(np.bincount(tile[own], slices.load[own], n_tiles).max()) for own in every)


def stage_records(slices: GroupSlices, peaks: list[Peak]) -> tuple[dict[str, object], ...]:
    """The busiest tile of every stage as it stands in ``mapping.json``."""
    return tuple(
        {"layer": layer, "stage": stage, "peak_visits": peak.visits, "bound_visits": peak.bound}
        for (layer, stage), peak in zip(slices.stages, peaks, strict=False)
    )


def dies_per_token(workload: Workload, slices: GroupSlices, on_die: NDArray[np.bool_], step: StepKind) -> float | None:
    """Expected dies with an expert that a token chooses, mean over the layers with experts on the group."""
    of_layer: dict[int | None, list[int]] = {}
    for number, block in enumerate(slices.blocks):
        if block.kind == "expert":
            of_layer.setdefault(block.layer, []).append(number)
    found = []
    for numbers in of_layer.values():
        chance = np.array([step.visits_per_token[slices.blocks[n].name] for n in numbers])
        here = on_die[numbers]
        chances = [chance[here[:, die]].tolist() for die in np.flatnonzero(here.any(axis=0))]
        found.append(expected_dies(chances, workload.model.n_experts, workload.model.top_k))
    return sum(found) / len(found) if found else None


def rank_within(tile: Indices) -> Indices:
    """(S,): how many slices before it are on the same tile: its tier."""
    order = np.argsort(tile, kind="stable")
    ordered = tile[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=-1))
    rank = np.arange(len(tile)) - np.repeat(starts, np.diff(starts, append=len(tile)))
    tier = np.empty(len(tile), dtype=np.int64)
    tier[order] = rank
    return tier


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
