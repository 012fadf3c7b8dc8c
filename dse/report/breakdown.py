"""Breakdown figure: energy of a token by component, for the designs on the front and the reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from dse.report.style import by_rows, component_colours, metric_prefix, metric_title
from dse.report.tables import percent_text, significant

METRIC = "energy_pj_per_token"


class BreakdownView(NamedTuple):
    """What the breakdown figure shows."""

    table: pd.DataFrame
    """point, component, assumed, energy_pj_per_token: whether the energy rests on assumed values."""
    points: tuple[int, ...]
    """Designs from top to bottom."""
    components: tuple[str, ...]
    """Components from left to right, largest of the leading design first."""
    labels: Mapping[int, str]
    """Design → text beside its bar."""

    def total_pj(self, point: int) -> float:
        """Energy of a token of one design [pJ]."""
        return float(self.table.loc[self.table["point"] == point, METRIC].sum())

    def share(self, point: int, component: str) -> float:
        """Share of one component in the energy of a design, in [0, 1]."""
        rows = self.table[(self.table["point"] == point) & (self.table["component"] == component)]
        total = self.total_pj(point)
        return float(rows[METRIC].sum()) / total if total > 0 else 0.0

    def assumed_share(self, point: int) -> float:
        """Share of the energy of a design that rests on assumed values, in [0, 1]."""
        rows = self.table[(self.table["point"] == point) & self.table["assumed"]]
        total = self.total_pj(point)
        return float(rows[METRIC].sum()) / total if total > 0 else 0.0


def prepare(
    breakdown: pd.DataFrame,
    points: Sequence[int],
    *,
    leading: int | None = None,
    labels: Mapping[int, str] | None = None,
) -> BreakdownView:
    """What the breakdown figure shows.

    Args:
        breakdown: as in ``breakdown.csv``.
        points: designs to show, from top to bottom; those without a breakdown are left out.
        leading: the design whose components set the order; by default the first.
        labels: design → text beside its bar.
    """
    shown = tuple(dict.fromkeys(p for p in points if p in set(breakdown["point"])))
    rows = breakdown[breakdown["point"].isin(shown)]
    rows = rows.assign(assumed=rows["evidence"].fillna("").eq("assumed"))
    table = rows.groupby(["point", "component", "assumed"], as_index=False)[METRIC].sum()
    table = table[table[METRIC] > 0]
    first = leading if leading in shown else (shown[0] if shown else None)
    sizes = table.groupby("component")[METRIC].max()
    own = table[table["point"] == first].groupby("component")[METRIC].sum()
    components = sorted(sizes.index, key=lambda c: (-float(own.get(c, 0.0)), -float(sizes[c]), str(c)))
    texts = {point: (labels or {}).get(point, f"#{point}") for point in shown}
    return BreakdownView(table.reset_index(drop=True), shown, tuple(components), texts)


def conclude(view: BreakdownView, point: int | None = None) -> str:
    """The figure in one sentence, about one design (by default the first)."""
    if not view.points:
        return "The run kept no breakdown."
    chosen = point if point in view.points else view.points[0]
    largest = max(view.components, key=lambda c: view.share(chosen, c))
    share = view.share(chosen, largest)
    return (
        f"{largest[0].upper()}{largest[1:]} is {percent_text(share)} of the energy of design #{chosen}: "
        f"halving it would gain {percent_text(share / 2)}; "
        f"{percent_text(view.assumed_share(chosen))} of the energy rests on assumed values."
    )


def draw(view: BreakdownView, ax: Axes) -> None:
    """Draws one stacked bar per design, assumed energy hatched, the total at its end."""
    totals = [view.total_pj(point) for point in view.points]
    prefix = metric_prefix(METRIC, totals)
    colours = component_colours(view.components)
    lookup = view.table.set_index(["point", "component", "assumed"])[METRIC]
    left = np.zeros(len(view.points))
    rows = np.arange(len(view.points))
    for component in view.components:
        for assumed in (False, True):
            width = np.array([float(lookup.get((p, component, assumed), 0.0)) / prefix.factor for p in view.points])
            if width.any():
                ax.barh(
                    rows, width, left=left, height=0.68, color=colours[component], edgecolor="white", linewidth=0.4,
                    hatch="/////" if assumed else None,
                )  # fmt: skip
            left += width
    for row, total in zip(rows, totals, strict=True):
        ax.annotate(
            significant(total / prefix.factor), (total / prefix.factor, row), xytext=(4, 0),
            textcoords="offset points", va="center", fontsize=8,
        )  # fmt: skip
    ax.set_yticks(rows, [""] * len(rows))
    ax.tick_params(axis="y", length=0)
    for row, point in zip(rows, view.points, strict=True):
        _label_bar(ax, int(row), view.labels[point])
    ax.invert_yaxis()
    ax.set_xlim(0, max(totals, default=1.0) / prefix.factor * 1.1)
    ax.grid(visible=False, axis="y")
    ax.spines["left"].set_visible(False)
    ax.set_xlabel(metric_title(METRIC, prefix))
    handles = [Patch(facecolor=colours[c], label=c) for c in view.components]
    if bool(view.table["assumed"].any()):
        handles.append(Patch(facecolor="#BBBBBB", edgecolor="white", hatch="/////", label="on assumed values"))
    handles = by_rows(handles, 4)
    ax.legend(handles=handles, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=4, columnspacing=1.1)


def _label_bar(ax: Axes, row: int, label: str) -> None:
    """Two lines at the left of a bar: number and role in bold, settings below."""
    first, _, second = label.partition("\n")
    upper, lower = (
        ax.text(-0.012, at, text, transform=ax.get_yaxis_transform(), ha="right", va="center", fontsize=8)
        for at, text in ((row - (0.18 if second else 0.0), first), (row + 0.22, second))
    )
    upper.set_fontweight("bold")
    lower.set_color("#555555")
