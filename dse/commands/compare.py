"""``dse compare``: two results side by side, input by input and part by part."""

from __future__ import annotations

import argparse
from pathlib import Path

from dse.commands.inputs import Pair, chosen_mapping, load_pair
from dse.commands.output import emit, output_file, write_document
from dse.errors import SpecError
from dse.evaluation.run import evaluate
from dse.exploration.compare import difference, input_changes, objections, require_comparable
from dse.exploration.outcome import Outcome, input_values, load_outcome, outcome_of
from dse.report.compare import comparison_text


def run(arguments: argparse.Namespace) -> int:
    """Prints what differs; refuses what is not comparable unless ``--anyway`` is given."""
    file = output_file(arguments.output, "comparison.json")
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
        SpecError: an architecture without ``--workload``, or a result with it.
    """
    path = Path(text.partition("#")[0])
    is_result = path.is_dir() or path.suffix == ".json"
    if is_result:
        if not path.exists():
            raise SpecError(f"{text}: no such file; `dse evaluate ARCH WORKLOAD -o {text}` writes it")
        return load_outcome(text)
    if arguments.workload is None:
        raise SpecError(
            f"{text}: neither a .json of `dse evaluate -o` nor a run folder; to compare architectures give "
            "--workload WORKLOAD"
        )
    arguments.architecture = text
    pair: Pair = load_pair(arguments)
    evaluation = evaluate(pair.arch, pair.workload, chosen_mapping(arguments, pair).mapping)
    return outcome_of(evaluation, pair.arch.name, input_values(pair.arch, pair.workload))
