"""Fits what the formulas of a tile leave open to published operating points."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dse.cost.crossbar_components import Use
from dse.cost.nonnegative_fit import is_determined, nonnegative_fit
from dse.cost.operating_point import OperatingPoint, point_of_calibration
from dse.cost.tile_formulas import Remainder, area_at, energy_at, time_at
from dse.errors import Problem, SpecError
from dse.spec.analog_core import AnalogCore
from dse.spec.calibration_point import CalibrationPoint
from dse.spec.core_cost import ComponentsCost
from dse.units import Quantity

ROUNDING: Final = 1e-9
FIELDS: Final[Mapping[str, Mapping[str, str]]] = {
    "energy_pj": {"leak": "leak_mw"} | {k: f"{k}_pj" for k in ("row", "cell", "column", "adc", "post", "fixed")},
    "time_ns": {k: f"{k}_ns" for k in ("settle", "conversion", "post")},
    "area_mm2": {k: f"{k}_mm2" for k in ("fixed", "column", "cell")},
}
"""Quantity → name of a free parameter → its field of the remainder."""

STATED_BY: Final[Mapping[str, tuple[str, ...]]] = {
    "energy_pj": ("energy_pj", "power_mw", "tops_per_w"), "time_ns": ("time_ns", "tops"), "area_mm2": ("area_mm2",),
}  # fmt: skip
"""Quantity → the figures of a calibration point that state it."""

REMEDIES: Final = {
    "energy_pj": "e.g. adc.energy_scale, cell.read_v, dac, row_pj",
    "time_ns": "e.g. read.pulse_ns of the core or pulse_ns of the point, adc.conversion_ns, settle_ns, post_ns",
    "area_mm2": "e.g. adc.area_scale, cell.area_mm2, column_area_mm2, fixed_area_mm2",
}
"""What to lower where the formulas give too much."""


class Measured(NamedTuple):
    """A published operating point: its settings, and its figures as energy, time and area (None where not stated)."""

    number: int
    at: OperatingPoint
    energy_pj: Quantity | None
    time_ns: Quantity | None
    area_mm2: Quantity | None


class Residual(NamedTuple):
    """A published figure against the calibrated formulas."""

    point: int
    quantity: str
    stated: Quantity
    predicted: Quantity

    @property
    def error_fraction(self) -> Quantity:
        """Predicted over stated, less one [-]."""
        return self.predicted / self.stated - 1.0


def measured(core: AnalogCore, cost: ComponentsCost, index: int) -> Measured:
    """A calibration point in energy, time and area: power is energy over time, TOPS are 2·R·K over time / 1000."""
    given: CalibrationPoint = cost.calibration[index]
    at = point_of_calibration(core, cost, given)
    ops = 2.0 * at.rows_used * at.cols_used
    time = given.time_ns if given.tops is None else ops / given.tops / 1000
    energy = given.energy_pj if given.tops_per_w is None else ops / given.tops_per_w
    if given.power_mw is not None:
        assert time is not None
        energy = given.power_mw * time
    return Measured(index, at, energy, time, given.area_mm2)


def all_measured(core: AnalogCore, cost: ComponentsCost) -> list[Measured]:
    """Every calibration point."""
    return [measured(core, cost, index) for index in range(len(cost.calibration))]


def free_parameters(cost: ComponentsCost) -> Mapping[str, Sequence[str]]:
    """Quantity → free parameters; none where no point states the quantity."""
    n = {quantity: len(stating(cost, quantity)) for quantity in STATED_BY}
    energy: Sequence[str] = cost.free.energy or (("fixed",) if n["energy_pj"] == 1 else ("row", "fixed"))
    return {
        "energy_pj": energy if n["energy_pj"] else (),
        "time_ns": cost.free.time if n["time_ns"] else (),
        "area_mm2": cost.free.area if n["area_mm2"] else (),
    }


def stating(cost: ComponentsCost, quantity: str) -> list[CalibrationPoint]:
    """The calibration points that state a quantity."""
    return [p for p in cost.calibration if any(getattr(p, name) is not None for name in STATED_BY[quantity])]


def stated_by(point: CalibrationPoint, quantity: str) -> str:
    """The figure by which a calibration point states a quantity."""
    return next(name for name in STATED_BY[quantity] if getattr(point, name) is not None)


def first_stating(cost: ComponentsCost, quantity: str) -> str:
    """Dotted path, below ``cost``, of the first published figure that states a quantity."""
    first = stating(cost, quantity)[0]
    return f"calibration.{cost.calibration.index(first)}.{stated_by(first, quantity)}"


def predictors(core: AnalogCore, cost: ComponentsCost) -> Mapping[str, Callable[[Measured, Remainder], Quantity]]:
    """Quantity → what the formulas and a remainder give for a published point."""

    def energy(point: Measured, extra: Remainder) -> Quantity:
        at = point.at
        busy = point.time_ns if point.time_ns is not None else time_at(cost, at, extra)
        use = Use(1.0, at.rows_used, at.cols_used, at.rows_used * at.cols_used, busy)
        return sum(energy_at(core, cost, at, extra, use).values(), 0.0)

    def time(point: Measured, extra: Remainder) -> Quantity:
        return time_at(cost, point.at, extra)

    def area(point: Measured, extra: Remainder) -> Quantity:
        return sum(area_at(cost, point.at, extra).values(), 0.0)

    return {"energy_pj": energy, "time_ns": time, "area_mm2": area}


@lru_cache(maxsize=256)
def calibrated(core: AnalogCore, cost: ComponentsCost) -> Remainder:
    """What is added to the figures of the file so that they meet the published points best.

    Least squares of the relative errors, no parameter negative. The points are complete in themselves, so that the
    result depends on what the file says and not on the settings that an axis or override changes.

    Raises:
        SpecError: the formulas alone give more than a published figure, or the points do not determine what is free.
    """
    if not cost.calibration:
        return Remainder()
    points, predict, found = all_measured(core, cost), predictors(core, cost), Remainder()
    require_room(core, cost, points)
    for quantity, names in free_parameters(cost).items():
        with_figure = [p for p in points if getattr(p, quantity) is not None]
        if names and with_figure:
            fields = [FIELDS[quantity][name] for name in names]
            values = fit(core, quantity, fields, with_figure, predict[quantity], overlaps=cost.overlap)
            found = dataclasses.replace(found, **dict(zip(fields, values, strict=True)))
    return found


def fit(
    core: AnalogCore,
    quantity: str,
    fields: Sequence[str],
    points: Sequence[Measured],
    predict: Callable[[Measured, Remainder], Quantity],
    *,
    overlaps: bool,
) -> list[Quantity]:
    """Values of some fields of the remainder; numbers, or one per design point.

    The formulas are linear in the remainder: a column of the matrix is what one unit of a field adds. Where conversion
    overlaps the pulse, times are fitted on the conversion path (the pulse is checked before).
    """
    if quantity == "time_ns" and overlaps:
        points = [p._replace(at=dataclasses.replace(p.at, pulse_ns=0.0)) for p in points]
    stated = [getattr(p, quantity) for p in points]
    base = [predict(p, Remainder()) for p in points]
    columns = [[predict(p, Remainder(**{f: 1.0})) - b for p, b in zip(points, base, strict=True)] for f in fields]
    weighted = [[value / s for value, s in zip(column, stated, strict=True)] for column in columns]
    target = [1.0 - b / s for b, s in zip(base, stated, strict=True)]
    matrix = np.moveaxis(stacked([*weighted, target]), 0, -1)  # (M, N + 1, P) -> (P, M, N + 1)
    if not is_determined(matrix[:, :, :-1]):
        raise SpecError([undetermined(core, quantity, fields, len(points))])
    values = nonnegative_fit(matrix[:, :, :-1], np.maximum(matrix[:, :, -1], 0.0))
    return [float(v[0]) if len(v) == 1 else v for v in values.T]


def stacked(table: Sequence[Sequence[Quantity]]) -> NDArray[np.float64]:
    """(N, P, M) of a table of numbers or arrays with one entry per design point."""
    flat = np.broadcast_arrays(*[np.atleast_1d(np.asarray(v, np.float64)) for column in table for v in column])
    return np.moveaxis(np.stack(flat).reshape(len(table), len(table[0]), -1), 1, 2)


def residuals(core: AnalogCore, cost: ComponentsCost) -> tuple[Residual, ...]:
    """Every published figure beside what the calibrated formulas give."""
    extra = calibrated(core, cost)
    return tuple(
        Residual(point.number, quantity, stated, predict(point, extra))
        for point in all_measured(core, cost)
        for quantity, predict in predictors(core, cost).items()
        if (stated := getattr(point, quantity)) is not None
    )


def undetermined(core: AnalogCore, quantity: str, fields: Sequence[str], n_points: int) -> Problem:
    """The problem that the points do not determine the free parameters."""
    message = (
        f"{n_points} point{'s' * (n_points > 1)} with {quantity} cannot determine {', '.join(fields)}; add points that "
        f"differ in rows_driven, cols_used or phases, or free fewer parameters"
    )
    return Problem(message, path=f"analog_cores.{core.name}.cost.free.{quantity.partition('_')[0]}")


def require_room(core: AnalogCore, cost: ComponentsCost, points: Sequence[Measured]) -> None:
    """Raises SpecError where the formulas alone give more than the published figures."""
    problems = []
    for quantity, predict in predictors(core, cost).items():
        for point in points:
            stated = getattr(point, quantity)
            if stated is None:
                continue
            excess = predict(point, Remainder()) / stated - 1.0
            if np.max(excess) > ROUNDING:
                message = (
                    f"the formulas and figures of the file give {100 * float(np.max(excess)):.3g} % more {quantity} "
                    f"than this published figure; lower them ({REMEDIES[quantity]})"
                )
                key = stated_by(cost.calibration[point.number], quantity)
                path = f"analog_cores.{core.name}.cost.calibration[{point.number}].{key}"
                problems.append(Problem(message, path=path))
    if problems:
        raise SpecError(problems)
