"""Attention scores and the KV cache of one layer: work that has no weights and always stays digital."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dse.cost.digital import compute_precision, operations_energy_pj, unit_compute_ns, unit_fetch_ns
from dse.cost.memory import transfer_pj
from dse.cost.option import host_unit
from dse.spec.architecture import Architecture, FlatPower
from dse.spec.model import Model
from dse.spec.scenario import Scenario
from dse.units import BITS, BITS_PER_BYTE, Quantity
from dse.workload.build import Workload, tokens_in_view


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class AttentionCost:
    """One layer, one step, on the host unit; with windows the mean over all layers."""

    ops: Quantity
    kv_bytes: Quantity
    compute_ns: Quantity
    fetch_ns: Quantity
    compute_pj: Quantity
    memory_pj: Quantity


def attention_ops(model: Model, scenario: Scenario) -> Quantity:
    """Operations of query·key and probability·value of one layer and step, mean over all layers [-].

    ``batch · pairs of positions · heads · 2 · (width of a key + width of a value)``. Decode: each new token looks at
    context + 1 positions; prefill (causal): p (p + 1) / 2 pairs per prompt; a windowed layer looks at its window only.

    Multi-head latent attention is costed absorbed in decode: queries meet the compressed keys (kv_lora_rank +
    qk_rope_head_dim) and the output is gathered in the compressed width, so that nothing is expanded per cached token;
    the two halves of kv_b act on the new token alone, as its one visit counts. In prefill it is costed expanded: kv_b
    makes keys and values of every token once, and pairs meet in the widths of the heads.
    """
    return 2 * model.n_heads * sum(pair_widths(model, scenario)) * pairs_per_head(model, scenario)


def pairs_per_head(model: Model, scenario: Scenario) -> Quantity:
    """Pairs of positions that one query head scores in a step, all sequences together, mean over all layers [-]."""
    if scenario.phase == "prefill":
        return scenario.batch * prefill_pairs(model, scenario.prompt_tokens)
    return scenario.batch * tokens_in_view(model, scenario.context_tokens + 1)


def pair_widths(model: Model, scenario: Scenario) -> tuple[int, int]:
    """Widths of the key and of the value that one query head meets in one pair of positions."""
    if model.attention == "gqa":
        return model.head_dim, model.head_dim
    if scenario.phase == "prefill":
        return model.qk_nope_head_dim + model.qk_rope_head_dim, model.v_head_dim
    return model.kv_lora_rank + model.qk_rope_head_dim, model.kv_lora_rank


def prefill_pairs(model: Model, prompt_tokens: Quantity) -> Quantity:
    """Causal pairs of positions of one prompt, mean over all layers [-]; a windowed layer has p·w − w (w − 1) / 2."""
    pairs = prompt_tokens * (prompt_tokens + 1) / 2
    if not model.n_windowed_layers:
        return pairs
    seen = np.minimum(prompt_tokens, model.window_tokens)
    windowed = model.n_windowed_layers / model.n_layers
    in_window: Quantity = prompt_tokens * seen - seen * (seen - 1) / 2
    return (1 - windowed) * pairs + windowed * in_window


def kv_traffic_bytes(model: Model, scenario: Scenario) -> Quantity:
    """Bytes of keys and values of one layer that are read and written in a step, mean over all layers [byte].

    Decode: what the cache keeps of each sequence is read once, one token is written; prefill: written once and read
    once. Multi-head latent attention moves the compressed ones.
    """
    per_token = model.kv_elements_per_layer * BITS[scenario.precision.kv_cache] / BITS_PER_BYTE
    if scenario.phase == "prefill":
        return scenario.batch * 2 * scenario.prompt_tokens * per_token
    return scenario.batch * tokens_in_view(model, scenario.context_tokens + 1) * per_token


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
        fetch_ns=unit_fetch_ns(arch, unit, n_bytes=kv_bytes),
        compute_pj=operations_energy_pj(unit, ops=ops, precision=precision),
        memory_pj=0.0 * kv_bytes
        if is_flat
        else transfer_pj(n_bytes=kv_bytes, energy_pj_per_bit=memory.energy_pj_per_bit),
    )
