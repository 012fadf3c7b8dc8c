"""``dse examples``: lists the shipped specs, copies them, or says which workload fits on which architecture."""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path
from typing import Final, get_args

from dse.commands.output import emit, output_file, write_text
from dse.errors import SpecError
from dse.exploration.fits import fits_markdown, fits_table
from dse.report.machines import machines_markdown
from dse.spec.examples import copy_shipped
from dse.spec.load import load_architecture
from dse.spec.shipped import FileKind, shipped_names
from dse.workload.build import load_workload

KINDS: Final[tuple[FileKind, ...]] = get_args(FileKind)


def run(arguments: argparse.Namespace) -> int:
    """Lists or copies the shipped specs."""
    if arguments.output and not (arguments.fits or arguments.machines):
        raise SpecError(f"-o {arguments.output}: only --fits and --machines write a file; --copy DIR copies the specs")
    if arguments.machines:
        return print_machines(arguments)
    if arguments.fits:
        return print_fits(arguments)
    if arguments.copy:
        copied = copy_shipped(Path(arguments.copy), force=arguments.force)
        emit(arguments, {"copied": copied}, lambda: f"{len(copied)} files in {arguments.copy}")
        return 0
    names: dict[str, list[str]] = {kind: list(shipped_names(kind)) for kind in KINDS if shipped_names(kind)}
    emit(arguments, names, lambda: "\n".join(listed(kind, found) for kind, found in names.items()))
    return 0


def listed(kind: str, names: list[str]) -> str:
    """A kind and its names in lines of 80 columns."""
    return textwrap.fill(f"{kind:13} {', '.join(names)}", 80, subsequent_indent=" " * 14)


def print_fits(arguments: argparse.Namespace) -> int:
    """Prints or writes the table of fits of all shipped specs."""
    file = output_file(arguments.output, "fits.md")
    table = fits_table(
        [load_architecture(name) for name in shipped_names("architecture")],
        [load_workload(name) for name in shipped_names("workload")],
    )
    if file is not None:
        write_text(arguments, file, fits_markdown(table))
    emit(arguments, {"fits": table.to_dict(orient="records")}, lambda: fits_markdown(table))
    return 0


def print_machines(arguments: argparse.Namespace) -> int:
    """Prints or writes the page of the reference machines."""
    file = output_file(arguments.output, "README.md")
    page = machines_markdown()
    if file is not None:
        write_text(arguments, file, page)
    emit(arguments, {"page": page}, lambda: page)
    return 0
