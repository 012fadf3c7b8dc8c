"""``dse score``: sensitivity scores of the experts."""

from __future__ import annotations

import argparse
from pathlib import Path

from dse.commands.output import emit, result_file, tell, writing
from dse.errors import SpecError
from dse.report.accuracy_text import scores_text
from dse.sensitivity.score import score_blocks
from dse.sensitivity.scores_file import write_scores
from dse.workload.build import load_workload
from dse.workload.checkpoint import checkpoint_workload


def run(arguments: argparse.Namespace) -> int:
    """Prints or writes the scores of all experts."""
    file = result_file(arguments.output, "scores.csv")
    folder = Path(arguments.workload)
    if folder.is_dir() and arguments.set:
        raise SpecError("--set changes a workload file; a checkpoint folder has no values to change")
    workload = checkpoint_workload(folder) if folder.is_dir() else load_workload(arguments.workload, arguments.set)
    options: dict[str, str | float] = {"neuron_axis": arguments.neuron_axis} if arguments.neuron_axis else {}
    if arguments.seed is not None:
        if (arguments.rule or (workload.scores_file is None and workload.sensitivity.rule)) == "random":
            options["seed"] = arguments.seed
        else:
            tell(arguments, "remark: --seed changes nothing where the rule is not random")
    scores = score_blocks(workload, arguments.rule, **options)
    if file is not None:
        with writing(arguments, file):
            write_scores(scores, file)
    document = {"attrs": dict(scores.attrs), "scores": scores.to_dict(orient="records")}
    emit(arguments, document, lambda: scores_text(scores, arguments.top))
    return 0
