"""The figures of a report: prepared once, drawn once, saved as SVG with their data as CSV beside them."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from dse.report import breakdown, expert_map, loss_curve, pareto, slices
from dse.report.names import axis_label, axis_value_text, metric
from dse.report.run import Run
from dse.report.style import house_style, inline_svg, new_figure, svg_text

MOST_BARS: Final = 9
MOST_SLICES: Final = 5
KNEE: Final = (
    "Knee: farthest below the chord between the two ends of the line, after scaling the logarithms of both metrics "
    "to [0, 1] over the line."
)


class FigureView(NamedTuple):
    """One figure of the page."""

    name: str
    """Name of its files, without ending."""
    title: str
    conclusion: str
    caption: str
    svg: str
    """The element for the page."""


def save_figure(
    folder: Path,
    *,
    name: str,
    title: str,
    conclusion: str,
    caption: str,
    data: pd.DataFrame,
    height_in: float,
    paint: Callable[[Figure], None],
) -> FigureView:
    """Draws a figure, writes ``NAME.svg`` and ``NAME.csv`` into a folder, returns the element for the page."""
    with house_style(salt=name):
        figure = new_figure(height_in=height_in)
        paint(figure)
        document = svg_text(figure)
    (folder / f"{name}.svg").write_text(document, encoding="utf-8")
    data.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")
    label = html.escape(f"{title}. {conclusion}", quote=True)
    return FigureView(name, title, conclusion, caption, inline_svg(document, name=name, label=label))


def sample_caption(run: Run) -> str:
    """How many designs with which status, and the seed."""
    counts = [
        f"{run.manifest.count(s)} {s}" for s in ("ok", "infeasible", "failed", "pending") if run.manifest.count(s)
    ]
    return f"n = {run.manifest.n_points} designs ({', '.join(counts) or 'none evaluated'}), seed {run.manifest.seed}."


def colour_metric(run: Run) -> str:
    """The metric shown as colour: measured loss where there is one, else the score left on analog cores."""
    if run.is_measured:
        return "loss_increase_nats"
    return "sensitivity_share" if run.ok["sensitivity_share"].nunique() > 1 else ""


def proofs(run: Run) -> Mapping[int, str]:
    """Point → status of its mapping, for the designs of the front."""
    front = run.ok[run.ok["on_front"]]
    found = {name: run.mapping(name) for name in sorted(front["mapping_id"].unique())}
    pairs = zip(front["point"], front["mapping_id"], strict=True)
    return {int(point): mapping.status for point, name in pairs if (mapping := found[name]) is not None}


def pareto_figure(run: Run, folder: Path, view: pareto.ParetoView, *, name: str) -> FigureView:
    """Pareto figure of two metrics."""
    hidden = f" {view.n_hidden} designs have no such metrics and are not drawn." if view.n_hidden else ""
    directions = ", ".join(metric(m).label.lower() for m in run.manifest.metrics) or "the two metrics"
    bars = " Bars: 95 % intervals over draws." if "low" in view.table else ""
    knee = f" {KNEE}" if view.knee is not None else ""
    return save_figure(
        folder,
        name=name,
        title=f"{metric(view.y).label} against {metric(view.x).label.lower()}",
        conclusion=pareto.conclude(view),
        caption=f"{sample_caption(run)}{hidden} Strong dots: on the front of {directions}, or on the line. Line: not "
        f"beaten in this plane.{bars}{knee}",
        data=view.table,
        height_in=4.1,
        paint=lambda figure: pareto.draw(view, figure.subplots()),
    )


def planes(run: Run) -> tuple[pareto.ParetoView, ...]:
    """Energy against latency; and energy against loss, or against the score left on analog cores if never measured."""
    reference, known = run.manifest.reference_point, proofs(run)
    views = [pareto.prepare(run.points, colour=colour_metric(run), reference=reference, proofs=known)]
    price = pareto.LOSS if run.is_measured else "sensitivity_share"
    if run.ok[price].nunique() > 2 and run.ok["latency_ns_per_step"].notna().any():
        views.append(
            pareto.prepare(run.points, x=price, colour="latency_ns_per_step", reference=reference, proofs=known)
        )
    return tuple(views)


def front_points(run: Run, view: pareto.ParetoView, *, most: int) -> tuple[int, ...]:
    """Designs of the run's front (of the line where it marks none), by energy, thinned evenly to at most `most`."""
    on = run.ok["on_front"] if run.ok["on_front"].any() else run.ok["point"].isin(view.line["point"])
    return thinned([int(p) for p in run.ok[on].sort_values(["energy_pj_per_token", "point"])["point"]], most)


def thinned(points: Sequence[int], most: int) -> tuple[int, ...]:
    """At most `most` of some points, evenly, with both ends."""
    if len(points) <= most:
        return tuple(points)
    return tuple(points[i] for i in np.unique(np.linspace(0, len(points) - 1, most).round().astype(int)))


def bar_points(run: Run, view: pareto.ParetoView, titled: Sequence[int]) -> tuple[int, ...]:
    """Designs with a stored breakdown, by energy: those with a title, and some of the front."""
    stored = set(run.breakdown["point"])
    front = [point for point in front_points(run, view, most=len(run.ok)) if point in stored]
    kept = {*thinned(front, MOST_BARS - len(titled)), *(point for point in titled if point in stored)}
    rows = run.ok[run.ok["point"].isin(kept)].sort_values(["energy_pj_per_token", "point"])
    return tuple(int(point) for point in rows["point"])


def measured_point(run: Run, points: Sequence[int]) -> int | None:
    """The first of some designs whose loss was measured."""
    measured = set(run.ok.loc[run.ok["loss_increase_nats"].notna(), "point"])
    return next((point for point in points if point in measured), None)


def bar_labels(run: Run, points: Sequence[int], names: Mapping[int, str]) -> dict[int, str]:
    """Point → text beside its bar: number, role, and the two settings that vary most among the designs."""
    rows = run.points.set_index("point")
    rows = rows.loc[[p for p in points if p in rows.index]]
    varied = sorted((a for a in run.axes if rows[a].nunique() > 1), key=lambda a: -rows[a].nunique())[:2]
    labels = {}
    for point in rows.index:
        role = f" {names[point]}" if point in names else ""
        settings = " · ".join(f"{axis_label(a)} {axis_value_text(a, rows[a][point])}" for a in varied)
        labels[int(point)] = f"#{point}{role}" + (f"\n{settings}" if settings else "")
    return labels


def breakdown_figure(run: Run, folder: Path, view: breakdown.BreakdownView, *, about: int | None) -> FigureView:
    """Stacked energy of the designs of the front."""
    return save_figure(
        folder,
        name="breakdown",
        title="Energy of a token by component",
        conclusion=breakdown.conclude(view, about),
        caption=f"Designs of the front, by energy{' and the reference' if len(view.points) > 1 else ''}, same order of "
        f"components in every bar. {sample_caption(run)}",
        data=view.table,
        height_in=1.25 + 0.42 * len(view.points),
        paint=lambda figure: breakdown.draw(view, figure.subplots()),
    )


def mixed_point(run: Run, points: Sequence[int]) -> int | None:
    """The first of some designs with experts on both sides, else the first with a mapping, else the first."""
    known = [point for point in points if run.design(point) is not None]
    mapped = []
    for point in known:
        mapping = run.mapping(str(run.points.set_index("point")["mapping_id"][point]))
        if mapping is not None:
            mapped.append(point)
            sides = {o.precision == "analog" for name, o in mapping.placement.items() if ".experts." in name}
            if len(sides) == 2:
                return point
    return next(iter([*mapped, *known]), None)


def expert_figure(run: Run, folder: Path, *, point: int) -> FigureView | None:
    """Score and placement of the experts of one design; None where the run has no scores."""
    design = run.design(point)
    if design is None or not bool((run.scores["kind"] == "expert").any()):
        return None
    view = expert_map.prepare(run.scores, run.mapping(str(design["mapping_id"])))
    rule = str(run.manifest.score.get("rule", "unnamed"))
    return save_figure(
        folder,
        name="expert_map",
        title=f"Where the experts of design #{point} are",
        conclusion=expert_map.conclude(view),
        caption=f"Score: rule “{rule}”, logarithm to base 10. {len(view.table)} experts in {len(view.layers)} layers, "
        "sorted by score within each layer. Shown is the first of knee, ends and front with experts on both sides.",
        data=view.table,
        height_in=min(6.5, max(2.9, 1.5 + 0.14 * len(view.layers))),
        paint=lambda figure: expert_map.draw(view, figure),
    )


def loss_figure(run: Run, folder: Path) -> FigureView | None:
    """Measured loss increase; None where accuracy was not measured."""
    view = loss_curve.prepare(run.accuracy_summary, run.accuracy)
    if view.means.empty:
        return None
    return save_figure(
        folder,
        name="loss_curve",
        title="Loss increase against the share of digital experts",
        conclusion=loss_curve.conclude(view),
        caption="Large dots: means with 95 % Student-t intervals over pair means. Small dots: "
        f"{len(view.draws)} draws, each one simulated chip; draws come in antithetic pairs and are shared between "
        f"mappings. Seed {run.manifest.seed}.",
        data=view.means,
        height_in=3.3,
        paint=lambda figure: loss_curve.draw(view, figure.subplots()),
    )


def slices_figure(run: Run, folder: Path, *, marked: int | None) -> FigureView | None:
    """Main effect of each swept axis; None where no axis has two values."""
    names = ["energy_pj_per_token", "latency_ns_per_step"]
    third = colour_metric(run)
    view = slices.prepare(run.points, run.axes, [*names, third] if third else names, marked=marked)
    if not view.axes:
        return None
    left_out = len(view.axes) - MOST_SLICES
    rest = f" The {left_out} axes with the smallest effect on energy are in the CSV file only." if left_out > 0 else ""
    ring = f" Ring: design #{marked}." if marked is not None else ""
    how = "at the settings of the other axes that were evaluated at every value of the axis"
    if not bool(view.table["matched"].all()):
        how += " (over all evaluated designs where there are none)"
    return save_figure(
        folder,
        name="slices",
        title="What each swept parameter does",
        conclusion=slices.conclude(view),
        caption=f"Line: median {how}. Band: middle half. Values are spaced evenly.{ring}{rest} {sample_caption(run)}",
        data=view.table,
        height_in=0.7 + 1.55 * len(view.metrics),
        paint=lambda figure: slices.draw(view._replace(axes=view.axes[:MOST_SLICES]), figure),
    )
