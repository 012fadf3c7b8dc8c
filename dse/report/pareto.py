"""Pareto figure: two metrics of every design, the front between them, its knee, and the reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.lines import Line2D

from dse.report.front import front_of, knee_of
from dse.report.names import metric, metric_text
from dse.report.style import (
    ACCENT,
    FAINT,
    INK,
    metric_prefix,
    metric_title,
    quality_map,
    scale_axis,
    scale_colour_axis,
    wants_log,
)
from dse.report.tables import Prefix, interval_text, versus_text

MANY: Final = 1500
"""From so many designs on the dominated ones are drawn as one picture, to keep the file small."""
LOSS: Final = "loss_increase_nats"
"""The metric that has an interval."""


class ParetoView(NamedTuple):
    """What the Pareto figure shows."""

    table: pd.DataFrame
    """point, x, y, colour, status, on_front, on_line, proof: one row per design with both metrics."""
    line: pd.DataFrame
    """point, x, y: the designs that no other beats in this plane, by x."""
    x: str
    y: str
    colour: str
    """Column names of the two axes and of the colour (empty where there is none)."""
    knee: int | None
    reference: int | None
    """Points, where there are such."""
    n_hidden: int
    """Designs without these metrics: infeasible, failed or not reached."""

    @property
    def name(self) -> str:
        """Name of the figure's files."""
        return {"latency_ns_per_step": "pareto", LOSS: "pareto_loss"}.get(self.x, f"pareto_{self.x}")


def prepare(
    points: pd.DataFrame,
    *,
    x: str = "latency_ns_per_step",
    y: str = "energy_pj_per_token",
    colour: str = "",
    reference: int | None = None,
    proofs: Mapping[int, str] | None = None,
) -> ParetoView:
    """What the Pareto figure of two metrics shows.

    A front in the measured loss has no knee while an interval on it reaches zero: the logarithm would rank noise.

    Args:
        points: one row per design, as in ``points.parquet``.
        x: metric of the horizontal axis.
        y: metric of the vertical axis.
        colour: metric shown as colour; none where empty.
        reference: point that is marked by a star.
        proofs: point → status of its mapping; a point that is absent counts as unknown.
    """
    table = _shown(points, x=x, y=y, colour=colour, proofs=proofs or {})
    ok = table[table["status"] == "ok"]
    signed = [ok[name] if metric(name).better == "min" else -ok[name] for name in (x, y)]
    line = ok[front_of(*signed)].sort_values(x)
    costs = [line[name] if metric(name).better == "min" else 1.0 / line[name] for name in (x, y)]
    sure = x != LOSS or bool((line["low"] > 0).all())
    knee = knee_of(*costs) if len(line) and sure else None
    table.loc[line.index, "on_line"] = True
    return ParetoView(
        table=table.reset_index(drop=True),
        line=line[["point", x, y]].reset_index(drop=True),
        x=x,
        y=y,
        colour=colour,
        knee=None if knee is None else int(line["point"].iloc[knee]),
        reference=reference if reference in set(ok["point"]) else None,
        n_hidden=len(points) - len(table),
    )


def _shown(points: pd.DataFrame, *, x: str, y: str, colour: str, proofs: Mapping[int, str]) -> pd.DataFrame:
    """The designs that have both metrics, with what is drawn of them."""
    shown = points[np.isfinite(points[x]) & np.isfinite(points[y]) & points["status"].isin(["ok", "infeasible"])]
    table = pd.DataFrame(
        {
            "point": shown["point"].astype(int),
            x: shown[x],
            y: shown[y],
            "status": shown["status"],
            "on_front": shown["on_front"],
            "on_line": False,
            "proof": [proofs.get(int(p), "") for p in shown["point"]],
        }
    )
    if colour:
        table.insert(3, colour, shown[colour])
    if x == LOSS:
        table[["low", "high"]] = shown[["loss_increase_low", "loss_increase_high"]]
    return table


def conclude(view: ParetoView) -> str:
    """The figure in one sentence."""
    if view.line.empty:
        return "No design could be evaluated, so there is no front."
    names = f"{metric(view.x).label.lower()} and {metric(view.y).label.lower()}"
    rows = view.table.set_index("point")
    first, last = int(view.line["point"].iloc[0]), int(view.line["point"].iloc[-1])
    if first == last:
        return f"One design, #{first}, is best in both {names}."
    if view.knee is None:
        ranges = [
            f"{metric(name).label.lower()} goes from {metric_text(name, float(rows[name][first]))} "
            f"to {metric_text(name, float(rows[name][last]))}"
            for name in (view.y, view.x)
        ]
        return f"From design #{first} to #{last} along the front, {ranges[0]} and {ranges[1]}."
    y, x = (float(rows[name][view.knee]) for name in (view.y, view.x))
    text = f"The knee, design #{view.knee}, needs {metric_text(view.y, y)} at "
    if view.x == LOSS:
        low, high = (float(rows[name][view.knee]) for name in ("low", "high"))
        return f"{text}a loss increase of {interval_text(x, low, high, 'nats')}."
    text += metric_text(view.x, x)
    if view.reference is None or view.reference == view.knee:
        return f"{text}."
    to_y, to_x = (versus_text(v, float(rows[name][view.reference])) for v, name in ((y, view.y), (x, view.x)))
    label_y, label_x = metric(view.y).label.lower(), metric(view.x).label.lower()
    return f"{text}: {label_y} {to_y} and {label_x} {to_x} than the reference."


def draw(view: ParetoView, ax: Axes) -> None:
    """Draws the designs, the front as a step line, knee and reference."""
    px, py = (metric_prefix(name, view.table[name]) for name in (view.x, view.y))
    table = view.table.assign(u=view.table[view.x] / px.factor, v=view.table[view.y] / py.factor)
    logs = [scale_axis(ax, side, table[name]) for side, name in (("x", "u"), ("y", "v"))]
    ok = table[table["status"] == "ok"]
    bad = table[table["status"] == "infeasible"]
    ax.scatter(bad["u"], bad["v"], marker="x", s=14, linewidths=0.8, color=FAINT, zorder=1)
    _draw_designs(view, ok, ax)
    line = ok[ok["on_line"]].sort_values("u")
    right, up = (metric(name).better == "max" for name in (view.x, view.y))
    if "low" in line:
        ends = (line[view.x] - line["low"], line["high"] - line[view.x])
        bars = np.nan_to_num(np.stack(ends) / px.factor).clip(min=0)
        ax.errorbar(line["u"], line["v"], xerr=bars, fmt="none", ecolor="#777777", lw=1, capsize=2, zorder=3)
    ax.step(line["u"], line["v"], where="pre" if right else "post", color=INK, lw=1.1, zorder=3)
    _mark(view, ok, ax)
    ax.set_xlabel(metric_title(view.x, px, log=logs[0]))
    ax.set_ylabel(metric_title(view.y, py, log=logs[1]))
    ax.margins(0.08)
    arrow = {(False, False): "↙", (False, True): "↖", (True, False): "↘", (True, True): "↗"}[right, up]
    ax.text(
        0.985 if right else 0.015, 0.98 if up else 0.02, f"better {arrow}", transform=ax.transAxes,
        ha="right" if right else "left", va="top" if up else "bottom", color="#666666", fontsize=8,
    )  # fmt: skip
    handles = _legend(view)
    ax.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=len(handles), columnspacing=1.2)


def _draw_designs(view: ParetoView, ok: pd.DataFrame, ax: Axes) -> None:
    """Dominated designs pale, those on the front strong; hollow where optimality is not proven."""
    values = ok[view.colour] if view.colour else pd.Series(np.nan, index=ok.index)
    unit = metric_prefix(view.colour, values) if view.colour else Prefix(1.0, "")
    values = values / unit.factor
    low, high = (float(values.min()), float(values.max())) if values.notna().any() else (0.0, 1.0)
    log = wants_log(values, ratio=20.0)
    norm = LogNorm(low, high) if log else Normalize(low, high if high > low else low + 1.0)
    cmap = quality_map()
    for front, size, alpha in ((False, 16, 0.25), (True, 34, 1.0)):
        part = ok[ok["on_front"] | ok["on_line"]] if front else ok[~(ok["on_front"] | ok["on_line"])]
        known = np.isfinite(values[part.index])
        unknown = part[~known]
        ax.scatter(unknown["u"], unknown["v"], s=size, color=FAINT, alpha=alpha, lw=0, zorder=2 + front)
        part = part[known]
        colours = cmap(norm(values[part.index].to_numpy()))
        open_ = (part["proof"] == "time_limit").to_numpy()
        faces = np.where(open_[:, None], 1.0, colours) if len(part) else "none"
        ax.scatter(
            part["u"], part["v"], s=size, facecolors=faces, edgecolors=colours if len(part) else "none",
            linewidths=np.where(open_, 1.4, 0.0).tolist() if len(part) else 0.0, alpha=alpha, zorder=2 + 2 * front,
            rasterized=not front and len(part) > MANY,
        )  # fmt: skip
    if values.notna().any():
        figure = ax.get_figure(root=True)
        assert figure is not None
        bar = figure.colorbar(ScalarMappable(norm, cmap), ax=ax, pad=0.015, aspect=30)
        bar.outline.set_visible(False)
        bar.set_label(metric_title(view.colour, unit, log=log))
        if log:
            scale_colour_axis(bar.ax, low, high)


def _mark(view: ParetoView, ok: pd.DataFrame, ax: Axes) -> None:
    """Names the knee, the two ends of the front and the reference.

    Labels of the front stand towards the better corner, where by definition no design is.
    """
    spots = {int(p): (float(u), float(v)) for p, u, v in zip(ok["point"], ok["u"], ok["v"], strict=True)}
    right, up = (metric(name).better == "max" for name in (view.x, view.y))
    dy = 9 if up else -12
    ends = [int(p) for p in view.line["point"]]
    names = {}
    if len(ends) > 1:
        best_x, best_y = (ends[-1], ends[0]) if right else (ends[0], ends[-1])
        names = {best_x: best_text(view.x), best_y: best_text(view.y)}
        for point, name in names.items():
            left = right if point == best_y else not right
            if point != view.reference:
                _note(ax, spots[point], f"#{point} {name}", shift=(6 if left else -6, dy), left=left)
    if view.reference is not None:
        at = spots[view.reference]
        ax.scatter(*at, marker="*", s=130, color="white", edgecolors=INK, linewidths=1.0, zorder=6)
        left = at[0] <= _middle(ax, [u for u, _ in spots.values()])
        name = ", ".join(["reference", *([names[view.reference]] if view.reference in names else [])])
        _note(ax, at, f"#{view.reference} {name}", shift=(9 if left else -9, 6), left=left)
    if view.knee is not None:
        at = spots[view.knee]
        ax.scatter(*at, s=130, facecolors="none", edgecolors=ACCENT, linewidths=1.6, zorder=5)
        _note(ax, at, f"#{view.knee} knee", shift=(9 if right else -9, dy), left=right, colour=ACCENT)


def _middle(ax: Axes, values: Sequence[float]) -> float:
    low, high = min(values), max(values)
    return (low * high) ** 0.5 if ax.get_xscale() == "log" else (low + high) / 2


def best_text(name: str) -> str:
    """How the best design in a metric is called.

    >>> best_text("latency_ns_per_step"), best_text("tokens_per_s")
    ('lowest latency', 'highest throughput')
    """
    return f"{'lowest' if metric(name).better == 'min' else 'highest'} {metric(name).label.lower()}"


def _note(
    ax: Axes, at: tuple[float, float], text: str, *, shift: tuple[float, float], left: bool, colour: str = INK
) -> None:
    ax.annotate(
        text, at, xytext=shift, textcoords="offset points", ha="left" if left else "right",
        fontsize=8, color=colour, zorder=7, bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 0.4},
    )  # fmt: skip


def _legend(view: ParetoView) -> list[Line2D]:
    table = view.table
    ok = table["status"] == "ok"
    strong = ok & (table["on_front"] | table["on_line"])
    spots: list[tuple[bool, str, dict[str, object]]] = [
        (bool(strong.any()), "on the front", {"marker": "o", "color": "#4A4A8A"}),
        (bool((strong & (table["proof"] == "time_limit")).any()), "not proven",
         {"marker": "o", "color": "#4A4A8A", "markerfacecolor": "white"}),
        (bool((ok & ~strong).any()), "dominated", {"marker": "o", "color": "#4A4A8A", "alpha": 0.25}),
        (bool(view.colour) and bool((ok & table[view.colour or view.x].isna()).any()), "colour unknown",
         {"marker": "o", "color": FAINT}),
        (bool((~ok).any()), "infeasible", {"marker": "x", "color": FAINT}),
        (view.reference is not None, "reference",
         {"marker": "*", "color": INK, "markerfacecolor": "white", "markersize": 9}),
    ]  # fmt: skip
    return [
        Line2D([], [], linestyle="none", label=label, **{"markersize": 5, **looks})  # type: ignore[arg-type]
        for present, label, looks in spots
        if present
    ]
