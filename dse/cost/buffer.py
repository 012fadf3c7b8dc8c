"""The on-chip buffer of a digital unit: activations that pass it, dense weights that it keeps from step to step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from dse.cost.memory import activation_bytes, transfer_ns, transfer_pj
from dse.spec.architecture import Architecture, Buffer, DigitalUnit, FlatPower
from dse.units import BITS, BITS_PER_BYTE, Quantity
from dse.workload.blocks import BlockClass
from dse.workload.build import Workload

BUFFER: Final = "on-chip buffer"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class BufferCost:
    """What one block class costs at the buffer of a unit; all zero without one."""

    held_fraction: Quantity = 0.0
    """Share of the block's weights that stay on chip and are not read from memory."""
    visit_pj: Quantity = 0.0
    activation_pj: Quantity = 0.0
    visit_ns: Quantity = 0.0
    activation_ns: Quantity = 0.0


def buffer_cost(
    arch: Architecture,
    workload: Workload,
    block_class: BlockClass,
    unit: DigitalUnit,
    *,
    n_bytes: Quantity,
    bits_per_weight: Quantity,
) -> BufferCost:
    """Traffic of the buffer: inputs and outputs of every matrix per visit, held weights once per activation.

    Valid for: matrix products that are not fused (each reads its input and writes its output) and activations that
    fit; weights on their way from memory, attention scores and vector work pass at no cost.

    Args:
        arch: units of the group.
        workload: precision of activations, size of the dense blocks.
        block_class: block on this unit.
        unit: unit with or without a buffer.
        n_bytes: bytes of the block's weights.
        bits_per_weight: of dense weights on this unit, scales included.
    """
    buffer = unit.buffer
    if buffer is None:
        return BufferCost()
    width = BITS[workload.scenario.precision.activations] / BITS_PER_BYTE
    read = sum(matrix.n_in for matrix in block_class.matrices) * width
    written = sum(matrix.n_out for matrix in block_class.matrices) * width
    held: Quantity = 0.0
    if block_class.kind != "expert" and buffer.holds == "dense":
        held = held_fraction(arch, workload, unit, buffer, bits_per_weight=bits_per_weight)
    bandwidth = buffer.bandwidth_bytes_per_ns * arch.n_units(unit)
    visit_pj = transfer_pj(n_bytes=read, energy_pj_per_bit=buffer.read_pj_per_bit) + transfer_pj(
        n_bytes=written, energy_pj_per_bit=buffer.write_pj_per_bit
    )
    activation_pj = transfer_pj(n_bytes=held * n_bytes, energy_pj_per_bit=buffer.read_pj_per_bit)
    is_flat = isinstance(unit.energy, FlatPower)
    return BufferCost(
        held_fraction=held,
        visit_pj=0.0 if is_flat else visit_pj,
        activation_pj=0.0 if is_flat else activation_pj,
        visit_ns=transfer_ns(n_bytes=read + written, bandwidth_bytes_per_ns=bandwidth),
        activation_ns=transfer_ns(n_bytes=held * n_bytes, bandwidth_bytes_per_ns=bandwidth),
    )


def held_fraction(
    arch: Architecture, workload: Workload, unit: DigitalUnit, buffer: Buffer, *, bits_per_weight: Quantity
) -> Quantity:
    """Share of the dense weights that stay on chip, ``min(1, max(0, capacity − activations) / dense bytes)`` [-].

    Dense bytes are those of all dense blocks of the model, wherever they are placed.
    """
    room = buffer.capacity_bytes * arch.n_units(unit) - live_activation_bytes(workload)
    dense = dense_weights(workload) * bits_per_weight / BITS_PER_BYTE
    return np.clip(room / dense, 0.0, 1.0)


def dense_weights(workload: Workload) -> int:
    """Weights of all blocks that every token visits: attention, routers, shared experts, dense FFNs, head."""
    model = workload.model
    n_blocks = {
        "attention": model.n_layers, "router": model.n_moe_layers, "shared": model.n_moe_layers,
        "ffn": model.n_layers - model.n_moe_layers, "head": 1,
    }  # fmt: skip
    return sum(n_blocks.get(block_class.kind, 0) * block_class.n_weights for block_class in workload.classes)


def live_activation_bytes(workload: Workload) -> Quantity:
    """Bytes of activations that are alive at once [byte]; of a request those of its prefill."""
    model, scenario = workload.model, workload.scenario
    return activation_bytes(
        tokens=scenario.batch * (1.0 if scenario.phase == "decode" else scenario.prompt_tokens),
        d_model=model.d_model,
        top_k=model.top_k,
        inner_width=max(model.d_expert * (2 if model.ffn == "gated" else 1), 1),
        activation_bits=BITS[scenario.precision.activations],
    )
