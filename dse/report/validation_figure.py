"""Predicted against published: every row that could differ, hollow where the model was calibrated on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from dse.report.style import FAINT, INK, SERIES, house_style, new_figure, svg_text
from dse.validation.comparison import Comparison, Truth

BAND_FRACTION: Final = 0.1
PANELS: Final[dict[str, tuple[Truth, ...]]] = {
    "Chips": ("measured silicon", "published simulation"),
    "Matrix products of GPUs": ("measured GPU",),
    "Programs and tables": ("other program", "published table", "closed form", "event-driven simulation"),
}
"""Title of a panel → the kinds of truth it shows."""
EXACT_FRACTION: Final = 1e-5
"""Comparisons with no larger error are left to the tables."""


class Panel(NamedTuple):
    """What one panel shows."""

    title: str
    rows: pd.DataFrame
    """comparison, quantity, stated, found, error_percent, is_calibrated."""


def prepare(comparisons: Sequence[Comparison]) -> tuple[Panel, ...]:
    """The panels that have rows; figures of 0 have no place on logarithmic axes."""
    drawn = [c for c in comparisons if any(abs(row.error_fraction) > EXACT_FRACTION for row in c.rows)]
    panels = []
    for title, truths in PANELS.items():
        rows = [
            (c.name, r.quantity, r.stated, r.found, 100 * (r.found / r.stated - 1), r.role == "calibrated")
            for c in drawn
            if c.truth in truths
            for r in c.rows
            if r.stated > 0 and r.found > 0
        ]
        if rows:
            names = ["comparison", "quantity", "stated", "found", "error_percent", "is_calibrated"]
            panels.append(Panel(title, pd.DataFrame(rows, columns=names)))
    return tuple(panels)


def draw(panels: Sequence[Panel], figure: Figure) -> None:
    """Found over stated on logarithmic axes, and the error below it."""
    axes = figure.subplots(2, len(panels), squeeze=False, height_ratios=(2.2, 1), sharex="col")
    for column, panel in enumerate(panels):
        draw_panel(panel, axes[0][column], axes[1][column])
    axes[0][0].set_ylabel("found by dse")
    axes[1][0].set_ylabel("error [%]")


def draw_panel(panel: Panel, above: Axes, below: Axes) -> None:
    """One kind of truth: identity with its band above, errors below."""
    rows = panel.rows
    low, high = rows[["stated", "found"]].min().min() / 2, rows[["stated", "found"]].max().max() * 2
    ends = [low, high]
    above.fill_between(
        ends, [x * (1 - BAND_FRACTION) for x in ends], [x * (1 + BAND_FRACTION) for x in ends], color="#E8E8E8", lw=0
    )
    above.plot(ends, ends, color=FAINT, lw=0.9)
    below.axhspan(-100 * BAND_FRACTION, 100 * BAND_FRACTION, color="#E8E8E8", lw=0)
    below.axhline(0, color=FAINT, lw=0.9)
    names = group_names(rows)
    for (name, own), colour in zip(rows.groupby(names, sort=False), SERIES * 4, strict=False):
        for is_calibrated, some in own.groupby("is_calibrated"):
            face = "none" if is_calibrated else colour
            style: dict[str, Any] = {
                "ls": "none",
                "marker": "o",
                "ms": 4,
                "mfc": face,
                "mec": colour,
                "mew": 0.9,
                "clip_on": False,
            }
            above.plot(some["stated"], some["found"], **style)
            below.plot(some["stated"], some["error_percent"], **style)
        above.plot([], [], ls="none", marker="o", ms=4, color=colour, label=str(name))
    above.set_xscale("log")
    above.set_yscale("log")
    above.set_xlim(low, high)
    above.set_ylim(low, high)
    for axis in (above.xaxis, above.yaxis):
        axis.set_major_locator(LogLocator(numticks=5))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(
            FuncFormatter(lambda value, _: f"{value:g}" if value < 1e4 else f"{value:.0e}".replace("+0", ""))
        )
    reach = max(1.3 * rows["error_percent"].abs().max(), 130 * BAND_FRACTION)
    below.set_ylim(-reach, reach)
    below.set_xlabel("stated, each in its own unit" if rows["quantity"].nunique() > 1 else rows["quantity"].iloc[0])
    above.set_title(f"{panel.title}, n = {len(rows)}")
    handles = above.get_legend_handles_labels()[0]
    if rows["is_calibrated"].any():
        handles.append(Line2D([], [], ls="none", marker="o", ms=4, mfc="none", mec=INK, label="calibrated on"))
    above.legend(handles=handles, loc="lower right", fontsize=6.5, handletextpad=0.1, borderaxespad=0.1, handlelength=1)


def group_names(rows: pd.DataFrame) -> pd.Series[str]:
    """What colours tell apart: comparisons, or quantities where there is one comparison."""
    return rows["comparison" if rows["comparison"].nunique() > 1 else "quantity"]


def validation_svg(comparisons: Sequence[Comparison]) -> str:
    """The figure as an SVG document."""
    with house_style(salt="validation"):
        figure = new_figure(height_in=4.6)
        draw(prepare(comparisons), figure)
        return svg_text(figure)
