"""Fits what the formulas of a tile leave open to published operating points."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dse.cost.operating_point import (
    OperatingPoint,
    Remainder,
    area_at,
    energy_at,
    point_of_calibration,
    time_at,
)
from dse.errors import Problem, SpecError
from dse.spec.architecture import AnalogCore
from dse.spec.core_cost import ComponentsCost, FreeEnergy
from dse.units import Quantity

ROUNDING = 1e-9


class Residual(NamedTuple):
    """A published operating point against the calibrated formulas."""

    point: int
    quantity: str
    stated: Quantity
    predicted: Quantity

    @property
    def error_fraction(self) -> Quantity:
        """Predicted over stated, less one [-]."""
        return self.predicted / self.stated - 1.0


def free_energy(cost: ComponentsCost) -> FreeEnergy:
    """Which energies calibration determines."""
    if cost.free.energy is not None:
        return cost.free.energy
    return "fixed" if len(cost.calibration) == 1 else "row_and_fixed"


def calibrated(core: AnalogCore, cost: ComponentsCost) -> Remainder:
    """What is to be added to the formulas so that they meet the points best (least squares).

    Numbers, or one per design point where the file's own values have one each.

    Raises:
        SpecError: the formulas alone give more than a published figure.
    """
    if not cost.calibration:
        return Remainder()
    points = [point_of_calibration(core, cost, given) for given in cost.calibration]
    row_pj, fixed_pj = energy_remainder(cost, points)
    settle_ns, conversion_ns = time_remainder(cost, points)
    found = Remainder(
        row_pj=row_pj,
        fixed_pj=fixed_pj,
        settle_ns=settle_ns,
        conversion_ns=conversion_ns,
        area_mm2=area_remainder(cost, points),
    )
    require_non_negative(core, cost, points, found)
    return found


def energy_remainder(cost: ComponentsCost, points: Sequence[OperatingPoint]) -> tuple[Quantity, Quantity]:
    """Energy of a driven row and of a product that the formulas leave open [pJ]."""
    left = [
        given.energy_pj - sum(energy_at(cost, at, Remainder()).values(), 0.0)
        for given, at in zip(cost.calibration, points, strict=True)
    ]
    driven = [at.phases * at.rows_used for at in points]
    n, which = len(points), free_energy(cost)
    mean = sum(left, 0.0) / n
    if which == "fixed":
        return 0.0, mean
    xx, xy = sum((x * x for x in driven), 0.0), sum((x * y for x, y in zip(driven, left, strict=True)), 0.0)
    if which == "row":
        return xy / xx, 0.0
    mean_x = sum(driven, 0.0) / n
    slope = (xy - n * mean_x * mean) / (xx - n * mean_x * mean_x)
    return slope, mean - slope * mean_x


def time_remainder(cost: ComponentsCost, points: Sequence[OperatingPoint]) -> tuple[Quantity, Quantity]:
    """Time before conversion and time of a conversion that the formulas leave open [ns]."""
    left = [
        (given.time_ns - time_at(cost, dataclasses.replace(at, pulse_ns=0.0), Remainder())) / at.phases
        for given, at in zip(cost.calibration, points, strict=True)
    ]
    if cost.free.time == "settle":
        return sum(left, 0.0) / len(left), 0.0
    rounds = [at.rounds for at in points]
    xy, xx = sum((x * y for x, y in zip(rounds, left, strict=True)), 0.0), sum((x * x for x in rounds), 0.0)
    return 0.0, xy / xx


def area_remainder(cost: ComponentsCost, points: Sequence[OperatingPoint]) -> Quantity:
    """Area of a tile that the formulas leave open [mm²]; 0 where no point states one."""
    left = [
        given.area_mm2 - area_at(cost, at, Remainder())
        for given, at in zip(cost.calibration, points, strict=True)
        if given.area_mm2 is not None
    ]
    return sum(left, 0.0) / len(left) if left else 0.0


def residuals(core: AnalogCore, cost: ComponentsCost) -> tuple[Residual, ...]:
    """Every published figure beside what the calibrated formulas give."""
    extra, found = calibrated(core, cost), []
    for index, given in enumerate(cost.calibration):
        at = point_of_calibration(core, cost, given)
        energy = sum(energy_at(cost, at, extra).values(), 0.0)
        found.append(Residual(index, "energy_pj", given.energy_pj, energy))
        found.append(Residual(index, "time_ns", given.time_ns, time_at(cost, at, extra)))
        if given.area_mm2 is not None:
            found.append(Residual(index, "area_mm2", given.area_mm2, area_at(cost, at, extra)))
    return tuple(found)


def require_non_negative(
    core: AnalogCore, cost: ComponentsCost, points: Sequence[OperatingPoint], found: Remainder
) -> None:
    """Raises SpecError where the formulas alone give more than the published figures."""
    stated = {
        "energy_pj": (found.row_pj, "a driven row", found.fixed_pj, "a product"),
        "time_ns": (found.settle_ns, "settling", found.conversion_ns, "a conversion"),
        "area_mm2": (found.area_mm2, "the tile", 0.0, ""),
    }
    scales = {key: max(float(np.max(getattr(g, key) or 0.0)) for g in cost.calibration) for key in stated}
    problems = []
    for key, (first, first_name, second, second_name) in stated.items():
        for value, name in ((first, first_name), (second, second_name)):
            lowest = float(np.min(value))
            if lowest < -ROUNDING * scales[key]:
                message = (
                    f"{key}: calibration would leave {lowest:.4g} {key.rsplit('_', maxsplit=1)[-1]} for {name}; the "
                    f"formulas of dac, cell, adc and periphery give more than the published figures, lower them "
                    f"(e.g. adc.energy_scale, adc.conversion_ns) or choose another free.energy, free.time"
                )
                problems.append(Problem(message, path=f"analog_cores.{core.name}.cost.calibration"))
    for index, (given, at) in enumerate(zip(cost.calibration, points, strict=True)):
        least = float(np.max(at.phases * at.pulse_ns + cost.post_ns - given.time_ns))
        if least > ROUNDING * float(np.max(given.time_ns)):
            message = (
                f"time_ns: {least:.4g} ns less than its read phases of {float(np.max(at.pulse_ns)):g} ns and post_ns "
                "take; lower read.pulse_ns, or state the pulse_ns of the point"
            )
            problems.append(Problem(message, path=f"analog_cores.{core.name}.cost.calibration[{index}]"))
    if problems:
        raise SpecError(problems)
