"""``dse evaluate``: energy, latency, area and traffic of one design."""

from __future__ import annotations

import argparse

from dse.commands.inputs import chosen_mapping, load_pair
from dse.commands.output import emit, output_file, tell, write_document
from dse.evaluation.explain import explain_design
from dse.evaluation.run import evaluate
from dse.evaluation.source import assumed_fraction, sourced_breakdown
from dse.evaluation.uncertainty import uncertainty
from dse.exploration.manifest import unmodelled
from dse.exploration.outcome import input_values
from dse.report.text import evaluation_text, wrapped
from dse.report.uncertainty_text import uncertainty_text


def run(arguments: argparse.Namespace) -> int:
    """Prints the result with its breakdown, its ceiling and what is left out."""
    file = output_file(arguments.output, "evaluation.json")
    pair = load_pair(arguments)
    mapping, how = chosen_mapping(arguments, pair)
    evaluation = evaluate(pair.arch, pair.workload, mapping)
    for warning in evaluation.machine.warnings if evaluation.machine else ():
        tell(arguments, f"warning: {warning}")
    breakdown = sourced_breakdown(pair.arch, evaluation)
    found = uncertainty(pair.arch, pair.workload, mapping, seed=arguments.seed) if arguments.uncertainty else None
    document = {
        "mapping": how,
        "architecture": pair.arch.name,
        "workload": pair.workload.name,
        **evaluation.to_dict(),
        "breakdown": breakdown.to_dict(orient="records"),
        "assumed_fraction": assumed_fraction(breakdown),
        "unmodelled": unmodelled(pair.arch),
        "inputs": input_values(pair.arch, pair.workload),
        "uncertainty": None if found is None else found.to_dict(),
        "explanation": explain_design(pair.arch, pair.workload, mapping).to_dict(),
    }
    write_document(arguments, file, document)
    emit(
        arguments,
        document,
        lambda: "\n".join(
            [
                wrapped(how),
                evaluation_text(pair.arch, pair.workload, mapping, evaluation),
                *([] if found is None else [uncertainty_text(found)]),
                wrapped("not modelled: " + "; ".join(unmodelled(pair.arch))),
            ]
        ),
    )
    return 0
