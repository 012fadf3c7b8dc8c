"""One digital unit group: roofline time and energy of arithmetic."""

from __future__ import annotations

from dse.errors import SpecError
from dse.spec.architecture import DigitalUnit, PerOperationEnergy
from dse.units import BITS, Precision, Quantity


def compute_precision(unit: DigitalUnit, *, weights: Precision, activations: Precision) -> Precision:
    """Narrowest listed peak precision that is no narrower than weights and activations.

    Raises:
        SpecError: the unit lists no precision that wide.
    """
    needed = max(BITS[weights], BITS[activations])
    wide = [p for p in unit.peak_ops_per_ns if BITS[p] >= needed]
    if not wide:
        raise SpecError(
            f"digital_units.{unit.name}.peak_ops_per_ns: lists no precision of {needed} bits or more, which "
            f"{weights} weights with {activations} activations need; add one, e.g. fp16"
        )
    exact = [p for p in (weights, activations) if p in wide]
    return exact[0] if exact else min(wide, key=lambda p: BITS[p])


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
