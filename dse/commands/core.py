"""``dse core``: the datasheet of one analog core."""

from __future__ import annotations

import argparse

from dse.commands.output import emit, result_file, write_document
from dse.errors import SpecError
from dse.report.core import core_document, core_text
from dse.spec.load import load_architecture
from dse.spec.provenance import located
from dse.spec.suggest import did_you_mean


def run(arguments: argparse.Namespace) -> int:
    """Prints energy, time, area and efficiency of a tile."""
    file = result_file(arguments.output, "core.json")
    arch = load_architecture(arguments.architecture, arguments.set)
    cores = {core.name: core for core in arch.analog_cores}
    if not cores:
        raise SpecError(f"{arch.name} has no analog core")
    name = arguments.core or next(iter(cores))
    if name not in cores:
        raise SpecError(f"{arch.name} has no analog core {name!r}{did_you_mean(name, cores)}")
    try:
        document = core_document(arch, cores[name], arguments.rows_used, arguments.cols_used)
    except SpecError as error:
        raise SpecError(located(error.problems, arch.provenance)) from None
    write_document(arguments, file, document)
    emit(arguments, document, lambda: core_text(document))
    return 0
