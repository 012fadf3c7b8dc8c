"""Slices: how each swept axis moves each metric, over all settings of the other axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from dse.report.names import axis_label, axis_unit, axis_value_text, metric
from dse.report.style import ACCENT, DIGITAL, fixed_ticks, metric_prefix, metric_title, wants_log
from dse.report.tables import Prefix, prefix_for, significant

COLUMNS = ("axis", "position", "value", "metric", "n", "low", "median", "high")


class SlicesView(NamedTuple):
    """What the slices show."""

    table: pd.DataFrame
    """axis, position, value (text), metric, n, low, median, high: quartiles over the evaluated designs."""
    axes: tuple[str, ...]
    """Axes with at least two values, the one with the largest effect on the first metric first."""
    metrics: tuple[str, ...]
    marked: pd.DataFrame
    """axis, position, metric, number: the one design that is marked; may be empty."""

    def effect(self, axis: str, name: str) -> float:
        """Largest over smallest median of a metric along an axis; NaN where they are not above zero."""
        rows = self.table[(self.table["axis"] == axis) & (self.table["metric"] == name)]["median"]
        return float(rows.max() / rows.min()) if len(rows) and rows.min() > 0 else float("nan")


def prepare(
    points: pd.DataFrame, axes: Sequence[str], metrics: Sequence[str], *, marked: int | None = None
) -> SlicesView:
    """What the slices show.

    Args:
        points: one row per design, as in ``points.parquet``.
        axes: swept paths, columns of `points`.
        metrics: columns of `points`.
        marked: design shown as a ring in each panel.
    """
    ok = points[points["status"] == "ok"]
    rows: list[tuple[object, ...]] = []
    marks: list[tuple[object, ...]] = []
    for axis in (a for a in axes if ok[a].nunique() > 1):
        values = _ordered(ok[axis])
        positions = _positions(values)
        for value, position in zip(values, positions, strict=True):
            here = ok[ok[axis] == value]
            for name in metrics:
                low, median, high = (
                    np.nanquantile(here[name], [0.25, 0.5, 0.75]) if here[name].notna().any() else [np.nan] * 3
                )
                rows.append((axis, position, axis_value_text(axis, value), name, len(here), low, median, high))
                marks += [(axis, position, name, float(number)) for number in here[here["point"] == marked][name]]
    view = SlicesView(
        pd.DataFrame(rows, columns=list(COLUMNS)),
        tuple(dict.fromkeys(str(row[0]) for row in rows)),
        tuple(metrics),
        pd.DataFrame(marks, columns=["axis", "position", "metric", "number"]),
    )
    order = sorted(view.axes, key=lambda a: -np.nan_to_num(view.effect(a, metrics[0]), nan=1.0))
    return view._replace(axes=tuple(order))


def conclude(view: SlicesView) -> str:
    """The figure in one sentence."""
    if not view.axes:
        return "No axis was swept, so there is nothing to compare."
    parts = []
    for name in view.metrics:
        best = max(view.axes, key=lambda a: np.nan_to_num(view.effect(a, name), nan=1.0))
        factor = view.effect(best, name)
        if np.isfinite(factor):
            parts.append(f"{metric(name).label.lower()} most with {axis_label(best)} (median {significant(factor)}×)")
    return f"Over the swept range, {' and '.join(parts)}." if parts else "No metric moved."


def draw(view: SlicesView, figure: Figure) -> None:
    """Draws one panel per axis and metric: median as a line, middle half as a band."""
    panels = figure.subplots(len(view.metrics), len(view.axes), sharey="row", sharex="col", squeeze=False)
    for i, name in enumerate(view.metrics):
        part = view.table[view.table["metric"] == name]
        prefix = metric_prefix(name, part["median"])
        log = wants_log(part["low"].dropna())
        for j, axis in enumerate(view.axes):
            ax: Axes = panels[i, j]
            _panel(ax, part[part["axis"] == axis].sort_values("position"), prefix)
            ring = view.marked[(view.marked["axis"] == axis) & (view.marked["metric"] == name)]
            ax.scatter(
                ring["position"],
                ring["number"] / prefix.factor,
                s=46,
                facecolors="none",
                edgecolors=ACCENT,
                lw=1.4,
                zorder=4,
            )
            if log:
                ax.set_yscale("log")
                ax.yaxis.set_minor_locator(NullLocator())
                ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            elif metric(name).unit == "fraction":
                ax.yaxis.set_major_locator(MaxNLocator(4))
            if i == len(view.metrics) - 1:
                _label_axis(ax, view, axis)
        panels[i, 0].set_ylabel(metric_title(name, prefix, log=log).replace(", log scale", "\nlog scale"))


def _panel(ax: Axes, rows: pd.DataFrame, prefix: Prefix) -> None:
    ax.fill_between(
        rows["position"], rows["low"] / prefix.factor, rows["high"] / prefix.factor, color=DIGITAL, alpha=0.15, lw=0
    )
    ax.plot(rows["position"], rows["median"] / prefix.factor, "o-", color=DIGITAL, ms=3.5, lw=1.3)
    ax.margins(x=0.12)


def _label_axis(ax: Axes, view: SlicesView, axis: str) -> None:
    """Ticks at the swept values (every other one where there are many), in one display unit."""
    rows = view.table[view.table["axis"] == axis].drop_duplicates("position").sort_values("position")
    step = max(1, -(-len(rows) // 5))
    rows = rows.iloc[::step]
    fixed_ticks(ax.xaxis, [float(p) for p in rows["position"]], [str(v).split(" ")[0] for v in rows["value"]])
    units = {str(value).partition(" ")[2] for value in rows["value"]}
    if len(units) > 1:
        ax.set_xticklabels([str(v) for v in rows["value"]], rotation=30, ha="right")
    unit = units.pop() if len(units) == 1 else ""
    if axis_unit(axis) == "tokens":
        unit = prefix_for(1.0, "tokens").symbol
    ax.set_xlabel(axis_label(axis) + (f" [{unit}]" if unit else ""))


def _ordered(values: pd.Series[Any]) -> list[object]:
    return sorted(values.dropna().unique().tolist(), key=lambda v: (isinstance(v, str), v))


def _positions(values: Sequence[object]) -> list[float]:
    """Where values stand on the axis: numbers at their size or logarithm if widely spread, names one by one."""
    if any(isinstance(value, str | bool) for value in values):
        return [float(i) for i in range(len(values))]
    numbers = np.array([float(str(value)) for value in values])
    if numbers.min() > 0 and numbers.max() / numbers.min() >= 6:
        return [float(v) for v in np.log2(numbers)]
    return [float(v) for v in numbers]
