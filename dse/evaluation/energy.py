"""Energy of a step by component, block kind and core group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dse.cost.attention import AttentionCost
from dse.cost.crossbar import products_energy_pj
from dse.cost.option import host_unit
from dse.cost.power import flat_power_mw, idle_power_mw, refresh_power_mw
from dse.cost.table import CostTable, is_some
from dse.cost.tile import mvm_cost
from dse.cost.vector import vector_costs, vector_stage
from dse.evaluation.profile import LayerProfile
from dse.spec.architecture import Architecture
from dse.units import Quantity
from dse.workload.build import Workload

Array = NDArray[np.float64]


class Part(NamedTuple):
    """What a share of the energy belongs to."""

    component: str
    block_kind: str
    group: str


def energy_parts(
    arch: Architecture,
    workload: Workload,
    costs: CostTable,
    profiles: Sequence[LayerProfile],
    attention: AttentionCost,
    *,
    tokens: Array,
    step_ns: Array,
) -> dict[Part, Array]:
    """Energy of a step by part [pJ], (P,) each; the total is their sum."""
    parts: dict[Part, Array] = {}

    def add(part: Part, count: Quantity, price: Quantity = 1.0) -> None:
        value = np.asarray(count * price) if is_some(price) else np.float64(0)
        if is_some(value):
            parts[part] = parts[part] + value if part in parts else np.broadcast_to(value, tokens.shape)

    working: set[str] = {costs.host}
    vector = vector_costs(arch, workload)
    for profile in profiles:
        for entry in (e for entries in profile.entries.values() for e in entries):
            group, cost = costs.options[entry.option_index].group, costs.of(*entry.at)
            working.add(group)
            visits = entry.visits(workload, profile.multiplicity)
            for component, energy in cost.visit_parts_pj.items():
                where = costs.host if component == "partial sums" else group
                add(Part(component, entry.kind, where), visits, energy)
            active = profile.multiplicity * entry.activations(tokens) if cost.activation_parts_pj else 0.0
            for component, energy in cost.activation_parts_pj.items():
                add(Part(component, entry.kind, group), active, energy)
        for stage in profile.entries:
            work = vector.get(vector_stage(stage, has_experts=profile.has_experts))
            if work is not None:
                kind = "ffn" if stage == "experts" and not profile.has_experts else stage
                part = Part("vector work", "expert" if kind == "experts" else kind, costs.host)
                add(part, profile.multiplicity, work.pj)
        if profile.has_attention:
            add(Part("attention scores", "attention", costs.host), profile.multiplicity, attention.compute_pj)
            add(Part("KV cache", "attention", costs.host), profile.multiplicity, attention.memory_pj)
    for name, power in idle_power_mw(arch).items():
        add(Part("idle", "all", name), step_ns, power)
    for name, power in refresh_power_mw(arch).items():
        add(Part("drift refresh", "all", name), step_ns, power)
    for name, power in flat_power_mw(arch).items():
        if name in working:
            add(Part("flat power", "all", name), step_ns, power)
    for part, energy in embedding_products(arch, workload).items():
        add(part, tokens, energy)
    return parts


def digital_energy_model(arch: Architecture) -> str:
    """``flat_power`` where any digital unit is counted so, else ``per_operation``."""
    return "flat_power" if flat_power_mw(arch) else "per_operation"


def added(first: Mapping[Part, Array], second: Mapping[Part, Array]) -> dict[Part, Array]:
    """Both tables of parts in one; a part that is in both counts their sum."""
    sums = dict(first)
    for part, energy in second.items():
        sums[part] = sums.get(part, 0.0) + energy
    return sums


def embedding_products(arch: Architecture, workload: Workload) -> Mapping[Part, Array]:
    """Energy per token that ``counting: ibm_3dcim`` charges for the embedding [pJ], on the first analog group."""
    if workload.counting != "ibm_3dcim" or not arch.analog_cores:
        return {}
    core = arch.analog_cores[0]
    n_crossbars = np.ceil(workload.model.d_model / np.asarray(core.cols, np.float64))
    return {
        Part(part, "embedding", core.name): np.asarray(
            products_energy_pj(n_crossbars=n_crossbars, mvm_energy_pj=energy)
        )
        for part, energy in mvm_cost(core).parts_pj.items()
    }


def memory_traffic(
    arch: Architecture,
    workload: Workload,
    costs: CostTable,
    profiles: Sequence[LayerProfile],
    attention: AttentionCost,
    *,
    tokens: Array,
) -> dict[tuple[str, str], Array]:
    """(Memory, what) → bytes moved in a step [byte]: dense weights, digital experts, KV cache."""
    traffic: dict[tuple[str, str], Quantity] = {}
    for profile in profiles:
        for entry in (e for entries in profile.entries.values() for e in entries):
            group = costs.options[entry.option_index].group
            if costs.is_analog[group]:
                continue
            what = "digital experts" if entry.kind == "expert" else "dense weights"
            key = (arch.unit(group).memory, what)
            moved = entry.activations(tokens) * costs.of(*entry.at).bytes
            traffic[key] = traffic.get(key, 0.0) + profile.multiplicity * moved
        if profile.has_attention:
            key = (host_unit(arch).memory, "KV cache")
            traffic[key] = traffic.get(key, 0.0) + profile.multiplicity * attention.kv_bytes
    return {key: np.broadcast_to(n_bytes, tokens.shape) for key, n_bytes in traffic.items()}
