"""Attention scores and the KV cache of one layer: work that has no weights and always stays digital."""

from __future__ import annotations

from dataclasses import dataclass

from dse.cost.digital import compute_precision, operations_energy_pj
from dse.cost.memory import transfer_ns, transfer_pj
from dse.cost.option import host_unit, unit_compute_ns
from dse.spec.architecture import Architecture, FlatPower
from dse.spec.model import Model
from dse.spec.scenario import Scenario
from dse.units import BITS, BITS_PER_BYTE, Quantity
from dse.workload.build import Workload


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class AttentionCost:
    """One layer, one step, on the host unit."""

    ops: Quantity
    kv_bytes: Quantity
    compute_ns: Quantity
    fetch_ns: Quantity
    compute_pj: Quantity
    memory_pj: Quantity


def attention_ops(model: Model, scenario: Scenario) -> Quantity:
    """Operations of query·key and probability·value of one layer and step [-].

    Two products of ``n_heads · head_dim`` multiply-accumulates per pair of positions. Decode: each new token
    looks at context + 1 positions; prefill (causal): p (p + 1) / 2 pairs per prompt.
    """
    if scenario.phase == "prefill":
        pairs = scenario.prompt_tokens * (scenario.prompt_tokens + 1) / 2
    else:
        pairs = scenario.context_tokens + 1
    return 2 * 2 * model.n_heads * model.head_dim * scenario.batch * pairs


def kv_traffic_bytes(model: Model, scenario: Scenario) -> Quantity:
    """Bytes of keys and values of one layer that are read and written in a step [byte].

    Decode: all of the cache is read once, one token is written; prefill: written once and read once.
    """
    per_token = 2 * model.n_kv_heads * model.head_dim * BITS[scenario.precision.kv_cache] / BITS_PER_BYTE
    moved = 2 * scenario.prompt_tokens if scenario.phase == "prefill" else scenario.context_tokens + 1
    return scenario.batch * moved * per_token


def attention_cost(arch: Architecture, workload: Workload) -> AttentionCost:
    """Time and energy of attention scores of one layer and step on the host unit."""
    unit, scenario = host_unit(arch), workload.scenario
    memory = arch.memory(unit.memory)
    activations = scenario.precision.activations
    precision = compute_precision(unit, weights=scenario.precision.kv_cache, activations=activations)
    ops = attention_ops(workload.model, scenario)
    kv_bytes = kv_traffic_bytes(workload.model, scenario)
    is_flat = isinstance(unit.energy, FlatPower)
    return AttentionCost(
        ops=ops,
        kv_bytes=kv_bytes,
        compute_ns=unit_compute_ns(arch, unit, ops=ops, precision=precision),
        fetch_ns=transfer_ns(
            n_bytes=kv_bytes,
            bandwidth_bytes_per_ns=memory.bandwidth_bytes_per_ns,
            bandwidth_fraction=unit.utilisation.bandwidth_fraction,
        ),
        compute_pj=operations_energy_pj(unit, ops=ops, precision=precision),
        memory_pj=0.0 * kv_bytes
        if is_flat
        else transfer_pj(n_bytes=kv_bytes, energy_pj_per_bit=memory.energy_pj_per_bit),
    )
