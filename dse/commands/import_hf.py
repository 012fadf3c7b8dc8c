"""``dse import hf``: the model of a Hugging Face ``config.json``, its parameters, and a workload file for it."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from dse.commands.output import emit, output_file, tell, write_text
from dse.importers.huggingface import import_config
from dse.importers.workload_file import slug, workload_text
from dse.report.model_text import model_text
from dse.workload.parameters import crossbar_counts, parameter_counts


def run(arguments: argparse.Namespace) -> int:
    """Prints what the configuration says; with ``-o`` writes a workload."""
    model, notes = import_config(Path(arguments.config).expanduser())
    file = output_file(arguments.output, f"{slug(model.name)}.yaml")
    if file is not None:
        write_text(arguments, file, workload_text(model, Path(arguments.config).name))
    counts = parameter_counts(model)
    crossbars = None if arguments.array is None else crossbar_counts(model, arguments.array)
    document = {
        "name": model.name,
        "model": dataclasses.asdict(model),
        "parameters": dataclasses.asdict(counts),
        "windows": {"n_layers": model.n_windowed_layers, "tokens": model.window_tokens},
        "notes": notes,
    }
    if crossbars is not None:
        document["crossbars"] = dataclasses.asdict(crossbars)
    for note in notes:
        tell(arguments, f"note: {note}")
    emit(arguments, document, lambda: model_text(model, counts, crossbars))
    return 0
