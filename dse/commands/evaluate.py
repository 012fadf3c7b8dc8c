"""``dse evaluate``: energy, latency, area and traffic of one design."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Final

from dse.commands.inputs import chosen_mapping, load_pair
from dse.commands.output import emit, result_file, tell, write_document
from dse.evaluation.explain import explain_design
from dse.evaluation.run import evaluate
from dse.evaluation.source import assumed_fraction, sourced_breakdown
from dse.evaluation.uncertainty import uncertainty
from dse.exploration.manifest import unmodelled
from dse.exploration.outcome import input_values
from dse.report.text import evaluation_text, wrapped
from dse.report.uncertainty_text import uncertainty_text

SUMS: Final = ("energy_pj_per_token", "latency_ns_per_step", "area_mm2")
"""Metrics that are sums of parts; the others follow from them."""


def run(arguments: argparse.Namespace) -> int:
    """Prints the result with its breakdown, its ceiling and what is left out."""
    file = result_file(arguments.output, "evaluation.json")
    pair = load_pair(arguments)
    mapping, how = chosen_mapping(arguments, pair)
    evaluation = evaluate(pair.arch, pair.workload, mapping)
    for warning in evaluation.machine.warnings if evaluation.machine else ():
        tell(arguments, f"warning: {warning}")
    breakdown = sourced_breakdown(pair.arch, evaluation)
    found = uncertainty(pair.arch, pair.workload, mapping, seed=arguments.seed) if arguments.uncertainty else None
    explanation = explain_design(pair.arch, pair.workload, mapping)
    shares = {metric: explanation.tree(metric).assumed_fraction for metric in SUMS}
    document = {
        "mapping": how,
        "architecture": pair.arch.name,
        "workload": pair.workload.name,
        **evaluation.to_dict(),
        "breakdown": breakdown.to_dict(orient="records"),
        "assumed_fraction": assumed_fraction(breakdown),
        "unmodelled": unmodelled(pair.arch),
        "inputs": input_values(pair.arch, pair.workload),
        "assumed_fraction_by_metric": shares,
        **({} if found is None else found.to_dict()),
        "explanation": explanation.to_dict(),
    }
    write_document(arguments, file, document)
    emit(
        arguments,
        document,
        lambda: "\n".join(
            [
                wrapped(how),
                evaluation_text(pair.arch, pair.workload, mapping, evaluation),
                wrapped(assumed_text(shares)),
                *([] if found is None else [uncertainty_text(found)]),
                wrapped("not modelled: " + "; ".join(unmodelled(pair.arch))),
            ]
        ),
    )
    return 0


def assumed_text(shares: Mapping[str, float]) -> str:
    """How much of time and area rests on assumed values; the table of the energy says its own."""
    time, area = (f"{100 * shares[metric]:.0f} %" for metric in ("latency_ns_per_step", "area_mm2"))
    return f"{time} of the step time and {area} of the area rest on values that are assumed or name no evidence"
