"""One digital unit group: roofline time of arithmetic and of memory traffic, energy of operations."""

from __future__ import annotations

from typing import Final

import numpy as np

from dse.cost.memory import transfer_ns
from dse.errors import Problem, SpecError
from dse.spec.architecture import Architecture, DigitalUnit, PerOperationEnergy
from dse.units import BITS, BITS_PER_BYTE, Precision, Quantity

SCALE_BITS: Final = 16
"""Bits of the scale that a group of int4 weights shares."""


def compute_precision(unit: DigitalUnit, *, weights: Precision, activations: Precision) -> Precision:
    """Narrowest listed peak precision that is no narrower than weights and activations.

    Raises:
        SpecError: the unit lists no precision that wide.
    """
    needed = max(BITS[weights], BITS[activations])
    wide = [p for p in unit.peak_ops_per_ns if BITS[p] >= needed]
    if not wide:
        message = (
            f"lists no precision of {needed} bits or more, which {weights} weights with {activations} activations "
            f"need; add one, e.g. {'fp32' if needed > BITS['fp16'] else 'fp16'}"
        )
        raise SpecError([Problem(message, path=f"digital_units.{unit.name}.peak_ops_per_ns")])
    exact = [p for p in (weights, activations) if p in wide]
    return exact[0] if exact else min(wide, key=lambda p: BITS[p])


def stored_bits(unit: DigitalUnit, precision: Precision) -> Quantity:
    """Bits of one stored weight [bit]; int4 weights with group scales carry 16 / ``int4_group`` more each."""
    if precision == "int4" and unit.int4_group is not None:
        return BITS["int4"] + SCALE_BITS / unit.int4_group
    return float(BITS[precision])


def compute_ns(*, ops: Quantity, peak_ops_per_ns: Quantity, compute_fraction: Quantity, n_units: Quantity) -> Quantity:
    """Time of arithmetic at the reached share of the peak of all units [ns].

    >>> compute_ns(ops=7000, peak_ops_per_ns=1000, compute_fraction=0.7, n_units=1)
    10.0
    """
    return ops / (peak_ops_per_ns * compute_fraction * n_units)


def operations_energy_pj(unit: DigitalUnit, *, ops: Quantity, precision: Precision) -> Quantity:
    """Energy of operations [pJ]; 0 for a flat-power unit, whose power covers them."""
    if not isinstance(unit.energy, PerOperationEnergy):
        return 0.0 * ops
    return ops * unit.energy.op_pj[precision]


def unit_compute_ns(arch: Architecture, unit: DigitalUnit, *, ops: Quantity, precision: Precision) -> Quantity:
    """Time of operations on all units of a group [ns]."""
    return compute_ns(
        ops=ops,
        peak_ops_per_ns=unit.peak_ops_per_ns[precision],
        compute_fraction=unit.utilisation.compute_fraction,
        n_units=arch.n_units(unit),
    )


def unit_vector_ns(arch: Architecture, unit: DigitalUnit, *, ops: Quantity) -> Quantity:
    """Time of operations on the vector lanes of all units of a group [ns]."""
    assert unit.vector is not None, unit.name
    return compute_ns(
        ops=ops,
        peak_ops_per_ns=unit.vector.peak_ops_per_ns,
        compute_fraction=unit.utilisation.compute_fraction,
        n_units=arch.n_units(unit),
    )


def unit_fetch_ns(arch: Architecture, unit: DigitalUnit, *, n_bytes: Quantity) -> Quantity:
    """Time to move bytes between a group and its memory [ns]."""
    return transfer_ns(
        n_bytes=n_bytes,
        bandwidth_bytes_per_ns=arch.memory(unit.memory).bandwidth_bytes_per_ns,
        bandwidth_fraction=unit.utilisation.bandwidth_fraction,
    )


def matmul_ns(
    arch: Architecture, unit: DigitalUnit, *, m: Quantity, n: Quantity, k: Quantity, precision: Precision
) -> Quantity:
    """Time of one matrix product (m × k) · (k × n) that starts and ends in memory [ns].

    ``T = max(2 m n k / (peak · u_compute), (m k + k n + m n) · bytes / (bandwidth · u_bandwidth)) + t_launch``

    Valid for: one kernel with nothing left on chip from the kernel before; a layer's step (``digital_cost``) has the
    same three terms, moves weights only, and takes the larger of the sums over all its products. Products of few
    hundred columns take longer: the launch hides what they need to fill the machine.

    Source: roofline of Williams, CACM 52(4):65 (2009), with a launch added as in LLMCompass, ISCA 2024.
    """
    moved = (m * k + k * n + m * n) * BITS[precision] / BITS_PER_BYTE
    busy = np.maximum(
        unit_compute_ns(arch, unit, ops=2.0 * m * n * k, precision=precision),
        unit_fetch_ns(arch, unit, n_bytes=moved),
    )
    return busy + unit.launch_ns
