"""``dse compare``: two results side by side, input by input and part by part."""

from __future__ import annotations

import argparse

from dse.commands.inputs import architecture_or_result, chosen_mapping, require_architecture
from dse.commands.output import emit, result_file, write_document
from dse.evaluation.run import evaluate
from dse.exploration.compare import difference, input_changes, objections, require_comparable
from dse.exploration.outcome import Outcome, input_values, load_outcome, outcome_of
from dse.report.compare import comparison_text


def run(arguments: argparse.Namespace) -> int:
    """Prints what differs; refuses what is not comparable unless ``--anyway`` is given."""
    file = result_file(arguments.output, "comparison.json")
    require_architecture(arguments, [arguments.before, arguments.after])
    before, after = (read(arguments, text) for text in (arguments.before, arguments.after))
    if not arguments.anyway:
        require_comparable(before, after)
    problems = objections(before, after)
    frame = difference(before, after)
    changes = input_changes(before, after)
    document = {
        "before": before.name,
        "after": after.name,
        "comparable": not problems,
        "objections": [problem.message for problem in problems],
        "inputs": [{"path": path, "before": old, "after": new} for path, (old, new) in changes.items()],
        "differences": frame.to_dict(orient="records"),
    }
    write_document(arguments, file, document)
    emit(arguments, document, lambda: comparison_text(before, after, frame, problems))
    return 0


def read(arguments: argparse.Namespace, text: str) -> Outcome:
    """A stored result, or with ``--workload`` the evaluation of an architecture.

    Raises:
        SpecError: an architecture without ``--workload``, or no such result.
    """
    pair = architecture_or_result(arguments, text, verb="compare")
    if pair is None:
        return load_outcome(text)
    evaluation = evaluate(pair.arch, pair.workload, chosen_mapping(arguments, pair).mapping)
    return outcome_of(evaluation, pair.arch.name, input_values(pair.arch, pair.workload))
