"""Times of the stages of a step: every core group that works in them, and the resource it waits for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import reduce
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dse.cost.attention import AttentionCost
from dse.cost.gating import wake_ns
from dse.cost.option import host_unit
from dse.cost.table import CostTable, is_some, plus
from dse.cost.vector import VectorCost, vector_costs, vector_stage
from dse.evaluation.packed import PackedTiles
from dse.evaluation.profile import Entry, LayerProfile, Stage
from dse.evaluation.tile_load import tile_loads
from dse.spec.architecture import Architecture
from dse.units import Quantity
from dse.workload.build import Workload

Array = NDArray[np.float64]
LINK_BANDWIDTH: Final = "link bandwidth"
"""What an analog group waits for its traffic."""
EXCHANGE_BANDWIDTH: Final = "exchange bandwidth"
"""The same of a digital group, behind its name."""


@dataclass(frozen=True, slots=True, eq=False)
class GroupTime:
    """Time of one group in one stage of one layer, (P,) each [ns].

    ``total = max(bound_by.values()) + sum(added.values())``.
    """

    bound_by: Mapping[str, Array]
    """Resource → time it needs: memory bandwidth, compute, tile load, dependent products."""
    added: Mapping[str, Array]
    """What adds to it → time: kernel launches and vector work, or crossings of the link and transfer on it."""
    spread: Array | float = 0.0
    """Standard deviation from step to step, because tokens choose experts at random."""
    wait: Array | float = 0.0
    """What dependent products wait for others on shared tiles (``dependent_wait_ns``); not in ``total``."""
    total: Array = field(init=False)
    """Time of the group [ns]."""

    def __post_init__(self) -> None:
        """Adds up once what is asked for many times."""
        total = np.asarray(sum(self.added.values(), reduce(np.maximum, self.bound_by.values())))
        object.__setattr__(self, "total", total)


@dataclass(frozen=True, slots=True, eq=False)
class StageTime:
    """One stage of all layers of one profile."""

    stage: Stage
    multiplicity: Quantity
    """How often a step runs it: layers of the profile, times micro-batches."""
    entries: tuple[Entry, ...]
    """Blocks that work in it."""
    groups: Mapping[str, GroupTime]
    side_by_side: bool

    @property
    def variance(self) -> Array:
        """Variance of the stage in one layer from step to step [ns²]: of the slowest group, or of all."""
        shape = np.shape(next(iter(self.groups.values())).total)
        if not any(np.any(group.spread) for group in self.groups.values()):
            return np.zeros(shape)
        first, *others = self.groups.values()
        longest, variance = first.total, np.square(first.spread)
        for group in others:
            if self.side_by_side:
                variance = np.where(group.total > longest, np.square(group.spread), variance)
                longest = np.maximum(longest, group.total)
            else:
                variance = variance + np.square(group.spread)
        return np.broadcast_to(variance, shape)

    @property
    def total(self) -> Array:
        """Time of the stage in one layer [ns]: the slowest group, or the sum of all."""
        times = [group.total for group in self.groups.values()]
        return np.asarray(reduce(np.maximum if self.side_by_side else np.add, times))

    @property
    def contended_total(self) -> Array:
        """``total`` with the waits of dependent products on shared tiles [ns]."""
        times = [group.total + group.wait for group in self.groups.values()]
        return np.asarray(reduce(np.maximum if self.side_by_side else np.add, times))


@dataclass(slots=True, eq=False)
class _Sums:
    """Running sums of one group in one stage."""

    path: Array
    compute: Array
    fetch: Array
    buffer: Array
    load: Array
    spread: Array
    rest: Array
    fixed: Array
    crossing: Array
    launch: Array
    link: Array
    vector: Array


def stage_times(
    arch: Architecture,
    workload: Workload,
    costs: CostTable,
    profiles: Sequence[LayerProfile],
    attention: AttentionCost,
    *,
    tokens: Array,
) -> tuple[StageTime, ...]:
    """Times of every stage of every profile, in the order of execution within a layer."""
    stages = []
    vector = vector_costs(arch, workload)
    for profile in profiles:
        for stage, entries in profile.entries.items():
            scores = attention if stage == "attention" else None
            work = vector.get(vector_stage(stage, has_experts=profile.has_experts))
            packed = {group: tiles for (name, group), tiles in profile.packed.items() if name == stage}
            groups = group_times(
                arch, workload, costs, entries, packed=packed, attention=scores, vector=work, tokens=tokens
            )
            if not groups:
                continue
            side_by_side = arch.composition != "serial" and stage == "experts"
            stages.append(StageTime(stage, profile.multiplicity, entries, groups, side_by_side))
    return tuple(stages)


def group_times(
    arch: Architecture,
    workload: Workload,
    costs: CostTable,
    entries: Sequence[Entry],
    *,
    packed: Mapping[str, PackedTiles],
    attention: AttentionCost | None,
    vector: VectorCost | None,
    tokens: Array,
) -> dict[str, GroupTime]:
    """Time of each group that works in a stage."""
    nothing = np.broadcast_to(0.0, tokens.shape)
    sums: dict[str, _Sums] = defaultdict(lambda: _Sums(*(nothing for _ in fields(_Sums))))
    for entry in entries:
        cost, group = costs.of(*entry.at), sums[costs.options[entry.option_index].group]
        visits, active = entry.visits(workload), entry.activations(tokens)
        group.path = np.maximum(group.path, cost.path_ns)
        group.fixed = np.maximum(group.fixed, cost.fixed_ns)
        group.crossing = np.maximum(group.crossing, cost.crossing_ns)
        group.compute = plus(group.compute, visits, cost.compute_ns_per_visit)
        group.fetch = plus(group.fetch, active, cost.fetch_ns_per_activation)
        group.buffer = plus(group.buffer, visits, cost.buffer_ns_per_visit)
        group.buffer = plus(group.buffer, active, cost.held_ns_per_activation)
        group.launch = plus(group.launch, active, cost.launch_ns_per_activation)
        group.link = plus(group.link, visits, cost.link_ns_per_visit)
        if is_some(cost.host_ns_per_visit):
            sums[costs.host].compute = plus(sums[costs.host].compute, visits, cost.host_ns_per_visit)
    if attention is not None:
        host, unit = sums[costs.host], host_unit(arch)
        host.compute = host.compute + attention.compute_ns
        host.fetch = host.fetch + attention.fetch_ns
        host.fixed = np.maximum(host.fixed, unit.launch_ns)
    if vector is not None:
        sums[costs.host].vector = vector.ns + np.zeros(tokens.shape)
    for name, core_load in tile_loads(arch, workload, costs, entries, packed=packed, tokens=tokens).items():
        sums[name].load, sums[name].spread, sums[name].rest = core_load
    return {name: as_group_time(arch, costs, name, group) for name, group in sums.items()}


def as_group_time(arch: Architecture, costs: CostTable, name: str, sums: _Sums) -> GroupTime:
    """The sums of a group under the names of the resources that bind it or add to it."""
    if costs.is_analog[name]:
        bound_by = {
            f"{name} dependent products": sums.path,
            f"{name} tile load": np.maximum(sums.load, sums.compute),
        }
        waking = np.broadcast_to(wake_ns(arch.core(name)), sums.fixed.shape)
        added = {"link latency": sums.fixed - waking, LINK_BANDWIDTH: sums.link}
        added |= {"tile wake-up": waking} if np.any(waking) else {}
        load_binds = sums.load >= np.maximum(sums.path, sums.compute)
        wait = dependent_wait_ns(path_ns=sums.path, load_ns=sums.load, rest_ns=sums.rest)
        return GroupTime(bound_by, added, np.where(load_binds, sums.spread, 0.0), wait)
    bound_by = {f"{arch.unit(name).memory} bandwidth": sums.fetch, f"{name} compute": sums.compute}
    if is_some(sums.buffer):
        bound_by[f"{name} buffer"] = sums.buffer
    added = {f"{name} kernel launches": sums.fixed - sums.crossing + sums.launch}
    others = {"vector work": sums.vector, "exchange latency": sums.crossing, EXCHANGE_BANDWIDTH: sums.link}
    return GroupTime(bound_by, added | {f"{name} {what}": time for what, time in others.items() if is_some(time)})


def dependent_wait_ns(*, path_ns: Array, load_ns: Array, rest_ns: Array) -> Array:
    """Time that dependent products of a block wait for others on shared tiles, beyond ``max(path, load)``, (P,) [ns].

    ``max(0, load + rest - max(path, load))``: the stage then takes the busiest tile's load and the other products of
    one block in a row (``rest_of_chain_ns``). Argument: a tile idles only while a chain that ends on it has its
    products elsewhere, so it ends at most that much after its load (list scheduling, R. L. Graham, Bell Syst. Tech.
    J. 45 (1966) 1563). Exact for slices on tiles of their own, where v visits of d matrices run as a pipeline of
    v + d - 1 products, and for a single visit; 0 where no tile does more than one product.

    Valid for: products of equal time, first come first served, one micro-batch at a time. The busiest tile is taken to
    hold the most of each of its blocks: a mean within 1 % and 300 random stages within 15 % of a simulation.
    """
    return np.maximum(0.0, load_ns + rest_ns - np.maximum(path_ns, load_ns))
