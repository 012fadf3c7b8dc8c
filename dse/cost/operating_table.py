"""A core known by a table of operating points: linear between them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dse.errors import Problem, SpecError
from dse.spec.analog_core import AnalogCore
from dse.spec.core_cost import TableCost
from dse.units import Quantity

# P design points

Array = NDArray[np.float64]
SETTINGS: Final = ("rows_used", "cols_used", "phases", "dac_bits", "adc_bits", "supply_v")
"""Columns that say how the tile runs."""


class Axis(NamedTuple):
    """A setting in which the points of a table differ."""

    name: str
    known: Array
    """Values that the table has, rising."""
    asked: Array
    """Values that are asked for, () or (P,)."""


class TableReading(NamedTuple):
    """Energy and time of one product."""

    energy_pj: Quantity
    time_ns: Quantity


def read_operating_table(
    core: AnalogCore, cost: TableCost, *, rows_used: Quantity, cols_used: Quantity
) -> TableReading:
    """Energy and time of one product between the points of a table: linear in every column that varies.

    Raises:
        SpecError: a setting lies outside the table, or a combination of its settings is missing.
    """
    own: dict[str, Quantity | None] = {
        "rows_used": rows_used, "cols_used": cols_used, "phases": core.read.phases if core.read else None,
        "dac_bits": core.dac.bits, "adc_bits": core.adc.bits, "supply_v": cost.supply_v,
    }  # fmt: skip
    path = f"analog_cores.{core.name}.cost"
    axes: list[Axis] = []
    for name in SETTINGS:
        known = known_values(cost, name, path)
        if len(known):
            value = value_within(name, known, own[name], path)
            axes += [Axis(name, known, value)] if len(known) > 1 else []
    number = point_numbers(cost, axes, path)
    return TableReading(
        interpolated(axes, number, [point.energy_pj for point in cost.points]),
        interpolated(axes, number, [point.time_ns for point in cost.points]),
    )


def known_values(cost: TableCost, name: str, path: str) -> Array:
    """The values of a setting that the table has, rising; none where it has no such column.

    Raises:
        SpecError: only some points state it, or it differs between designs.
    """
    stated = [getattr(point, name) for point in cost.points]
    lacking = [index for index, value in enumerate(stated) if value is None]
    if len(lacking) == len(stated):
        return np.array([])
    if lacking:
        message = f"states no {name}, which other points state; give it for every point or for none"
        raise SpecError([Problem(message, path=f"{path}.points[{lacking[0]}]")])
    for index, value in enumerate(stated):
        if np.ndim(value):
            message = "says what the point holds for, so it cannot be an axis; vary the setting of the core"
            raise SpecError([Problem(message, path=f"{path}.points[{index}].{name}")])
    return np.unique(np.array(stated, np.float64))


def value_within(name: str, known: Array, value: Quantity | None, path: str) -> Array:
    """The value of a setting that is asked for.

    Raises:
        SpecError: the core does not state it, or it lies outside the table.
    """
    if value is None:
        raise SpecError([Problem(f"the table has a column {name}, but the core does not say its own", path=path)])
    if np.min(value) < known[0] or np.max(value) > known[-1]:
        low, high = float(np.min(value)), float(np.max(value))
        said = f"{low:g}" if low == high else f"{low:g} to {high:g}"
        message = f"{name} = {said} lies outside the table, which has {known[0]:g} to {known[-1]:g}; add points"
        raise SpecError([Problem(message, path=path)])
    return np.asarray(value, np.float64)


def point_numbers(cost: TableCost, axes: Sequence[Axis], path: str) -> NDArray[np.int64]:
    """Grid over the axes: which point of the table has these settings.

    Raises:
        SpecError: a combination of settings is missing.
    """
    number = np.full([len(axis.known) for axis in axes], -1)
    for index, point in enumerate(cost.points):
        number[tuple(int(np.searchsorted(axis.known, getattr(point, axis.name))) for axis in axes)] = index
    if (number < 0).any():
        missing = np.argwhere(number < 0)[0]
        said = ", ".join(f"{axis.name} = {axis.known[i]:g}" for axis, i in zip(axes, missing, strict=True))
        raise SpecError([Problem(f"the table lacks the combination {said}; it needs every combination", path=path)])
    return number


def interpolated(axes: Sequence[Axis], number: NDArray[np.int64], figures: Sequence[Quantity]) -> Quantity:
    """A figure of the points between them: linear in each axis, the sum over the corners of the cell that is asked for.

    ``Σ_corners figure(corner) · Π_axes (share, or 1 − share)`` with ``share = (asked − low) / (high − low)``
    """
    low = [np.clip(np.searchsorted(axis.known, axis.asked, side="right") - 1, 0, len(axis.known) - 2) for axis in axes]
    share = [(a.asked - a.known[i]) / (a.known[i + 1] - a.known[i]) for a, i in zip(axes, low, strict=True)]
    table = np.stack(np.broadcast_arrays(*(np.asarray(figure, np.float64) for figure in figures)))  # (points[, P])
    found: Quantity = 0.0
    for corner in itertools.product((0, 1), repeat=len(axes)):
        at = number[tuple(i + up for i, up in zip(low, corner, strict=True))]
        weight = math.prod(part if up else 1 - part for part, up in zip(share, corner, strict=True))
        found = found + weight * (table[at] if table.ndim == 1 else table[at, np.arange(table.shape[1])])
    return float(np.asarray(found).item()) if np.size(found) == 1 else np.asarray(found)
