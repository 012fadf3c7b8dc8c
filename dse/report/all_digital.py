"""The all-digital machines beside a design, as text: the headline, and the table under the ceiling."""

from __future__ import annotations

from typing import Final

from dse.evaluation.baseline import Baseline
from dse.evaluation.result import Evaluation
from dse.report.tables import MISSING, align, quantity_text, significant
from dse.units import at_point

MODEL_TEXT: Final = {"flat_power": "flat power", "per_operation": "per operation"}


def headline(evaluation: Evaluation) -> str:
    """This design against the best all-digital run, with what keeps the two from being compared."""
    e, best = evaluation, evaluation.best_digital
    if not e.baselines:
        return ""
    own = f"this design: {significant(at_point(e.tokens_per_j))} tokens/J"
    if best is None or best.tokens_per_j is None or best.tokens_per_s is None:
        return f"{own}; no shipped digital machine has the memory for this workload"
    ratio = best.tokens_per_j / at_point(e.tokens_per_j)
    speed = best.tokens_per_s / at_point(e.tokens_per_s)
    differs = []
    if best.energy_boundary != e.energy_boundary:
        differs.append(f"energy boundaries differ, {e.energy_boundary} here and {best.energy_boundary} there")
    if best.energy_model != e.digital_energy_model:
        here, there = MODEL_TEXT[e.digital_energy_model], MODEL_TEXT[best.energy_model]
        differs.append(f"digital energy counted by {here} here and {there} there")
    flags = "".join(f"; NOTE {text}" for text in differs)
    return (
        f"{own}; best all-digital: {best.name}: {significant(best.tokens_per_j)} tokens/J "
        f"({significant(ratio)}x) and {significant(best.tokens_per_s)} tokens/s ({significant(speed)}x){flags}"
    )


def baselines_table(evaluation: Evaluation) -> str:
    """One line per machine and weight format, the best one starred."""
    best = evaluation.best_digital
    rows = [["*" if run is best else "", *cells(run)] for run in evaluation.baselines]
    head = ["", "all digital on", "weights", "tokens/s", "tokens/J", "/s/mm²", "energy"]
    return align(rows, head, right={3, 4, 5})


def cells(run: Baseline) -> list[str]:
    """The cells of one run; where it does not fit, memory needed and there."""
    if run.tokens_per_s is None or run.tokens_per_j is None or run.tokens_per_s_per_mm2 is None:
        need, have = quantity_text(run.need_bytes, "bytes"), quantity_text(run.have_bytes, "bytes")
        return [run.architecture, run.weights, MISSING, MISSING, MISSING, f"{need} > {have}"]
    numbers = [significant(n) for n in (run.tokens_per_s, run.tokens_per_j, run.tokens_per_s_per_mm2)]
    counted = "flat" if run.energy_model == "flat_power" else "per op."
    return [run.architecture, run.weights, *numbers, f"{run.energy_boundary}, {counted}"]
