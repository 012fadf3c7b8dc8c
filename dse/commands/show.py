"""``dse show``: what was read, every value with unit, evidence, source and line."""

from __future__ import annotations

import argparse

from dse.commands.output import emit, output_file, write_text
from dse.errors import SpecError
from dse.spec.architecture import Architecture
from dse.spec.kinds import Loaded, load_any
from dse.spec.load import LoadedWorkload, load_architecture, load_workload_spec
from dse.spec.show import resolved_yaml, show_text


def run(arguments: argparse.Namespace) -> int:
    """Prints a spec as text or as one YAML file."""
    file = output_file(arguments.output, "resolved.yaml")
    loaded = load(arguments.spec, arguments.set)
    resolved = resolved_yaml(loaded)
    if file is not None:
        write_text(arguments, file, resolved)
    emit(arguments, {"resolved_yaml": resolved}, lambda: resolved if arguments.resolved else show_text(loaded))
    return 0


def load(name: str, sets: list[str]) -> Loaded:
    """The spec of a name, with other values.

    Raises:
        SpecError: its problems, or values for a kind of spec that takes none.
    """
    loaded = load_any(name)
    if not sets:
        return loaded
    if isinstance(loaded, Architecture):
        return load_architecture(name, sets)
    if isinstance(loaded, LoadedWorkload):
        return load_workload_spec(name, sets)
    raise SpecError(f"--set {sets[0]}: {name} is no architecture and no workload; edit its file instead")
