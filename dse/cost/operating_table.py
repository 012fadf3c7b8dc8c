"""A core known by a table of operating points: linear between them."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import scipy

from dse.errors import Problem, SpecError
from dse.spec.analog_core import AnalogCore
from dse.spec.core_cost import TableCost
from dse.units import Quantity

SETTINGS: Final = ("rows_used", "cols_used", "phases", "dac_bits", "adc_bits", "supply_v")
"""Columns that say how the tile runs."""


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
    axes, asked = [], []
    for name in SETTINGS:
        stated = [getattr(point, name) for point in cost.points]
        if all(value is None for value in stated):
            continue
        known, value = np.unique(np.array(stated, np.float64)), own[name]
        if value is None:
            raise SpecError([Problem(f"the table has a column {name}, but the core does not say its own", path=path)])
        if np.min(value) < known[0] or np.max(value) > known[-1]:
            low, high = float(np.min(value)), float(np.max(value))
            said = f"{low:g}" if low == high else f"{low:g} to {high:g}"
            message = f"{name} = {said} lies outside the table, which has {known[0]:g} to {known[-1]:g}; add points"
            raise SpecError([Problem(message, path=path)])
        if len(known) > 1:
            axes.append((name, known))
            asked.append(np.asarray(value, np.float64))
    figures = ("energy_pj", "time_ns")
    if not axes:
        return TableReading(*(getattr(cost.points[0], figure) for figure in figures))
    at = np.stack(np.broadcast_arrays(*asked), axis=-1)
    energy, time = (grid_reading(cost, axes, at, figure, path) for figure in figures)
    return TableReading(energy, time)


def grid_reading(
    cost: TableCost, axes: list[tuple[str, np.ndarray]], at: np.ndarray, figure: str, path: str
) -> Quantity:
    """One figure of the table, linear in each axis."""
    grid = np.full([len(known) for _, known in axes], np.nan)
    for point in cost.points:
        grid[tuple(int(np.searchsorted(known, getattr(point, name))) for name, known in axes)] = getattr(point, figure)
    if np.isnan(grid).any():
        missing = np.argwhere(np.isnan(grid))[0]
        said = ", ".join(f"{name} = {known[i]:g}" for (name, known), i in zip(axes, missing, strict=True))
        raise SpecError([Problem(f"the table lacks the combination {said}; it needs every combination", path=path)])
    found = scipy.interpolate.RegularGridInterpolator([known for _, known in axes], grid)(at)
    return float(found.item()) if found.size == 1 else np.asarray(found)
