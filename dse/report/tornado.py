"""Tornado figure: what the stated spread of each input, by itself, does to a metric."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

from matplotlib.axes import Axes

from dse.evaluation.uncertainty import Uncertainty
from dse.report.names import metric
from dse.report.style import house_style, new_figure, svg_text

MOST: Final = 15
"""Inputs that are shown."""
LOW, HIGH = "#7a9cc6", "#d08a5b"


class TornadoView(NamedTuple):
    """What the tornado shows, largest change first."""

    metric: str
    paths: tuple[str, ...]
    low_fraction: tuple[float, ...]
    """Relative change of the metric with the input at its low end."""
    high_fraction: tuple[float, ...]
    interval_fraction: tuple[float, float]
    """95 % interval of the metric with all inputs drawn, relative to the nominal value."""


def prepare(found: Uncertainty, metric: str) -> TornadoView:
    """The inputs that change a metric most."""
    frame, nominal = found.tornado[found.tornado["metric"] == metric].head(MOST), found.nominal[metric]
    low, high = found.interval(metric)
    return TornadoView(
        metric=metric,
        paths=tuple(frame["path"]),
        low_fraction=tuple((frame["at_low"] / nominal - 1).tolist()),
        high_fraction=tuple((frame["at_high"] / nominal - 1).tolist()),
        interval_fraction=(low / nominal - 1, high / nominal - 1),
    )


def draw(view: TornadoView, ax: Axes) -> None:
    """Draws one bar per input on either side of the nominal value, and the 95 % interval behind them."""
    places = range(len(view.paths))
    ax.axvspan(
        *(100 * end for end in view.interval_fraction), color="#eeeeee", zorder=0, label="95 %, all inputs drawn"
    )
    ax.barh(places, [100 * x for x in view.low_fraction], color=LOW, label="input at its low end")
    ax.barh(places, [100 * x for x in view.high_fraction], color=HIGH, label="input at its high end")
    ax.axvline(0, color="black", linewidth=0.8)
    ax.set_yticks(places, view.paths, fontsize=7)
    ax.invert_yaxis()
    ax.set_xlabel(f"change of {metric(view.metric).label} [%]")
    ax.legend(fontsize=7, frameon=False, loc="lower right")


def save_tornado(found: Uncertainty, metric: str, path: Path) -> None:
    """Writes the figure of one metric."""
    view = prepare(found, metric)
    with house_style():
        figure = new_figure(height_in=1.4 + 0.28 * max(len(view.paths), 3))
        draw(view, figure.subplots())
        path.write_text(svg_text(figure), encoding="utf-8")
