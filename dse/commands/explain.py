"""``dse explain``: a metric of a result as a tree, down to stated values and their sources."""

from __future__ import annotations

import argparse
from typing import NamedTuple

from dse.commands.inputs import architecture_or_result, chosen_mapping, require_architecture
from dse.commands.output import emit, result_file, write_document
from dse.evaluation.explain import Explanation, explain_design
from dse.exploration.opened import explanation_of_result
from dse.report.explain_text import explanation_text
from dse.report.text import wrapped


class Found(NamedTuple):
    """What is explained."""

    name: str
    explanation: Explanation


def run(arguments: argparse.Namespace) -> int:
    """Prints the tree of the metric."""
    file = result_file(arguments.output, "explanation.json")
    found = read(arguments)
    tree = found.explanation.tree(arguments.metric)
    document = {
        "result": found.name,
        "metric": arguments.metric,
        "assumed_fraction": tree.assumed_fraction,
        "tree": tree.to_dict(),
    }
    write_document(arguments, file, document)
    emit(arguments, document, lambda: f"{wrapped(found.name)}\n" + explanation_text(tree, depth=arguments.depth))
    return 0


def read(arguments: argparse.Namespace) -> Found:
    """The explanation of a stored result, or with ``--workload`` of an architecture.

    Raises:
        SpecError: neither a result nor an architecture with a workload, or a result with options of an architecture.
    """
    text = arguments.result
    require_architecture(arguments, [text])
    pair = architecture_or_result(arguments, text, verb="explain")
    if pair is None:
        return Found(text, explanation_of_result(text))
    chosen = chosen_mapping(arguments, pair)
    return Found(
        f"{pair.arch.name} x {pair.workload.name}; {chosen.how}",
        explain_design(pair.arch, pair.workload, chosen.mapping),
    )
