"""``dse check``: validates specs and prints every problem."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass

from dse.commands.output import json_text, problem_document, result_file, tell, write_document
from dse.commands.sets import Sets, split_sets
from dse.cost.tile import tiles_of
from dse.cost.warnings import architecture_warnings
from dse.errors import Problem, SpecError
from dse.spec.architecture import Architecture
from dse.spec.kinds import Loaded, file_kind, load_any
from dse.spec.load import LoadedWorkload, load_architecture, load_workload_spec
from dse.spec.shipped import FileKind
from dse.workload.build import workload_of


@dataclass(frozen=True, slots=True)
class Checked:
    """A spec, what it holds, and what is wrong with it."""

    name: str
    kind: str | None
    problems: tuple[Problem, ...]
    warnings: tuple[str, ...] = ()


def run(arguments: argparse.Namespace) -> int:
    """Validates each spec, with other values where they are given; 2 where one has a problem."""
    file, sets = result_file(arguments.output, "check.json"), split_sets(arguments.set)
    specs = [checked(name, sets) for name in arguments.spec]
    problems = [problem for spec in specs for problem in spec.problems]
    document = {
        "status": "bad_input" if problems else "ok",
        "specs": [{"file": spec.name, "kind": spec.kind, "ok": not spec.problems} for spec in specs],
        "problems": [problem_document(problem) for problem in problems],
        "warnings": [f"{spec.name}: {warning}" for spec in specs for warning in spec.warnings],
    }
    kinds = {spec.kind for spec in specs}
    for kind, texts in sets._asdict().items():
        if texts and None not in kinds and kind not in kinds:
            raise SpecError(f"--set {texts[0]}: no {kind} is checked; name one beside the others")
    write_document(arguments, file, document)
    if arguments.json:
        print(json_text(document))
    for spec in specs:
        if not spec.problems and not arguments.json:
            print(f"{spec.name}: {spec.kind}, no problems")
        for warning in spec.warnings:
            tell(arguments, f"{spec.name}: warning: {warning}")
    for problem in problems:
        print(problem, file=sys.stderr)
    return 2 if problems else 0


def checked(name: str, sets: Sets) -> Checked:
    """Reads one spec, with the values that are set, and collects its problems."""
    kind = None
    try:
        kind = file_kind(name)
        loaded = load_set(name, kind, sets)
        read_behind(loaded)
        warnings = architecture_warnings(loaded) if isinstance(loaded, Architecture) else ()
    except SpecError as error:
        return Checked(name, kind, error.problems)
    return Checked(name, kind, (), warnings)


def load_set(name: str, kind: FileKind, sets: Sets) -> Loaded:
    """A spec with the values that are set in it.

    Raises:
        SpecError: every problem of the file and of the values.
    """
    if kind == "architecture" and sets.architecture:
        return load_architecture(name, sets.architecture)
    if kind == "workload" and sets.workload:
        return load_workload_spec(name, sets.workload)
    return load_any(name)


def read_behind(loaded: object) -> None:
    """Reads what a spec rests on: model and routing of a workload, the calibration of every core.

    Raises:
        SpecError: every problem of a file, or a calibration that cannot be met.
    """
    if isinstance(loaded, LoadedWorkload):
        workload_of(loaded)
    if isinstance(loaded, Architecture):
        tiles_of(loaded)
