"""``dse validate``: every figure of dse that is stated elsewhere, worked out anew."""

from __future__ import annotations

import argparse

from dse.commands.output import emit, output_file, write_text
from dse.report.validation import validation_document, validation_frame, validation_markdown, validation_text
from dse.report.validation_figure import validation_svg
from dse.validation.run import validate


def run(arguments: argparse.Namespace) -> int:
    """Prints the errors; writes the page, its figure and all rows."""
    file = output_file(arguments.output, "validation.md")
    comparisons = validate()
    if file is not None:
        figure = file.with_suffix(".svg")
        write_text(arguments, file, validation_markdown(comparisons, figure.name))
        write_text(arguments, figure, validation_svg(comparisons))
        rows = validation_frame(comparisons).to_csv(index=False, lineterminator="\n")
        write_text(arguments, file.with_suffix(".csv"), rows)
    emit(arguments, validation_document(comparisons), lambda: validation_text(comparisons))
    return 0
