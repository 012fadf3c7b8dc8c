"""Writes the report of a run folder: one HTML page that opens from disk, and its figures as files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from dse.errors import MissingExtraError
from dse.report import breakdown, figures, pareto, sections, verdict
from dse.report.figures import FigureView
from dse.report.run import Run, read_run
from dse.report.sections import Input, Table
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
    colour = figures.colour_metric(run)
    plane = pareto.prepare(run.points, colour=colour, reference=reference, proofs=figures.proofs(run))
    picked = verdict.pick_points(run, plane.knee)
    main = picked.get("Knee of the front", picked.get("Lowest energy"))
    parts = _breakdown_view(run, plane, main)
    assumed = {point: parts.assumed_share(point) for point in picked.values() if point in parts.points}
    on_line = figures.front_points(plane, most=sections.FRONT_ROWS)
    shown = figures.mixed_point(run, [*([] if main is None else [main]), *picked.values(), *on_line])
    cards = tuple(verdict.make_card(run, title, point) for title, point in picked.items())
    mapping_id = "" if main is None else str(run.points.set_index("point")["mapping_id"][main])
    return Page(
        axes=tuple(sections.axis_values(path, values) for path, values in run.manifest.axes.items()),
        cards=cards,
        card_note=_card_note(picked, reference),
        caveats=tuple(verdict.caveats(run, assumed_energy=assumed)),
        reasons=tuple(verdict.reasons(run)),
        banner="" if run.is_measured else f"No weights known: {verdict.score_sentence(run)} Accuracy was not measured.",
        pareto=_pareto_figures(run, plane, folder) if picked else (),
        front=sections.front_table(run, on_line) if picked else Table("", (), ()),
        front_note=_front_note(plane, len(on_line)),
        breakdown=figures.breakdown_figure(run, folder, parts, about=main) if parts.points else None,
        parts=_part_tables(run, picked, reference),
        ceiling=sections.ceiling_sentence(run),
        ceiling_tables=(sections.ceiling_table(run), sections.traffic_table(run, main)),
        experts=None if shown is None else figures.expert_figure(run, folder, point=shown),
        loss=figures.loss_figure(run, folder),
        accuracy=sections.accuracy_table(run, mapping_id, title=f"Accuracy of design #{main}"),
        slices=figures.slices_figure(run, folder, marked=main) if picked else None,
        inputs=sections.inputs(run),
        evidence=tuple((str(k), int(v)) for k, v in run.provenance["evidence"].fillna("").value_counts().items()),
        files=tuple((name, what) for name, what in FILES.items() if (run.folder / name).exists()),
    )


def _pareto_figures(run: Run, plane: pareto.ParetoView, folder: Path) -> tuple[FigureView, ...]:
    """Energy against latency, and energy against measured loss where there is any."""
    shown = [figures.pareto_figure(run, folder, plane, name="pareto")]
    if run.is_measured and run.points["loss_increase_nats"].nunique() > 2:
        view = pareto.prepare(
            run.points,
            x=pareto.LOSS,
            colour="latency_ns_per_step",
            reference=run.manifest.reference_point,
            proofs=figures.proofs(run),
        )
        shown.append(figures.pareto_figure(run, folder, view, name="pareto_loss"))
    return tuple(shown)


def _breakdown_view(run: Run, plane: pareto.ParetoView, main: int | None) -> breakdown.BreakdownView:
    points = figures.front_points(plane, most=figures.MOST_BARS)
    names: dict[int, str] = {}
    if plane.reference is not None:
        points = tuple(dict.fromkeys([*points, plane.reference]))
        names[plane.reference] = "reference"
    if plane.knee is not None:
        names[plane.knee] = "knee"
    labels = figures.bar_labels(run, points, names)
    return breakdown.prepare(run.breakdown, points, leading=main, labels=labels)


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


def _card_note(picked: Mapping[str, int], reference: int | None) -> str:
    if not picked:
        return "No design could be evaluated; the reasons are below."
    parts = [f"↓ lower, ↑ higher than the reference, design #{reference}."] if reference is not None else []
    parts.append("The titles look at energy and latency only; what they cost in accuracy stands in the last row.")
    if "Knee of the front" not in picked:
        parts.append("The front has no knee: fewer than three designs, or none below the chord between its ends.")
    if len(set(picked.values())) < len(picked):
        parts.append("One design holds more than one title.")
    return " ".join(parts)


def _front_note(plane: pareto.ParetoView, n_shown: int) -> str:
    n_line = len(plane.line)
    if n_shown < n_line:
        return f"{n_shown} of the {n_line} designs of the line, evenly thinned; all are in points.csv."
    return f"The {n_line} designs of the line, by latency."
