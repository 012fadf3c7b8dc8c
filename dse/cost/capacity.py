"""What there is to hold blocks: crossbars of analog groups, bytes of memories after what lives there anyway."""

from __future__ import annotations

from dse.cost.memory import activation_bytes
from dse.cost.option import dense_precision, host_unit
from dse.spec.architecture import Architecture
from dse.units import BITS, BITS_PER_BYTE, Quantity
from dse.workload.build import Workload, kv_cache_bytes


def capacity_units(arch: Architecture, workload: Workload) -> dict[str, Quantity]:
    """Resource → capacity for blocks: crossbars, or bytes; never below 0 is not promised, it shows a misfit."""
    capacity: dict[str, Quantity] = {c.name: arch.n_crossbars(c) for c in arch.analog_cores}
    for memory in arch.memories:
        capacity[memory.name] = memory.capacity_bytes
    host_memory = host_unit(arch).memory
    for n_bytes in resident_bytes(arch, workload).values():
        capacity[host_memory] = capacity[host_memory] - n_bytes
    return capacity


def resident_bytes(arch: Architecture, workload: Workload) -> dict[str, Quantity]:
    """What lives in the host's memory besides blocks [byte]: KV cache, activations, embedding."""
    model, scenario = workload.model, workload.scenario
    length = scenario.prompt_tokens if scenario.phase == "prefill" else scenario.context_tokens + 1
    kv_bytes = kv_cache_bytes(model, tokens=length, bits=BITS[scenario.precision.kv_cache])
    inner = max(model.d_expert * (2 if model.ffn == "gated" else 1), 1)
    embedding_bits = BITS[dense_precision(host_unit(arch), workload)]
    return {
        "KV cache": scenario.batch * kv_bytes,
        "activations": activation_bytes(
            tokens=workload.tokens_per_step,
            d_model=model.d_model,
            top_k=model.top_k,
            inner_width=inner,
            activation_bits=BITS[scenario.precision.activations],
        ),
        "embedding": 0.0 if model.tied_head else model.vocab_size * model.d_model * embedding_bits / BITS_PER_BYTE,
    }
