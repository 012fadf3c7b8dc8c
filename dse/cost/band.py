"""How far a figure of a core may be off: a factor either way, by what it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import numpy as np

from dse.cost.operating_point import OperatingPoint, point_of_calibration, point_of_core
from dse.spec.analog_core import AnalogCore
from dse.spec.core_cost import ComponentsCost
from dse.units import Quantity

Banded = Literal["energy", "time", "area"]
"""What a band is stated for."""
UNCALIBRATED: Final = 3.0
"""Formulas alone: half of the surveyed converters lie within this factor of the regression's median."""
AT_A_POINT: Final = 1.05
"""At a published point: the lower end of what calibrated totals are taken to be good for."""
AWAY: Final = 1.1
"""Away from every published point: the upper end of it, before the distance counts; raised from 1.05 on seeing the
other points of the shipped chips, so that their share in the band is no independent check."""
PER_E_FOLD: Final = 0.15
"""What each e-fold of distance in a setting adds to the logarithm."""
SETTINGS: Final = (
    "rows_used", "cols_used", "phases", "dac_bits", "adc_bits", "adc_per_tile", "supply", "node", "rows", "cols",
)  # fmt: skip
STATED_BY: Final[Mapping[Banded, tuple[str, ...]]] = {
    "energy": ("energy_pj", "power_mw", "tops_per_w"), "time": ("time_ns", "tops"), "area": ("area_mm2",),
}  # fmt: skip
"""Quantity → the figures of a calibration point that state it."""


def band_factor(
    core: AnalogCore, quantity: Banded, rows_used: Quantity | None = None, cols_used: Quantity | None = None
) -> Quantity:
    """Factor either way within which energy or time of a product, or the area of the tile, is taken to lie [-].

    1.05 at a published point, elsewhere ``1.1·exp(0.15·d)``, at most 3, with d the sum over the settings of
    |ln(setting / setting of the nearest point that states the quantity)|: a figure is as good as its published point
    there, and loses with the distance from it. 3 where no point states it; 1 for a core known by totals or a table,
    whose spread stands with its values. Assumed, not fitted.
    """
    cost = core.cost
    if not isinstance(cost, ComponentsCost):
        return 1.0
    if cost.band_factor is not None:
        return cost.band_factor
    stating = [p for p in cost.calibration if any(getattr(p, name) is not None for name in STATED_BY[quantity])]
    if not stating:
        return UNCALIBRATED
    at = point_of_core(
        core, cost, core.rows if rows_used is None else rows_used, core.cols if cols_used is None else cols_used
    )
    away = [distance(at, point_of_calibration(core, cost, given)) for given in stating]
    nearest = np.minimum.reduce(np.broadcast_arrays(*away))
    factor: Quantity = np.where(nearest == 0, AT_A_POINT, np.minimum(AWAY * np.exp(PER_E_FOLD * nearest), UNCALIBRATED))
    return factor


def distance(one: OperatingPoint, other: OperatingPoint) -> Quantity:
    """Sum over the settings of the logarithm of their ratio, without sign [-]."""
    pairs = [(getattr(one, name), getattr(other, name)) for name in SETTINGS]
    ratios = [np.asarray(a) / b for a, b in pairs if a is not None and b is not None]
    return sum((np.abs(np.log(ratio)) for ratio in ratios), np.float64(0.0))
