"""``dse evaluate``: energy, latency, area and traffic of one design."""

from __future__ import annotations

import argparse

from dse.commands.inputs import chosen_mapping, load_pair
from dse.commands.output import emit, output_file, tell, write_document
from dse.evaluation.run import evaluate
from dse.evaluation.source import assumed_fraction, sourced_breakdown
from dse.exploration.manifest import unmodelled
from dse.exploration.outcome import input_values
from dse.report.text import evaluation_text, wrapped


def run(arguments: argparse.Namespace) -> int:
    """Prints the result with its breakdown, its ceiling and what is left out."""
    file = output_file(arguments.output, "evaluation.json")
    pair = load_pair(arguments)
    mapping, how = chosen_mapping(arguments, pair)
    evaluation = evaluate(pair.arch, pair.workload, mapping)
    for warning in evaluation.machine.warnings if evaluation.machine else ():
        tell(arguments, f"warning: {warning}")
    breakdown = sourced_breakdown(pair.arch, evaluation)
    document = {
        "mapping": how,
        "architecture": pair.arch.name,
        "workload": pair.workload.name,
        **evaluation.to_dict(),
        "breakdown": breakdown.to_dict(orient="records"),
        "assumed_fraction": assumed_fraction(breakdown),
        "unmodelled": unmodelled(pair.arch),
        "inputs": input_values(pair.arch, pair.workload),
    }
    write_document(arguments, file, document)
    emit(
        arguments,
        document,
        lambda: "\n".join(
            [
                wrapped(how),
                evaluation_text(pair.arch, pair.workload, mapping, evaluation),
                wrapped("not modelled: " + "; ".join(unmodelled(pair.arch))),
            ]
        ),
    )
    return 0
