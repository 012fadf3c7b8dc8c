"""Evaluates one mapping on every design point at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from collections.abc import Mapping as MappingABC
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dse.cost.area import area_parts
from dse.cost.attention import attention_cost
from dse.cost.capacity import MemoryRoom, resident_bytes
from dse.cost.micro_batch import micro_batch, n_micro_batches
from dse.cost.option import host_unit
from dse.cost.power import refresh_time_fraction
from dse.cost.table import CostTable, cost_table
from dse.evaluation.combine import combined
from dse.evaluation.counts import operation_counts
from dse.evaluation.energy import added, digital_energy_model, energy_parts, memory_traffic
from dse.evaluation.gating import gating_parts
from dse.evaluation.growth import growing
from dse.evaluation.hand_off import as_placed
from dse.evaluation.packed import PackedVisits, packed_visits
from dse.evaluation.profile import STAGE_OF, LayerProfile, layer_profiles, used_options, without
from dse.evaluation.result import Evaluation, RunPart
from dse.evaluation.step_time import StepTime, step_time
from dse.evaluation.tile_work import tile_work
from dse.evaluation.timeline import StageTime, of_step, stage_times
from dse.mapping.model import Mapping
from dse.spec.architecture import Architecture
from dse.spec.provenance import placed
from dse.units import Quantity
from dse.workload.blocks import BlockKind
from dse.workload.build import Workload, is_of_workload
from dse.workload.steps import Step, at_context, phases_of, scenarios_of

Array = NDArray[np.float64]
K = TypeVar("K")


def design_with(
    arch: Architecture, workload: Workload, values: MappingABC[str, ArrayLike | str]
) -> tuple[Architecture, Workload]:
    """The architecture and the workload with other values at dotted paths, each where its path leads.

    Raises:
        SpecError: an unknown path, or a value that its field does not allow.
    """
    of_workload = {path: value for path, value in values.items() if is_of_workload(path)}
    of_arch = {path: value for path, value in values.items() if path not in of_workload}
    return (
        arch.with_values(of_arch) if of_arch else arch,
        workload.with_values(of_workload) if of_workload else workload,
    )


@placed
def evaluate_points(
    arch: Architecture,
    workload: Workload,
    mapping: Mapping,
    costs: CostTable | None = None,
    *,
    leave_out: Collection[BlockKind] = (),
) -> Evaluation:
    """Evaluates one mapping on every design point of the architecture and workload; limits are not checked.

    Args:
        arch: architecture, of one or many design points.
        workload: workload, of one or as many design points.
        mapping: placement of every block.
        costs: table of ``cost_table(arch, workload)`` if at hand; used for a single step.
        leave_out: kinds of blocks that are taken to cost nothing.

    Raises:
        SpecError: the mapping does not belong to this architecture or workload.
    """
    scenarios = scenarios_of(workload)
    if not workload.mix:
        return evaluate_scenario(arch, workload, mapping, costs, leave_out)
    parts = tuple(
        RunPart(part.name, part.weight, evaluate_scenario(arch, part.workload, mapping, None, leave_out))
        for part in scenarios
    )
    return combined(parts, tokens=workload.tokens_per_step)


def evaluate_scenario(
    arch: Architecture,
    workload: Workload,
    mapping: Mapping,
    costs: CostTable | None,
    leave_out: Collection[BlockKind],
) -> Evaluation:
    """Evaluates one scenario: a step, or of a request its prefill and its decode steps."""
    phases, parts = phases_of(workload), []
    for phase in phases:
        table = costs
        if table is None or len(phases) > 1:
            table = cost_table(arch, phase.workload, only=used_options(arch, workload, mapping))
        profiles = without(leave_out, layer_profiles(phase.workload, mapping, table))
        experts = [
            (profile.multiplicity, entry) for profile in profiles for entry in profile.entries.get("experts", ())
        ]
        packed = packed_visits(phase.workload, mapping, STAGE_OF) if arch.composition == "pipelined" else {}
        shared = as_placed(arch, phase.workload, mapping, table, experts)
        parts.append(RunPart(phase.name, phase.weight, evaluate_phase(arch, phase, shared, profiles, packed)))
    if len(parts) == 1:
        return parts[0].evaluation
    run = combined(parts, tokens=workload.tokens_per_step)
    return dataclasses.replace(run, room=dataclasses.replace(run.room, workload=workload))


def evaluate_phase(
    arch: Architecture,
    phase: Step,
    costs: CostTable,
    profiles: tuple[LayerProfile, ...],
    packed: MappingABC[str, PackedVisits],
) -> Evaluation:
    """Evaluates one step, or the mean step of a growing context, which must fit at its end."""
    if not phase.spans:
        return evaluate_step(arch, phase.workload, costs, profiles, packed)
    contexts = growing(
        lambda c: evaluate_step(arch, at_context(phase.workload, c), costs, profiles, packed), phase.spans
    )
    mean = combined(contexts.parts, tokens=phase.workload.tokens_per_step)
    return dataclasses.replace(
        mean,
        contended_latency_ns=mean.latency_ns + contexts.wait_ns,
        units_available=costs.capacity_units,
        resident_bytes=resident_bytes(arch, phase.workload),
        parts=(),
    )


def evaluate_step(
    arch: Architecture,
    workload: Workload,
    costs: CostTable,
    profiles: tuple[LayerProfile, ...],
    packed: MappingABC[str, PackedVisits],
) -> Evaluation:
    """Evaluates one step: all micro-batches of the batch, of which each costs the same.

    What a step costs is that of one micro-batch times their number; only its time is not, since they overlap.
    """
    n_micro = np.broadcast_to(np.asarray(n_micro_batches(arch), np.float64), (costs.n_points,))
    micro, is_split = micro_batch(arch, workload), arch.composition == "pipelined"
    tokens = np.broadcast_to(np.asarray(micro.tokens_per_step, np.float64), (costs.n_points,))
    attention = attention_cost(arch, micro)
    stages = stage_times(arch, micro, costs, profiles, attention, tokens=tokens)
    needed = units_needed(costs, profiles)
    work = tile_work(arch, micro, costs, profiles, packed, tokens=tokens, micro_batches=n_micro)
    time = step_time(arch, costs, stages, micro_batches=n_micro, work=work)
    micro_ns = time.latency_ns / n_micro if is_split else time.latency_ns
    parts = added(
        energy_parts(arch, micro, costs, profiles, attention, tokens=tokens, step_ns=micro_ns),
        gating_parts(arch, costs, stages, step_ns=micro_ns),
    )
    traffic = memory_traffic(arch, micro, costs, profiles, attention, tokens=tokens)
    memory = arch.memory(host_unit(arch).memory)
    return Evaluation(
        tokens_per_step=tokens * n_micro if is_split else tokens,
        latency_ns=time.latency_ns,
        contended_latency_ns=np.maximum(time.contended_ns, time.latency_ns),
        latency_std_ns=latency_std_ns(stages, time, n_micro),
        critical_ns=time.critical_ns,
        path_ns=time.path_ns,
        busy_ns=time.busy_ns,
        sequences=np.broadcast_to(np.asarray(workload.scenario.batch, np.float64), (costs.n_points,)),
        micro_batches=n_micro,
        energy_parts_pj=times(n_micro, parts) if is_split else parts,
        stages=tuple(dataclasses.replace(s, multiplicity=s.multiplicity * n_micro) for s in stages)
        if is_split
        else stages,
        area=area_parts(arch),
        traffic_bytes=times(n_micro, traffic) if is_split else traffic,
        counts=operation_counts(arch, workload, costs, profiles),
        units_needed=needed,
        units_available=costs.capacity_units,
        resident_bytes=resident_bytes(arch, workload),
        room=MemoryRoom(arch=arch, workload=workload, free_bytes=memory.capacity_bytes - needed[memory.name]),
        refresh_time_fraction=refresh_time_fraction(arch),
        composition=arch.composition,
        energy_boundary=arch.energy_boundary,
        digital_energy_model=digital_energy_model(arch),
    )


def times(n_micro: Array, amounts: dict[K, Array]) -> dict[K, Array]:
    """Amounts of one micro-batch for all of them."""
    return {key: n_micro * amount for key, amount in amounts.items()}


def latency_std_ns(stages: tuple[StageTime, ...], time: StepTime, n_micro: Array) -> Array:
    """Standard deviation of the step time, (P,) [ns]: stages vary independently of each other.

    Of one micro-batch where its critical path binds, of all where the busiest resource does.
    """
    variance = of_step(stages, lambda s: s.variance)
    if time.latency_ns is not time.path_ns:
        variance = np.where(time.latency_ns > time.path_ns, n_micro, 1.0) * variance
    return np.broadcast_to(np.sqrt(variance), n_micro.shape)


def units_needed(costs: CostTable, profiles: tuple[LayerProfile, ...]) -> dict[str, Array]:
    """Resource → capacity units that the placed blocks take, (P,)."""
    needed: dict[str, Quantity] = dict.fromkeys(costs.capacity_units, 0.0)
    for profile in profiles:
        for entry in (e for entries in profile.entries.values() for e in entries):
            resource = costs.resource[costs.options[entry.option_index].group]
            units = profile.multiplicity * entry.n_blocks * costs.of(*entry.at).units
            needed[resource] = needed[resource] + units
    return {resource: np.broadcast_to(units, (costs.n_points,)) for resource, units in needed.items()}
