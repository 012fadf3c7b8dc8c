"""``dse whatif``: one change at a time beside the base design, and which stated spreads matter."""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from dse.commands.explore import axes_of
from dse.commands.inputs import Pair, chosen_mapping
from dse.commands.output import emit, tell, writing
from dse.errors import SpecError
from dse.evaluation.spreads import METRICS
from dse.evaluation.uncertainty import Uncertainty, uncertainty
from dse.exploration.whatif import Mapper, require_effects, what_if
from dse.mapping.model import Mapping
from dse.report.text import title_text, wrapped
from dse.report.tornado import save_tornado
from dse.report.uncertainty_text import tornado_text
from dse.report.whatif_text import whatif_text
from dse.sensitivity.load_order import with_load_order
from dse.spec.architecture import Architecture
from dse.spec.load import load_architecture
from dse.spec.suggest import did_you_mean
from dse.workload.build import Workload, load_workload


def run(arguments: argparse.Namespace) -> int:
    """Prints a table of the changes and, asked for, the tornado; 3 where no change leaves a design."""
    if arguments.target is not None:
        raise SpecError(
            f"--target {arguments.target}: this version does not search for the value that reaches a target; give "
            "--set PATH=V1,V2,… and read it off the table"
        )
    if not arguments.set and not arguments.tornado:
        raise SpecError("nothing to change: give --set PATH=VALUES, or --tornado")
    if arguments.metric not in METRICS:
        raise SpecError(f"--metric {arguments.metric}: unknown{did_you_mean(arguments.metric, METRICS)}")
    folder = output_folder(arguments.output)
    changes = axes_of(arguments.set)
    pair = Pair(load_architecture(arguments.architecture), with_load_order(load_workload(arguments.workload), changes))
    base = chosen_mapping(arguments, pair)
    frame = what_if(pair.arch, pair.workload, changes, mapper(arguments, pair, base.mapping))
    remarks = require_effects(pair.arch, pair.workload, frame)
    found = uncertainty(pair.arch, pair.workload, base.mapping, seed=arguments.seed) if arguments.tornado else None
    document = {
        "architecture": pair.arch.name,
        "workload": pair.workload.name,
        "mapping": base.how,
        "keeps_mapping": keeps_mapping(arguments),
        "remarks": remarks,
        "designs": frame.to_dict(orient="records"),
        **({} if found is None else found.to_dict()),
    }
    if folder is not None:
        write_tables(arguments, folder, frame, found)
    for remark in remarks:
        tell(arguments, f"remark: {remark}")
    how = f"{base.how}; {'kept' if keeps_mapping(arguments) else 'placed anew'} for every change"
    texts = [wrapped(title_text(pair.arch, pair.workload)), wrapped(how), "", whatif_text(frame)]
    texts += [] if found is None else ["", tornado_text(found, arguments.metric)]
    emit(arguments, document, lambda: "\n".join(texts))
    statuses = frame["status"].iloc[1:]
    return 3 if len(statuses) and (statuses == "infeasible").all() else 0


def keeps_mapping(arguments: argparse.Namespace) -> bool:
    """Whether every change is evaluated with the mapping of the base."""
    return bool(arguments.keep_mapping or arguments.mapping)


def mapper(arguments: argparse.Namespace, pair: Pair, base: Mapping) -> Mapper:
    """What places the blocks of each design: the base's mapping, or the one its arguments ask for."""

    def place(arch: Architecture, workload: Workload, fraction: float | None) -> Mapping:
        if fraction is not None:
            asked = argparse.Namespace(**{**vars(arguments), "digital_fraction": fraction})
            return chosen_mapping(asked, Pair(arch, workload)).mapping
        is_base = arch is pair.arch and workload is pair.workload
        if keeps_mapping(arguments) or is_base:
            return base
        return chosen_mapping(arguments, Pair(arch, workload)).mapping

    return place


def output_folder(path: str | None) -> Path | None:
    """The folder that ``-o`` names.

    Raises:
        SpecError: it is a file.
    """
    if path is None:
        return None
    folder = Path(path).expanduser()
    if folder.exists() and not folder.is_dir():
        raise SpecError(f"-o {path}: is a file; name a folder")
    return folder


def write_tables(arguments: argparse.Namespace, folder: Path, frame: pd.DataFrame, found: Uncertainty | None) -> None:
    """The tables as CSV, and the figure of the tornado."""
    with writing(arguments, folder):
        folder.mkdir(parents=True, exist_ok=True)
        frame.to_csv(folder / "designs.csv", index=False)
        if found is not None:
            found.tornado.to_csv(folder / "tornado.csv", index=False)
            found.summary().to_csv(folder / "uncertainty.csv", index=False)
            save_tornado(found, arguments.metric, folder / "tornado.svg")
