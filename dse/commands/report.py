"""``dse report``: the HTML report of a run folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from dse.commands.output import emit
from dse.report.html import write_report


def run(arguments: argparse.Namespace) -> int:
    """Writes the report and prints where it is."""
    path = write_report(Path(arguments.run_folder))
    emit(arguments, {"report": str(path)}, lambda: f"report: {path}")
    return 0
