"""Text of what a run is made of: the prefill and decode of a request, the scenarios of a mix."""

from __future__ import annotations

from collections.abc import Sequence

from dse.evaluation.result import Evaluation, RunPart
from dse.report.tables import align, quantity_text, significant
from dse.spec.scenario import Scenario
from dse.units import at_point


def scenario_text(scenario: Scenario) -> str:
    """Phase, batch and lengths of one scenario."""
    said = f"{scenario.phase}, batch {scenario.batch:g}"
    match scenario.phase:
        case "prefill":
            return f"{said}, prompt {scenario.prompt_tokens:g}"
        case "generate":
            return f"{said}, prompt {scenario.prompt_tokens:g}, {scenario.new_tokens:g} new tokens"
        case _:
            return f"{said}, context {scenario.context_tokens:g}"


def run_lines(evaluation: Evaluation) -> list[str]:
    """A table of the parts of a run, one line each, the parts of a request of a mix below it; empty for one step."""
    if not evaluation.parts:
        return []
    header = ["parts of the run", "times", "energy", "time", "tokens/s"]
    return ["", align(part_rows(evaluation.parts, "", 1.0), header, right={1, 2, 3, 4})]


def part_rows(parts: Sequence[RunPart], above: str, times: float) -> list[list[str]]:
    """Name, occurrences per step of the run, energy and time of one occurrence, tokens per second."""
    rows = []
    for part in parts:
        e, name, count = part.evaluation, f"{above}{part.name}", times * at_point(part.weight)
        energy, time = quantity_text(at_point(e.energy_pj_per_step), "pj"), quantity_text(at_point(e.latency_ns), "ns")
        rows.append([name, significant(count), energy, time, significant(at_point(e.tokens_per_s))])
        rows += part_rows(e.parts, f"{name}: ", count)
    return rows
