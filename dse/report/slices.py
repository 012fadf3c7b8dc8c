"""Slices: how each swept axis moves each metric, over all settings of the other axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from dse.report.names import axis_label, axis_unit, axis_value_text, metric, metric_text
from dse.report.style import ACCENT, DIGITAL, fixed_ticks, metric_prefix, metric_title, wants_log
from dse.report.tables import Prefix, prefix_for, quantity_text

COLUMNS: Final = ("axis", "position", "value", "metric", "n", "matched", "low", "median", "high")
MOST_TICKS: Final = 6


class SlicesView(NamedTuple):
    """What the slices show."""

    table: pd.DataFrame
    """axis, position, value, metric, n, matched, low, median, high: quartiles over n designs; ``matched`` where
    every value of the axis is compared at the same settings of the others."""
    axes: tuple[str, ...]
    """Axes with at least two values, the one that moves the first metric most first."""
    metrics: tuple[str, ...]
    marked: pd.DataFrame
    """axis, position, metric, number: the one design that is marked; may be empty."""

    def medians(self, axis: str, name: str) -> pd.Series[Any]:
        """Median of a metric at each value of an axis, in order of the values."""
        rows = self.table[(self.table["axis"] == axis) & (self.table["metric"] == name)]
        return rows.sort_values("position")["median"]

    def effect(self, axis: str, name: str) -> float:
        """Largest minus smallest median of a metric along an axis, in the unit of the metric."""
        medians = self.medians(axis, name).dropna()
        return float(medians.max() - medians.min()) if len(medians) else 0.0


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
    moved = [axis for axis in axes if ok[axis].nunique() > 1]
    rows: list[tuple[object, ...]] = []
    marks: list[tuple[object, ...]] = []
    for axis in moved:
        same = matched(ok, axis, [other for other in moved if other != axis])
        sample = ok if same.empty else same
        for position, value in enumerate(_ordered(ok[axis])):
            here = sample[sample[axis] == value]
            ring = ok[(ok[axis] == value) & (ok["point"] == marked)]
            for name in metrics:
                known = here[name].dropna()
                quartiles = known.quantile([0.25, 0.5, 0.75]) if len(known) else [np.nan] * 3
                rows.append((axis, float(position), value, name, len(known), not same.empty, *quartiles))
                marks += [(axis, float(position), name, float(number)) for number in ring[name]]
    view = SlicesView(
        pd.DataFrame(rows, columns=list(COLUMNS)),
        tuple(moved),
        tuple(metrics),
        pd.DataFrame(marks, columns=["axis", "position", "metric", "number"]),
    )
    return view._replace(axes=tuple(sorted(moved, key=lambda axis: -view.effect(axis, metrics[0]))))


def matched(ok: pd.DataFrame, axis: str, others: Sequence[str]) -> pd.DataFrame:
    """The designs whose settings of the other axes were evaluated at every value of one axis.

    Without this, a value at which the costly designs are infeasible would look cheap.
    """
    if not others:
        return ok
    n_values = ok.groupby(list(others), dropna=False)[axis].transform("nunique")
    return ok[n_values == ok[axis].nunique()]


def conclude(view: SlicesView) -> str:
    """The figure in one sentence."""
    parts: list[str] = []
    for name in view.metrics if view.axes else ():
        axis = max(view.axes, key=lambda a: view.effect(a, name))
        medians = view.medians(axis, name).dropna()
        if view.effect(axis, name) > 0:
            span = f"{metric_text(name, float(medians.iloc[0]))} to {metric_text(name, float(medians.iloc[-1]))}"
            verb = "" if parts else " moves most"
            parts.append(f"{metric(name).label.lower()}{verb} with {axis_label(axis)} (median {span})")
    if not parts:
        return "No swept axis moves a metric."
    text = ", ".join(parts[:-1]) + (" and " if len(parts) > 1 else "") + parts[-1]
    return f"{text[0].upper()}{text[1:]}."


def draw(view: SlicesView, figure: Figure) -> None:
    """Draws one panel per axis and metric: median as a line, middle half as a band."""
    panels = figure.subplots(len(view.metrics), len(view.axes), sharey="row", sharex="col", squeeze=False)
    for i, name in enumerate(view.metrics):
        part = view.table[(view.table["metric"] == name) & view.table["axis"].isin(view.axes)]
        prefix = metric_prefix(name, part["median"])
        log = wants_log(part["low"].dropna())
        for j, axis in enumerate(view.axes):
            ring = view.marked[(view.marked["axis"] == axis) & (view.marked["metric"] == name)]
            _panel(panels[i, j], part[part["axis"] == axis].sort_values("position"), ring, prefix)
            panels[i, j].tick_params(axis="y", left=j == 0)
            panels[i, j].tick_params(axis="x", bottom=i == len(view.metrics) - 1)
        _scale(panels[i, 0], log=log)
        panels[i, 0].set_ylabel(metric_title(name, prefix, log=log).replace(", log scale", "\nlog scale"))
    for j, axis in enumerate(view.axes):
        _label_axis(panels[-1, j], view, axis)


def _panel(ax: Axes, rows: pd.DataFrame, ring: pd.DataFrame, prefix: Prefix) -> None:
    low, median, high = (rows[name] / prefix.factor for name in ("low", "median", "high"))
    ax.fill_between(rows["position"], low, high, color=DIGITAL, alpha=0.15, lw=0)
    ax.plot(rows["position"], median, "o-", color=DIGITAL, ms=3.5, lw=1.3)
    ax.scatter(
        ring["position"], ring["number"] / prefix.factor, s=46, facecolors="none", edgecolors=ACCENT, lw=1.4, zorder=4
    )
    ax.margins(x=0.12)


def _scale(ax: Axes, *, log: bool) -> None:
    if not log:
        ax.yaxis.set_major_locator(MaxNLocator(4))
        return
    ax.set_yscale("log")
    low, high = ax.get_ylim()
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < 30 else (1,), numticks=8))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _label_axis(ax: Axes, view: SlicesView, axis: str) -> None:
    """Ticks at the swept values, thinned where there are many, all in one display unit."""
    rows = view.table[view.table["axis"] == axis].drop_duplicates("position").sort_values("position")
    rows = rows.iloc[:: max(1, -(-len(rows) // MOST_TICKS))]
    values = rows["value"].tolist()
    unit = axis_unit(axis)
    if any(isinstance(value, str | bool) for value in values):
        fixed_ticks(ax.xaxis, rows["position"].tolist(), [axis_value_text(axis, value) for value in values])
        ax.tick_params(axis="x", rotation=30)
        ax.set_xlabel(axis_label(axis))
        return
    numbers = np.array([float(value) for value in values])
    prefix = prefix_for(float(np.median(numbers[numbers != 0])) if numbers.any() else 0.0, unit)
    texts = [f"{float(f'{number / prefix.factor:.3g}'):g}" for number in numbers]
    if prefix.symbol in ("", "tokens"):
        texts = [quantity_text(number, "") for number in numbers]
    fixed_ticks(ax.xaxis, rows["position"].tolist(), texts)
    ax.set_xlabel(axis_label(axis) + (f" [{prefix.symbol}]" if prefix.symbol else ""))


def _ordered(values: pd.Series[Any]) -> list[object]:
    return sorted(values.dropna().unique().tolist(), key=lambda value: (isinstance(value, str), value))
