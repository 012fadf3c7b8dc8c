"""How far a figure of a core may be off: a factor either way, by what it rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import numpy as np

from dse.cost.calibration import residuals, stating
from dse.cost.operating_point import OperatingPoint, point_of_calibration, point_of_core
from dse.spec.analog_core import AnalogCore
from dse.spec.core_cost import ComponentsCost
from dse.units import Quantity

Banded = Literal["energy", "time", "area"]
"""What a band is stated for."""
UNCALIBRATED: Final[Mapping[Banded, float]] = {"energy": 10.0, "time": 3.0, "area": 5.0}
"""Formulas alone: what is published of the shipped chips is 1.2 to 7.3 times the energy and 1 to 3.6 times the area
that their files give without calibration; converters in macros spend 0.25 to 10 times the survey. Time: assumed."""
FARTHEST: Final = 3.0
"""What the distance from a published point comes to at most; assumed."""
AT_A_POINT: Final = 1.05
"""At a published point: the lower end of what calibrated totals are taken to be good for."""
AWAY: Final = 1.1
"""Away from every published point: the upper end of it, before the distance counts; raised from 1.05 on seeing the
other points of the shipped chips, so that their share in the band is no independent check."""
PER_E_FOLD: Final = 0.15
"""What each e-fold of distance in a setting adds to the logarithm."""
_OF_THE_TILE: Final = ("adc_bits", "adc_per_tile", "node", "rows", "cols")
_OF_ITS_USE: Final = ("rows_used", "cols_used", "phases", "dac_bits", "supply")
SETTINGS: Final[Mapping[Banded, tuple[str, ...]]] = {
    "energy": (*_OF_THE_TILE, *_OF_ITS_USE), "time": (*_OF_THE_TILE, *_OF_ITS_USE), "area": _OF_THE_TILE,
}  # fmt: skip
"""Quantity → the settings that may move it."""
QUANTITIES: Final[Mapping[Banded, str]] = {"energy": "energy_pj", "time": "time_ns", "area": "area_mm2"}
"""Banded quantity → its name in a calibration."""
OF_FIGURE: Final[Mapping[str, tuple[Banded, ...]]] = {
    "mvm_energy_pj": ("energy",), "power_mw": ("energy",), "tops_per_w": ("energy",), "mvm_latency_ns": ("time",),
    "tops": ("time",), "area_mm2": ("area",), "tops_per_mm2": ("time", "area"),
}  # fmt: skip
"""Figure of a datasheet → the quantities whose factors, multiplied, are its own."""


def band_factor(
    core: AnalogCore, quantity: Banded, rows_used: Quantity | None = None, cols_used: Quantity | None = None
) -> Quantity:
    """Factor either way within which energy or time of a product, or the area of the tile, is taken to lie [-].

    1.05 at a published point, elsewhere ``1.1·exp(0.15·d)``, at most 3, with d the sum over the settings of
    |ln(setting / setting of the nearest point that states the quantity)|: a figure is as good as its published point
    there, and loses with the distance from it. Where the formulas cannot follow the points, the largest ratio of a
    residual stands for 1.05 and 1.1. Where no point states it, 10 for energy, 3 for time, 5 for area; 1 for a core
    known by totals or a table, whose spread stands with its values. Assumed, not fitted.
    """
    cost = core.cost
    if not isinstance(cost, ComponentsCost):
        return 1.0
    if cost.band_factor is not None:
        return cost.band_factor
    points = stating(cost, QUANTITIES[quantity])
    if not points:
        return UNCALIBRATED[quantity]
    at = point_of_core(
        core, cost, core.rows if rows_used is None else rows_used, core.cols if cols_used is None else cols_used
    )
    away = [distance(at, point_of_calibration(core, cost, given), SETTINGS[quantity]) for given in points]
    nearest, worst = np.minimum.reduce(np.broadcast_arrays(*away)), worst_residual(core, cost, quantity)
    loses = np.minimum(np.maximum(AWAY, worst) * np.exp(PER_E_FOLD * nearest), np.maximum(FARTHEST, worst))
    factor: Quantity = np.where(nearest == 0, np.maximum(AT_A_POINT, worst), loses)
    return factor


def worst_residual(core: AnalogCore, cost: ComponentsCost, quantity: Banded) -> Quantity:
    """Largest ratio, either way, of a calibrated figure to the published one [-]."""
    ratios = [r.predicted / r.stated for r in residuals(core, cost) if r.quantity == QUANTITIES[quantity]]
    worst: Quantity = np.maximum.reduce(np.broadcast_arrays(1.0, *ratios, *(1.0 / ratio for ratio in ratios)))
    return worst


def figure_factor(
    core: AnalogCore, figure: str, rows_used: Quantity | None = None, cols_used: Quantity | None = None
) -> Quantity:
    """Factor either way within which a figure of the datasheet is taken to lie [-].

    The factors of the quantities that it is made of, multiplied; that of power is that of its energy.
    """
    factors = (band_factor(core, quantity, rows_used, cols_used) for quantity in OF_FIGURE[figure])
    product: Quantity = np.prod(np.broadcast_arrays(*factors), axis=0)
    return product


def distance(one: OperatingPoint, other: OperatingPoint, settings: Sequence[str]) -> Quantity:
    """Sum over some settings of the logarithm of their ratio, without sign [-]."""
    pairs = [(getattr(one, name), getattr(other, name)) for name in settings]
    ratios = [np.asarray(a) / b for a, b in pairs if a is not None and b is not None]
    return sum((np.abs(np.log(ratio)) for ratio in ratios), np.float64(0.0))
