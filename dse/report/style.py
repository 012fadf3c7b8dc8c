"""The look of all figures: colour means technology, axes carry units, text stays readable at column width."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import Colormap, ListedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator
from numpy.typing import ArrayLike

from dse.report.names import metric
from dse.report.tables import Prefix, prefix_for

ANALOG: Final = "#E69F00"
DIGITAL: Final = "#0072B2"
LINK: Final = "#009E73"
MEMORY: Final = "#8C8C8C"
UNASSIGNED: Final = "#FFFFFF"
INK: Final = "#1A1A1A"
FAINT: Final = "#B8B8B8"
ACCENT: Final = "#D55E00"
"""Okabe–Ito vermillion: the design the eye should find."""
SERIES: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
"""Colours of lines that stand for no technology."""

COMPONENTS: Final[dict[str, str]] = {
    "analog MVM": ANALOG,
    "DAC": "#F0C060",
    "array": "#C77F00",
    "ADC": ANALOG,
    "column periphery": "#F6D8A0",
    "fixed periphery": "#8F5B00",
    "calibrated remainder": "#D9B36B",
    "digital compute": DIGITAL,
    "partial sums": "#7FB8DC",
    "weight memory": "#6E6E6E",
    "KV cache": "#A6A6A6",
    "links": LINK,
    "flat power": "#003F6B",
    "network": "#66C2A5",
    "die sums": "#A8DCCB",
    "idle": "#DADADA",
    "tiles on": "#C4C4C4",
    "wake-up": "#B0B0B0",
    "drift refresh": "#8F8F8F",
}
"""Component of the energy → colour of its technology."""

WIDTH_IN: Final = 7.4
Handle = TypeVar("Handle")

_RC: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8.5,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 8.5,
    "axes.edgecolor": "#555555",
    "axes.labelcolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.6,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.color": "#555555",
    "ytick.color": "#555555",
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "legend.handlelength": 1.4,
    "hatch.linewidth": 0.5,
    "text.color": INK,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "axes.unicode_minus": True,
    "text.parse_math": False,
    "figure.dpi": 100,
}


@contextmanager
def house_style(salt: str = "dse") -> Iterator[None]:
    """Applies the look inside a ``with`` block; `salt` makes the ids inside an SVG the same every time."""
    with mpl.rc_context({**_RC, "svg.hashsalt": salt}):
        yield


def new_figure(*, height_in: float, width_in: float = WIDTH_IN) -> Figure:
    """An empty figure that belongs to no window."""
    return Figure(figsize=(width_in, height_in), layout="constrained")


def svg_text(figure: Figure) -> str:
    """The figure as an SVG document without date or program name."""
    buffer = io.StringIO()
    empty = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(buffer, format="svg", metadata=empty, dpi=150)
    return buffer.getvalue()


def inline_svg(document: str, *, name: str, label: str) -> str:
    """An SVG document as an element of a page: own ids, no prolog, a label for readers without eyes.

    Args:
        document: what `svg_text` returns.
        name: prefix of all ids, unique on the page.
        label: text for screen readers, already escaped.
    """
    body = document[document.index("<svg") :].strip()
    body = re.sub(r'\bid="', f'id="{name}-', body)
    body = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", body)
    head, rest = body.split(">", 1)
    head = re.sub(r'\s(xmlns(:\w+)?|width|height|version)="[^"]*"', "", head)
    body = f"{head}>{rest}"
    return body.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)


def shades(colour: str, n: int) -> list[tuple[float, float, float]]:
    """`n` shades of a colour, from the colour itself towards white."""
    base = np.array(to_rgb(colour))
    return [tuple(base + (1 - base) * 0.6 * i / max(n - 1, 1)) for i in range(n)]


def component_colours(components: Sequence[str]) -> dict[str, str]:
    """Component → colour; one not in the table takes a colour after its words."""
    words = (
        ("analog", "#F2C566"),
        ("adc", "#F2C566"),
        ("dac", "#F7DFA8"),
        ("link", "#66C4A8"),
        ("memory", "#8C8C8C"),
    )
    found = dict(COMPONENTS)
    for name in components:
        if name not in found:
            found[name] = next((colour for word, colour in words if word in name.lower()), "#56B4E9")
    return {name: found[name] for name in components}


def by_rows(handles: Sequence[Handle], n_columns: int) -> list[Handle]:
    """Legend handles, which matplotlib lays out by columns, reordered to read by rows.

    >>> by_rows(["a", "b", "c", "d", "e"], 3)
    ['a', 'd', 'b', 'e', 'c']
    """
    return [handle for column in range(n_columns) for handle in handles[column::n_columns]]


def quality_map() -> Colormap:
    """Viridis without its palest end, dark = worse: readable on white."""
    return ListedColormap(mpl.colormaps["viridis_r"](np.linspace(0.06, 1.0, 256)))


def metric_prefix(name: str, values: ArrayLike) -> Prefix:
    """The display unit for an axis that shows the values of a metric."""
    finite = np.abs(np.asarray(values, dtype=float))
    finite = finite[np.isfinite(finite) & (finite > 0)]
    return prefix_for(float(np.median(finite)) if finite.size else 0.0, metric(name).unit)


def metric_title(name: str, prefix: Prefix, *, log: bool = False) -> str:
    """Axis title: label, unit, and whether the axis is logarithmic."""
    unit = f"{prefix.symbol}{metric(name).per}"
    return f"{metric(name).label} [{unit}]" + (", log scale" if log else "")


def wants_log(values: ArrayLike, *, ratio: float = 6.0) -> bool:
    """Whether positive values span enough for a logarithmic axis."""
    array = np.asarray(values, dtype=float)
    array = array[np.isfinite(array)]
    return bool(array.size) and array.min() > 0 and array.max() / array.min() > ratio


def scale_axis(ax: Axes, which: str, values: ArrayLike) -> bool:
    """Makes an axis logarithmic where its values span enough, with ticks at 1, 2, 5; returns whether it did."""
    axis: Axis = ax.xaxis if which == "x" else ax.yaxis
    if not wants_log(values):
        axis.set_major_locator(MaxNLocator(6))
        return False
    (ax.set_xscale if which == "x" else ax.set_yscale)("log")
    array = np.asarray(values, dtype=float)
    span = float(np.nanmax(array) / np.nanmin(array))
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if span < 500 else (1,), numticks=12))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    return True


def scale_colour_axis(ax: Axes, low: float, high: float) -> None:
    """Ticks at 1, 2, 5 on the logarithmic axis of a colour bar."""
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < 200 else (1,), numticks=12))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def fixed_ticks(axis: Axis, positions: Sequence[float], labels: Sequence[str]) -> None:
    """Puts ticks at given positions only."""
    axis.set_major_locator(FixedLocator(list(positions)))
    axis.set_minor_locator(NullLocator())
    texts = dict(zip(positions, labels, strict=True))
    axis.set_major_formatter(FuncFormatter(lambda value, _: texts.get(value, "")))
