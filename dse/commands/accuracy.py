"""``dse accuracy``: accuracy of a mapping under device noise."""

from __future__ import annotations

import argparse

import dse.noise
from dse.commands.inputs import chosen_mapping, load_pair
from dse.commands.output import emit, output_file, tell, write_document
from dse.commands.progress import progress_bar
from dse.report.accuracy_text import accuracy_text
from dse.report.text import wrapped


def run(arguments: argparse.Namespace) -> int:
    """Measures accuracy over chips and prints it against the digital model."""
    file = output_file(arguments.output, "accuracy.json")
    pair = load_pair(arguments)
    dse.noise.require_measurable(
        pair.workload,
        draws=arguments.draws,
        time_s=arguments.time_s,
        scale=arguments.scale,
        n_tokens=arguments.tokens,
        n_items=arguments.items,
    )
    mapping, how = chosen_mapping(arguments, pair)
    tell(arguments, wrapped(how))
    report = dse.noise.check_accuracy(
        pair.arch,
        pair.workload,
        mapping,
        draws=arguments.draws,
        seed=arguments.seed,
        time_s=arguments.time_s,
        scale=arguments.scale,
        n_tokens=arguments.tokens,
        n_items=arguments.items,
        progress=progress_bar(arguments, "chips"),
    )
    document = {"mapping": how, **report.to_dict()}
    write_document(arguments, file, document)
    emit(arguments, document, lambda: accuracy_text(report))
    return 0
