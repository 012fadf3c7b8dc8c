"""Writes the report of a run folder: one HTML page that opens from disk, and its figures as files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from dse.errors import MissingExtraError
from dse.report import breakdown, figures, pareto, sections, verdict
from dse.report.figures import FigureView
from dse.report.names import metric
from dse.report.run import Run, read_run
from dse.report.sections import Input, Subject, Table
from dse.report.verdict import Card

try:
    import jinja2
except ImportError:  # the optional part [html]
    jinja2 = None  # type: ignore[assignment]

TEMPLATE: Final = "page.html.j2"
FILES: Final[Mapping[str, str]] = {
    "manifest.json": "command, versions, seed and digests",
    "inputs/architecture.yaml": "architecture as it was read, all values resolved",
    "inputs/workload.yaml": "workload as it was read",
    "inputs/routing.csv": "routing it was measured with",
    "points.parquet": "one row per design: settings, metrics, status",
    "points.csv": "the same as text",
    "breakdown.csv": "energy by component, block kind and group",
    "stages.csv": "time by stage and group",
    "area.csv": "area by part and die",
    "traffic.csv": "bytes per token by memory",
    "scores.csv": "score of every block",
    "mappings": "placement of every block, one file per mapping",
    "accuracy.csv": "one row per simulated chip",
    "accuracy_summary.csv": "means and intervals of the simulated chips",
    "provenance.csv": "every input value with source and evidence",
    "figures": "each figure as SVG, its data as CSV",
}
"""What a run folder may hold."""


class Page(NamedTuple):
    """Everything the template shows."""

    subjects: tuple[Subject, ...]
    axes: tuple[tuple[str, str], ...]
    cards: tuple[Card, ...]
    card_note: str
    caveats: tuple[str, ...]
    reasons: tuple[tuple[str, str, int, str], ...]
    banner: str
    pareto: tuple[FigureView, ...]
    front: Table
    front_note: str
    breakdown: FigureView | None
    parts: tuple[Table, ...]
    ceiling: str
    ceiling_tables: tuple[Table, ...]
    experts: FigureView | None
    loss: FigureView | None
    accuracy: Table
    slices: FigureView | None
    inputs: tuple[Input, ...]
    evidence: tuple[tuple[str, int], ...]
    files: tuple[tuple[str, str], ...]


def write_report(run_folder: str | Path) -> Path:
    """Writes ``report.html`` and ``figures/`` into a run folder; equal runs give equal bytes.

    Raises:
        MissingExtraError: jinja2 is not installed.
        SpecError: the folder is no run folder, or a file in it cannot be read.
    """
    if jinja2 is None:
        raise MissingExtraError("dse report", "html")
    run = read_run(run_folder)
    page = make_page(run)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    text = environment.get_template(TEMPLATE).render(page=page, manifest=run.manifest)
    path = run.folder / "report.html"
    path.write_text(text, encoding="utf-8", newline="\n")
    return path


def make_page(run: Run) -> Page:
    """Draws all figures into ``figures/`` and gathers everything the template shows."""
    folder = run.folder / "figures"
    folder.mkdir(exist_ok=True)
    reference = run.manifest.reference_point
    planes = figures.planes(run)
    knee = next((view.knee for view in planes if view.knee is not None), None)
    picked = verdict.pick_points(run, knee)
    main = picked.get("Knee of the front", picked.get("Lowest energy"))
    front = figures.front_points(run, planes[0], most=sections.FRONT_ROWS)
    wanted = [*reversed(picked.values()), *front]
    bars = _breakdown_view(run, planes[0], picked)
    shares = breakdown.prepare(run.breakdown, list(picked.values()))
    mixed, measured = figures.mixed_point(run, wanted), figures.measured_point(run, wanted)
    with_traffic = next((point for point in wanted if point in set(run.traffic["point"])), None)
    return Page(
        subjects=sections.subjects(run),
        axes=tuple(sections.axis_values(path, values) for path, values in run.manifest.axes.items()),
        cards=tuple(verdict.make_card(run, title, point) for title, point in picked.items()),
        card_note=_card_note(planes, picked, reference),
        caveats=tuple(verdict.caveats(run, assumed_energy={p: shares.assumed_share(p) for p in shares.points})),
        reasons=tuple(verdict.reasons(run)),
        banner="" if run.is_measured else verdict.banner(run),
        pareto=tuple(figures.pareto_figure(run, folder, view, name=view.name) for view in planes) if picked else (),
        front=sections.front_table(run, front) if picked else Table("", (), ()),
        front_note=_front_note(run, len(front)),
        breakdown=figures.breakdown_figure(run, folder, bars, about=main) if bars.points else None,
        parts=_part_tables(run, picked, reference),
        ceiling=sections.ceiling_sentence(run),
        ceiling_tables=(sections.ceiling_table(run), sections.traffic_table(run, with_traffic)),
        experts=None if mixed is None else figures.expert_figure(run, folder, point=mixed),
        loss=figures.loss_figure(run, folder),
        accuracy=sections.accuracy_table(run, run.design(measured)),
        slices=figures.slices_figure(run, folder, marked=main) if picked else None,
        inputs=sections.inputs(run),
        evidence=tuple((str(k), int(v)) for k, v in run.provenance["evidence"].fillna("").value_counts().items()),
        files=tuple((name, what) for name, what in FILES.items() if (run.folder / name).exists()),
    )


def _breakdown_view(run: Run, plane: pareto.ParetoView, picked: Mapping[str, int]) -> breakdown.BreakdownView:
    """Bars of the designs of the verdict, of the front, and of the reference."""
    points = figures.bar_points(run, plane, list(picked.values()))
    names = {point: title.removesuffix(" of the front").lower() for title, point in picked.items()}
    if plane.reference is not None:
        points = (*(point for point in points if point != plane.reference), plane.reference)
        names[plane.reference] = "reference"
    labels = figures.bar_labels(run, points, names)
    return breakdown.prepare(run.breakdown, points, leading=picked.get("Knee of the front"), labels=labels)


def _part_tables(run: Run, picked: Mapping[str, int], reference: int | None) -> tuple[Table, ...]:
    """Energy, time and area by part for the designs of the verdict and the reference."""
    short = {"Knee of the front": "Knee"}
    columns = {f"{short.get(title, title)} #{point}": point for title, point in picked.items()}
    if reference is not None:
        columns[f"Reference #{reference}"] = reference
    path = run.stages[run.stages["on_critical_path"].astype(str) == "True"]
    path = path.assign(part=path["stage"].astype(str) + ", " + path["group"].astype(str))
    tables = (
        sections.parts_table(
            run.breakdown, columns, by="component", value="energy_pj_per_token", unit="pj", title="Energy per token"
        ),
        sections.parts_table(
            path, columns, by="part", value="time_ns_per_step", unit="ns", title="Time on the critical path"
        ),
        sections.parts_table(run.area, columns, by="part", value="area_mm2", unit="mm2", title="Area"),
    )
    return tuple(table for table in tables if table.rows)


def _card_note(planes: Sequence[pareto.ParetoView], picked: Mapping[str, int], reference: int | None) -> str:
    if not picked:
        return "No design could be evaluated; the reasons are below."
    parts = [f"↓ lower, ↑ higher than the reference, design #{reference}."] if reference is not None else []
    parts.append("Energy and latency are ranked without regard to accuracy, which stands in the last row.")
    plane = next((view for view in planes if view.knee is not None), None)
    if plane is None:
        parts.append("The front has no knee: fewer than three designs, or none below the chord between its ends.")
    elif plane is not planes[0]:
        parts.append(f"The knee is that of {metric(plane.y).label.lower()} against {metric(plane.x).label.lower()}.")
    if len(set(picked.values())) < len(picked):
        parts.append("One design holds more than one title.")
    return " ".join(parts)


def _front_note(run: Run, n_shown: int) -> str:
    n_front = int(run.ok["on_front"].sum())
    names = ", ".join(metric(name).label.lower() for name in run.manifest.metrics)
    which = f"designs that no other beats in {names}" if names and n_front else "designs of the line"
    if n_shown < n_front:
        return f"{n_shown} of the {n_front} {which}, evenly thinned; all are in points.csv."
    return f"All {n_shown} {which}."
