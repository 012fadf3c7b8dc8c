"""Times of the stages of a step: every core group that works in them, and the resource it waits for."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dse.cost.attention import AttentionCost
from dse.cost.gating import late_wake_ns, wake_ns
from dse.cost.option import host_unit
from dse.cost.table import CostTable, is_some, plus
from dse.cost.vector import VectorCost, vector_costs, vector_stage
from dse.evaluation.die_traffic import die_imbalance
from dse.evaluation.packed import PackedTiles
from dse.evaluation.profile import Entry, LayerProfile, Stage
from dse.evaluation.shared import shared_links, shared_memories
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
    """Time of one group in one stage of one layer [ns]; numbers, or one per design.

    ``total = bound + sum(added.values())`` with ``bound = max(bound_by.values())``.
    """

    bound_by: Mapping[str, Quantity]
    """Resource → time it needs: memory bandwidth, compute, tile load, dependent products."""
    added: Mapping[str, Quantity]
    """What adds to it → time: kernel launches and vector work, or crossings of the link and transfer on it."""
    spread: Quantity = 0.0
    """Standard deviation from step to step, because tokens choose experts at random."""
    wait: Quantity = 0.0
    """What dependent products wait for others on shared tiles (``dependent_wait_ns``); not in ``total``."""
    shared: Mapping[str, Quantity] = field(default_factory=dict)
    """Memory, or link of a die, that other groups use too → time for which this one does."""
    link: Quantity = 0.0
    """Time of an analog group's links, if all its dies had the same traffic."""
    bound: Quantity = field(init=False)
    """Time of the resource that needs longest [ns]."""
    total: Quantity = field(init=False)
    """Time of the group [ns]."""

    def __post_init__(self) -> None:
        """Adds up once what is asked for many times."""
        bound = reduce(np.maximum, self.bound_by.values())
        object.__setattr__(self, "bound", bound)
        object.__setattr__(self, "total", bound + sum(self.added.values(), 0.0))


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
    def variance(self) -> Quantity:
        """Variance of the stage in one layer from step to step [ns²]: of the slowest group, or of all."""
        first, *others = self.groups.values()
        longest, variance = first.total, np.square(first.spread)
        for group in others:
            if not self.side_by_side:
                variance = variance + np.square(group.spread)
            elif is_some(group.spread) or is_some(variance):
                variance = np.where(group.total > longest, np.square(group.spread), variance)
                longest = np.maximum(longest, group.total)
        return variance

    @property
    def shared(self) -> dict[str, Quantity]:
        """Memory or link that several groups of the stage use → time for which they use it in one layer [ns]."""
        names = Counter(name for group in self.groups.values() for name in group.shared)
        return {
            name: sum((group.shared.get(name, 0.0) for group in self.groups.values()), 0.0)
            for name, count in names.items()
            if count > 1
        }

    @property
    def total(self) -> Quantity:
        """Time of the stage in one layer [ns]: the slowest group or what several share, or the sum of all."""
        return self.together([group.total for group in self.groups.values()])

    @property
    def wait(self) -> Quantity:
        """What the waits of dependent products on shared tiles add to the stage in one layer [ns]."""
        if not any(is_some(group.wait) for group in self.groups.values()):
            return 0.0
        return self.together([group.total + group.wait for group in self.groups.values()]) - self.total

    def together(self, times: Sequence[Quantity]) -> Quantity:
        """Time of groups that work side by side or one after the other."""
        if not self.side_by_side:
            return reduce(np.add, times)
        return reduce(np.maximum, [*times, *self.shared.values()])


def of_step(stages: Sequence[StageTime], number: Callable[[StageTime], Quantity]) -> Quantity:
    """``Σ multiplicity · number`` over the stages of a step."""
    total: Quantity = 0.0
    for stage in stages:
        total = plus(total, stage.multiplicity, number(stage))
    return total


@dataclass(slots=True, eq=False)
class _Sums:
    """Running sums of one group in one stage."""

    path: Quantity = 0.0
    compute: Quantity = 0.0
    fetch: Quantity = 0.0
    buffer: Quantity = 0.0
    load: Quantity = 0.0
    spread: Quantity = 0.0
    rest: Quantity = 0.0
    fixed: Quantity = 0.0
    crossing: Quantity = 0.0
    launch: Quantity = 0.0
    link: Quantity = 0.0
    vector: Quantity = 0.0
    imbalance: Quantity = 1.0


def stage_times(
    arch: Architecture,
    workload: Workload,
    costs: CostTable,
    profiles: Sequence[LayerProfile],
    attention: AttentionCost,
    *,
    tokens: Array,
) -> tuple[StageTime, ...]:
    """Times of every stage of every profile, in the order of execution within a layer.

    Tiles of the first stage of a layer, and of the head, wake in time: all of the layer before runs before them.
    """
    stages = []
    vector = vector_costs(arch, workload)
    for profile in profiles:
        before_ns: Quantity = np.inf
        for stage, entries in profile.entries.items():
            scores = attention if stage == "attention" else None
            work = vector.get(vector_stage(stage, has_experts=profile.has_experts))
            packed = {group: tiles for (name, group), tiles in profile.packed.items() if name == stage}
            sums = group_sums(
                arch, workload, costs, entries, packed=packed, attention=scores, vector=work, tokens=tokens
            )
            if not sums:
                continue
            groups = {name: as_group_time(arch, costs, name, group, before_ns) for name, group in sums.items()}
            side_by_side = arch.composition != "serial" and stage == "experts"
            stages.append(StageTime(stage, profile.multiplicity, entries, groups, side_by_side))
            before_ns = stages[-1].total
    return tuple(stages)


def group_sums(
    arch: Architecture,
    workload: Workload,
    costs: CostTable,
    entries: Sequence[Entry],
    *,
    packed: Mapping[str, PackedTiles],
    attention: AttentionCost | None,
    vector: VectorCost | None,
    tokens: Array,
) -> dict[str, _Sums]:
    """What each group does that works in a stage."""
    sums: dict[str, _Sums] = defaultdict(_Sums)
    for entry in entries:
        name, cost, visits = costs.options[entry.option_index].group, costs.of(*entry.at), entry.visits(workload)
        group = sums[name]
        group.path = np.maximum(group.path, cost.path_ns)
        group.fixed = np.maximum(group.fixed, cost.fixed_ns)
        group.crossing = np.maximum(group.crossing, cost.crossing_ns)
        group.compute = plus(group.compute, visits, cost.compute_ns_per_visit)
        group.buffer = plus(group.buffer, visits, cost.buffer_ns_per_visit)
        group.link = plus(group.link, visits, cost.link_ns_per_visit)
        if is_some(cost.host_ns_per_visit):
            sums[costs.host].compute = plus(sums[costs.host].compute, visits, cost.host_ns_per_visit)
        if costs.is_analog[name]:
            continue
        active = entry.activations(tokens)
        group.fetch = plus(group.fetch, active, cost.fetch_ns_per_activation)
        group.buffer = plus(group.buffer, active, cost.held_ns_per_activation)
        group.launch = plus(group.launch, active, cost.launch_ns_per_activation)
    if attention is not None:
        host, unit = sums[costs.host], host_unit(arch)
        host.compute = host.compute + attention.compute_ns
        host.fetch = host.fetch + attention.fetch_ns
        host.fixed = np.maximum(host.fixed, unit.launch_ns)
    if vector is not None:
        sums[costs.host].vector = vector.ns
    for name, core_load in tile_loads(arch, workload, costs, entries, packed=packed, tokens=tokens).items():
        own = [entry for entry in entries if costs.options[entry.option_index].group == name]
        sums[name].load, sums[name].spread, sums[name].rest = core_load
        sums[name].imbalance = die_imbalance(costs, own, packed.get(name), arch.die(arch.core(name).die).count)
    return sums


def as_group_time(arch: Architecture, costs: CostTable, name: str, sums: _Sums, before_ns: Quantity) -> GroupTime:
    """The sums of a group under the names of the resources that bind it or add to it.

    Tiles may wake in ``before_ns``, the time of the stage before.
    """
    if costs.is_analog[name]:
        bound_by = {
            f"{name} dependent products": sums.path,
            f"{name} tile load": np.maximum(sums.load, sums.compute),
        }
        waking, late = wake_ns(arch.core(name)), late_wake_ns(arch.core(name), before_ns)
        link = sums.imbalance * sums.link
        added = {"link latency": sums.fixed - waking, LINK_BANDWIDTH: link}
        added |= {"tile wake-up": waking + late} if np.any(waking + late) else {}
        load_binds = sums.load >= np.maximum(sums.path, sums.compute)
        wait = dependent_wait_ns(path_ns=sums.path, load_ns=sums.load, rest_ns=sums.rest)
        shared = {shared_links(arch)[name]: link} if name in shared_links(arch) else {}
        return GroupTime(bound_by, added, np.where(load_binds, sums.spread, 0.0), wait, shared, sums.link)
    bound_by = {f"{arch.unit(name).memory} bandwidth": sums.fetch, f"{name} compute": sums.compute}
    if is_some(sums.buffer):
        bound_by[f"{name} buffer"] = sums.buffer
    added = {f"{name} kernel launches": sums.fixed - sums.crossing + sums.launch}
    others = {"vector work": sums.vector, "exchange latency": sums.crossing, EXCHANGE_BANDWIDTH: sums.link}
    added |= {f"{name} {what}": time for what, time in others.items() if is_some(time)}
    shared = {shared_memories(arch)[name]: sums.fetch} if name in shared_memories(arch) else {}
    return GroupTime(bound_by, added, shared=shared)


def dependent_wait_ns(*, path_ns: Quantity, load_ns: Quantity, rest_ns: Quantity) -> Quantity:
    """Time that dependent products of a block wait for others on shared tiles, beyond ``max(path, load)`` [ns].

    ``max(0, load + rest - max(path, load))``: the stage then takes the busiest tile's load and the other products of
    one block in a row (``rest_of_chain_ns``). Argument: a tile idles only while a chain that ends on it has its
    products elsewhere, so it ends at most that much after its load (list scheduling, R. L. Graham, Bell Syst. Tech.
    J. 45 (1966) 1563). Exact for slices on tiles of their own, where v visits of d matrices run as a pipeline of
    v + d - 1 products, and for a single visit; 0 where no tile does more than one product.

    Valid for: products of equal time, first come first served, one micro-batch at a time. The busiest tile is taken to
    hold the most of each of its blocks: a mean within 1 % and 300 random stages within 15 % of a simulation.
    """
    wait: Quantity = np.maximum(0.0, load_ns + rest_ns - np.maximum(path_ns, load_ns))
    return wait
