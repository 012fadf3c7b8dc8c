"""``dse report``: the HTML report of a run folder."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from dse.commands.output import emit, output_file, writing
from dse.report.html import write_report


def run(arguments: argparse.Namespace) -> int:
    """Writes the report and prints where it is."""
    file = output_file(arguments.output, "report.html")
    path = write_report(Path(arguments.run_folder))
    if file is not None:
        with writing(arguments, file):
            shutil.copyfile(path, file)
    emit(arguments, {"report": str(path)}, lambda: f"report: {path}")
    return 0
