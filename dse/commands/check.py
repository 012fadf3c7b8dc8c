"""``dse check``: validates specs and prints every problem."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass

from dse.commands.output import json_text, problem_document, tell
from dse.cost.tile import tiles_of
from dse.cost.warnings import architecture_warnings
from dse.errors import Problem, SpecError
from dse.spec.architecture import Architecture
from dse.spec.kinds import file_kind, load_any
from dse.spec.load import LoadedWorkload
from dse.workload.build import workload_of


@dataclass(frozen=True, slots=True)
class Checked:
    """A spec, what it holds, and what is wrong with it."""

    name: str
    kind: str | None
    problems: tuple[Problem, ...]
    warnings: tuple[str, ...] = ()


def run(arguments: argparse.Namespace) -> int:
    """Validates each spec; 2 where one has a problem."""
    specs = [checked(name) for name in arguments.spec]
    problems = [problem for spec in specs for problem in spec.problems]
    if arguments.json:
        listed = [{"file": spec.name, "kind": spec.kind, "ok": not spec.problems} for spec in specs]
        documents = [problem_document(problem) for problem in problems]
        status = "bad_input" if problems else "ok"
        warnings = [f"{spec.name}: {warning}" for spec in specs for warning in spec.warnings]
        print(json_text({"status": status, "specs": listed, "problems": documents, "warnings": warnings}))
    for spec in specs:
        if not spec.problems and not arguments.json:
            print(f"{spec.name}: {spec.kind}, no problems")
        for warning in spec.warnings:
            tell(arguments, f"{spec.name}: warning: {warning}")
    for problem in problems:
        print(problem, file=sys.stderr)
    return 2 if problems else 0


def checked(name: str) -> Checked:
    """Reads one spec and collects its problems."""
    kind = None
    try:
        kind = file_kind(name)
        loaded = load_any(name)
        read_behind(loaded)
        warnings = architecture_warnings(loaded) if isinstance(loaded, Architecture) else ()
    except SpecError as error:
        return Checked(name, kind, error.problems)
    return Checked(name, kind, (), warnings)


def read_behind(loaded: object) -> None:
    """Reads what a spec rests on: model and routing of a workload, the calibration of every core.

    Raises:
        SpecError: every problem of a file, or a calibration that cannot be met.
    """
    if isinstance(loaded, LoadedWorkload):
        workload_of(loaded)
    if isinstance(loaded, Architecture):
        tiles_of(loaded)
