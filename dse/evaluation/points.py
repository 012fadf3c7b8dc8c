"""Evaluates one mapping on every design point at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dse.cost.area import area_parts
from dse.cost.attention import attention_cost
from dse.cost.capacity import MemoryRoom, resident_bytes
from dse.cost.option import host_unit
from dse.cost.power import refresh_time_fraction
from dse.cost.table import CostTable, cost_table
from dse.evaluation.counts import operation_counts
from dse.evaluation.energy import added, digital_energy_model, energy_parts, memory_traffic
from dse.evaluation.gating import gating_parts
from dse.evaluation.profile import LayerProfile, layer_profiles
from dse.evaluation.result import Evaluation
from dse.evaluation.timeline import stage_times, time_by_resource
from dse.mapping.model import Mapping
from dse.spec.architecture import Architecture
from dse.workload.build import Workload

Array = NDArray[np.float64]


def evaluate_points(
    arch: Architecture, workload: Workload, mapping: Mapping, costs: CostTable | None = None
) -> Evaluation:
    """Evaluates one mapping on every design point of the architecture and workload; limits are not checked.

    Raises:
        SpecError: the mapping does not belong to this architecture or workload.
    """
    costs = cost_table(arch, workload) if costs is None else costs
    profiles = layer_profiles(workload, mapping, costs)
    tokens = np.broadcast_to(np.asarray(workload.tokens_per_step, np.float64), (costs.n_points,))
    attention = attention_cost(arch, workload)
    stages = stage_times(arch, workload, costs, profiles, attention, tokens=tokens)
    step_ns = sum((s.multiplicity * s.total for s in stages), np.zeros(costs.n_points))
    needed = units_needed(costs, profiles)
    memory = arch.memory(host_unit(arch).memory)
    return Evaluation(
        tokens_per_step=tokens,
        latency_ns=step_ns,
        energy_parts_pj=added(
            energy_parts(arch, workload, costs, profiles, attention, tokens=tokens, step_ns=step_ns),
            gating_parts(arch, costs, stages),
        ),
        stages=stages,
        critical_ns=time_by_resource(stages),
        area=area_parts(arch),
        traffic_bytes=memory_traffic(arch, workload, costs, profiles, attention, tokens=tokens),
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


def units_needed(costs: CostTable, profiles: tuple[LayerProfile, ...]) -> dict[str, Array]:
    """Resource → capacity units that the placed blocks take, (P,)."""
    needed = {name: np.zeros(costs.n_points) for name in costs.capacity_units}
    for profile in profiles:
        for entry in (e for entries in profile.entries.values() for e in entries):
            resource = costs.resource[costs.options[entry.option_index].group]
            units = costs.units[:, entry.class_index, entry.option_index]
            needed[resource] = needed[resource] + profile.multiplicity * entry.n_blocks * units
    return needed
