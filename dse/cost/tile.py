"""What one tile of an analog core costs: the one place where energy, time and area of a tile are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from dse.cost.calibration import calibrated, free_energy
from dse.cost.operating_point import area_at, energy_at, point_of_core, time_at
from dse.spec.architecture import AnalogCore
from dse.spec.core_cost import LumpedCost
from dse.units import Quantity

LUMPED: Final = "analog MVM"
"""The one part of a lumped core's energy."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class MvmCost:
    """Cost of one matrix-vector product of one crossbar."""

    parts_pj: Mapping[str, Quantity]
    """Part → energy [pJ]; they add up to the total."""
    latency_ns: Quantity
    """Time from input vector to output vector [ns]."""

    @property
    def energy_pj(self) -> Quantity:
        """Energy of the product [pJ]."""
        return sum(self.parts_pj.values(), 0.0)


def mvm_cost(core: AnalogCore, rows_used: Quantity | None = None, cols_used: Quantity | None = None) -> MvmCost:
    """Energy and time of one product; a lumped core's do not depend on the fill.

    Args:
        core: the analog core.
        rows_used: rows driven; None: all.
        cols_used: columns read; None: all.

    Raises:
        SpecError: a calibration that its formulas cannot meet.
    """
    cost = core.cost
    if isinstance(cost, LumpedCost):
        return MvmCost(parts_pj={LUMPED: cost.mvm.energy_pj}, latency_ns=cost.mvm.latency_ns)
    rows, cols = core.rows if rows_used is None else rows_used, core.cols if cols_used is None else cols_used
    at, extra = point_of_core(core, cost, rows, cols), calibrated(core, cost)
    return MvmCost(parts_pj=energy_at(cost, at, extra), latency_ns=time_at(cost, at, extra))


def tile_area_mm2(core: AnalogCore) -> Quantity:
    """Area of one tile: all its tiers and its periphery [mm²].

    Raises:
        SpecError: a calibration that its formulas cannot meet.
    """
    cost = core.cost
    if isinstance(cost, LumpedCost):
        return cost.tile_area_mm2
    return area_at(cost, point_of_core(core, cost, core.rows, core.cols), calibrated(core, cost))


def energy_source(core: AnalogCore, part: str) -> str:
    """Dotted path, below ``cost``, of the value that a part of the energy rests on most."""
    cost = core.cost
    if isinstance(cost, LumpedCost):
        return "mvm.energy_pj"
    free = free_energy(cost) if cost.calibration else ""
    match part:
        case "DAC":
            return "calibration[0].energy_pj" if free in ("row", "row_and_fixed") else "dac"
        case "array":
            return "cell"
        case "ADC":
            return "adc"
        case "column periphery":
            return "column_pj"
        case _:
            return "calibration[0].energy_pj" if free in ("fixed", "row_and_fixed") else "fixed_pj"
