"""Results as aligned text for a terminal: 80 columns, three significant digits, each line with its origin."""

from __future__ import annotations

import math
import textwrap
from pathlib import Path
from typing import Final

from dse.evaluation.document import pipeline_document
from dse.evaluation.result import Evaluation
from dse.evaluation.source import assumed_fraction, sourced_breakdown
from dse.mapping.model import Mapping
from dse.report.all_digital import baselines_table, headline
from dse.report.machine_text import machine_lines
from dse.report.run_parts import run_lines, scenario_text
from dse.report.tables import align, quantity_text, significant
from dse.spec.architecture import Architecture
from dse.units import at_point
from dse.workload.build import Workload


def title_text(arch: Architecture, workload: Workload) -> str:
    """Names and scenario of one design."""
    what = f"a mix of {len(workload.mix)} scenarios" if workload.mix else scenario_text(workload.scenario)
    return f"{arch.name} x {workload.name}: {what}, {routing_text(workload)}"


def routing_text(workload: Workload) -> str:
    """How tokens choose experts; uniform independent routing is the best case and is called so."""
    routing, table = workload.routing, workload.routing_table
    file = "" if table is None else Path(table.file).name
    correlated = f"correlation {routing.correlation:g} within the batch" if routing.correlation else ""
    ordered = routing.norm_load_rank_correlation
    how = {
        "uniform": "uniform routing" if correlated else "uniform routing (best case)",
        "zipf": f"Zipf routing, s = {routing.zipf_exponent:g}",
        "measured": f"measured routing ({file})",
        "trace": f"routing of a trace ({file})",
    }[routing.kind]
    return ", ".join(
        filter(None, [how, correlated, f"rank correlation {ordered:g} with the scores" if ordered else ""])
    )


FORMATS_NOTE: Final = "  * most tokens/J; what narrow weights lose in accuracy is not counted"


def wrapped(text: str) -> str:
    """A sentence in lines of 80 columns."""
    return textwrap.fill(text, 80, subsequent_indent="  ")


def share_text(part: float, total: float) -> str:
    """A share in per cent with one decimal."""
    return f"{100 * part / total:.1f}" if total else "–"


def evaluation_text(arch: Architecture, workload: Workload, mapping: Mapping, evaluation: Evaluation) -> str:
    """The result of ``dse evaluate``."""
    e, energy = evaluation, evaluation.digital_energy_model.replace("_", " ")
    lines = [
        wrapped(title_text(arch, workload)),
        f"energy boundary: {e.energy_boundary}; composition: {e.composition}; digital energy: {energy}",
        *pipeline_lines(e),
        wrapped(f"placed by: {mapping.solver or mapping.objective}"),
        "",
        metrics_table(e),
        *run_lines(e),
        wrapped(headline(e)),
        "",
        energy_table(arch, e),
        "",
        time_table(e),
        "",
        traffic_text(e),
        capacity_text(e),
        *([] if e.machine is None else machine_lines(e.machine)),
        "",
        *ceiling_lines(e),
        *([] if not e.baselines else ["", baselines_table(e), wrapped(FORMATS_NOTE)]),
    ]
    return "\n".join(lines)


def pipeline_lines(evaluation: Evaluation) -> list[str]:
    """Of a pipelined design, which of the two holds it back: the path of one micro-batch, or the busiest resource."""
    pipeline = pipeline_document(evaluation)
    if pipeline is None:
        return []
    path, busy = (quantity_text(pipeline[f"{name}_ns"], "ns") for name in ("critical_path", "busiest_resource"))
    return [
        wrapped(
            f"{pipeline['micro_batches']:g} micro-batches: critical path of one {path}, busiest resource "
            f"({pipeline['busiest_resource']}) {busy} for all; bound by the {pipeline['bound_by']}"
        )
    ]


def metrics_table(evaluation: Evaluation) -> str:
    """Energy, time, area and what follows from them."""
    e = evaluation
    energy = quantity_text(at_point(e.energy_pj_per_token), "pj") + "/token"
    return align(
        [
            ["energy", energy, "tokens/J", significant(at_point(e.tokens_per_j))],
            [
                "step time",
                quantity_text(at_point(e.latency_ns_per_step), "ns") + spread_text(e),
                "tokens/s",
                significant(at_point(e.tokens_per_s)),
            ],
            *contended_row(e),
            ["area", quantity_text(at_point(e.area_mm2), "mm2"), "power", quantity_text(at_point(e.power_mw), "mw")],
        ]
    )


def contended_row(evaluation: Evaluation) -> list[list[str]]:
    """The step time with waits on shared tiles and the reason; empty where it is less than 0.05 % longer."""
    contended = at_point(evaluation.contended_latency_ns_per_step)
    if contended < (1 + 5e-4) * at_point(evaluation.latency_ns_per_step):
        return []
    waiting = "micro-batches" if evaluation.composition == "pipelined" else "dependent products"
    return [["contended", quantity_text(contended, "ns"), "", f"{waiting} wait on shared tiles"]]


def spread_text(evaluation: Evaluation) -> str:
    """How far the step time varies from step to step with the choices of the tokens; empty where it does not.

    A spread below 0.05 % is not shown.
    """
    share = at_point(evaluation.latency_ns_std) / at_point(evaluation.latency_ns_per_step)
    return f" ± {significant(100 * share)} % (routing)" if share >= 5e-4 else ""


def energy_table(arch: Architecture, evaluation: Evaluation) -> str:
    """Energy per token by component and block kind, with the value behind each line."""
    frame = sourced_breakdown(arch, evaluation)
    total = float(frame["energy_pj_per_token"].sum())
    rows = [
        [
            row["component"] + ("" if row["block_kind"] == "all" else f", {row['block_kind']}"),
            row["group"],
            quantity_text(row["energy_pj_per_token"], "pj"),
            share_text(row["energy_pj_per_token"], total),
            row["evidence"] if row["line"] is None else f"line {row['line']} {row['evidence']}",
        ]
        for row in frame.to_dict(orient="records")
    ]
    table = align(rows, ["energy per token", "group", "", "%", "from"], right={2, 3})
    files = ", ".join(dict.fromkeys(file for file in frame["file"] if file))
    assumed = f"{100 * assumed_fraction(frame):.0f} % of the energy rests on assumed values"
    return f"{table}\n{wrapped(f'  from {files}; {assumed}')}"


def time_table(evaluation: Evaluation) -> str:
    """Critical path by resource, then the groups of every stage."""
    total = at_point(evaluation.latency_ns_per_step)
    shares = {name: at_point(time) for name, time in evaluation.critical_ns.items()}
    rows = [
        [name, quantity_text(time, "ns"), share_text(time, total)]
        for name, time in sorted(shares.items(), key=lambda item: -item[1])
        if time > 0
    ]
    first = align(rows, ["critical path of a step", "time", "%"], right={1, 2})
    stages = [
        [
            row["stage"],
            row["group"],
            quantity_text(row["time_ns_per_step"], "ns"),
            row["resource"],
            "" if row["on_critical_path"] else "hidden",
        ]
        for row in evaluation.stage_frame().to_dict(orient="records")
    ]
    return first + "\n\n" + align(stages, ["stage", "group", "time", "bound by", ""], right={2})


def traffic_text(evaluation: Evaluation) -> str:
    """Bytes per token by memory and kind, all digital on this machine and under this mapping."""
    frame = evaluation.bytes_per_token
    columns = [c for c in ("all_digital_bytes_per_token", "bytes_per_token") if c in frame]
    rows = [
        [row["memory"], row["what"], *(quantity_text(row[column], "bytes") for column in columns)]
        for row in frame.to_dict(orient="records")
    ]
    heads = ["all digital", "this mapping"][-len(columns) :]
    return align(rows, ["memory", "read per token", *heads], right={2, 3})


def capacity_text(evaluation: Evaluation) -> str:
    """What is used of each capacity, how far batch and context may grow, and counts of crossbar products."""
    rows = []
    for name, need in evaluation.units_needed.items():
        rows.append(capacity_row(name, at_point(need), at_point(evaluation.units_available[name])))
    tokens = at_point(evaluation.tokens_per_step)
    products, additions = at_point(evaluation.counts.products), at_point(evaluation.counts.additions)
    counts = f"crossbar products per token {products / tokens:.6g}, additions {additions / tokens:.6g}"
    return align(rows) + f"\n{room_text(evaluation)}\n  {counts}"


def room_text(evaluation: Evaluation) -> str:
    """The largest batch and the largest context that the host's memory leaves room for; of a mix the tightest one's."""
    batch, context = (
        f"{count:.0f}" if math.isfinite(count) else "any"
        for count in (at_point(evaluation.max_batch), at_point(evaluation.max_context_tokens))
    )
    length = "context" if evaluation.room.workload.scenario.phase == "decode" else "prompt"
    rooms = f"batch {batch} at this {length}, {length} {context} at this batch"
    scenario = next((f" of {part.name}" for part in evaluation.parts if part.evaluation.room is evaluation.room), "")
    return wrapped(f"  {evaluation.room.memory} leaves room for {rooms}{scenario}")


def capacity_row(name: str, used: float, have: float) -> list[str]:
    """Use of one capacity, in crossbars or bytes."""
    unit = "bytes" if max(used, have) > 1e7 else ""
    share = f"{share_text(used, have)} %"
    return [f"capacity {name}", quantity_text(used, unit), "of", quantity_text(have, unit), share]


def ceiling_lines(evaluation: Evaluation) -> list[str]:
    """What could be gained at most, in words."""
    c = evaluation.ceiling
    if c is None:
        return []
    fits = "" if c["all_digital_fits"] else " (it would not fit its memory)"

    def row(name: str, tokens_per_s: float, tokens_per_j: float, speedup: float) -> list[str]:
        return [name, significant(tokens_per_s), significant(tokens_per_j), f"{significant(speedup)}x"]

    rows = [
        row("all digital" + fits, c["all_digital_tokens_per_s"], c["all_digital_tokens_per_j"], 1.0),
        row("this mapping", at_point(evaluation.tokens_per_s), at_point(evaluation.tokens_per_j), c["speedup"]),
        row(
            "experts free (limit)",
            c["experts_free_tokens_per_s"],
            c["experts_free_tokens_per_j"],
            c["speedup_limit"],
        ),
    ]
    n_bytes = {k: quantity_text(c[f"bytes_per_token_{k}"], "bytes") for k in ("all_digital", "dense", "experts", "kv")}
    return [
        align(rows, ["ceiling", "tokens/s", "tokens/J", "speed-up"], right={1, 2, 3}),
        wrapped(
            f"  bytes per token all digital {n_bytes['all_digital']}: experts {n_bytes['experts']} can go, "
            f"dense weights {n_bytes['dense']} and KV cache {n_bytes['kv']} stay"
        ),
        f"limited by: {evaluation.binding}",
    ]
