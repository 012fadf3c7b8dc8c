"""The inputs that a run folder keeps, so that its designs can be costed from it wherever it lies."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dse.exploration.space import Space
from dse.exploration.study import SCORES_FILE
from dse.spec.digest import file_digest
from dse.spec.scenario import Sensitivity
from dse.spec.show import resolved_yaml
from dse.workload.build import Workload


def input_files(space: Space) -> dict[str, str]:
    """File name → text: the base design as resolved YAML, and the routing it was measured with.

    Devices and tables of cores stand in the architecture, the model in the workload, and the scores are those of the
    run; checkpoint and texts are left out, ``data_files`` says which they were.
    """
    files = {"architecture.yaml": resolved_yaml(space.architecture)}
    loaded, model = space.workload.loaded, space.workload.model
    if loaded is None:
        return files
    routing = loaded.spec.routing
    if routing.file is not None:
        table = loaded.path_of(routing.file, "routing.file")
        kept = f"routing{table.suffix}"
        files[kept] = table.read_text(encoding="utf-8")
        routing = dataclasses.replace(routing, file=kept)
    spec = dataclasses.replace(
        loaded.spec,
        model=model,
        routing=routing,
        sensitivity=Sensitivity(file=f"../{SCORES_FILE}"),
        checkpoint=None,
        evaluation=None,
        calibration=None,
    )
    return {**files, "workload.yaml": resolved_yaml(dataclasses.replace(loaded, spec=spec))}


def data_files(workload: Workload) -> dict[str, dict[str, Any]]:
    """Key of a workload → the data file it names, with size and sha256; a folder has those of its ``config.json``.

    An absolute path is shortened to its name.
    """
    if workload.loaded is None:
        return {}
    found = {}
    for key, name in named_files(workload):
        path = workload.loaded.path_of(name, key)
        parts = [part for part in path.rglob("*") if part.is_file()] if path.is_dir() else [path]
        config = path / "config.json" if path.is_dir() else path
        found[key] = {
            "file": Path(name).name if Path(name).expanduser().is_absolute() else name,
            "bytes": sum(part.stat().st_size for part in parts),
            "sha256": file_digest(config) if config.is_file() else None,
        }
    return found


def named_files(workload: Workload) -> Iterator[tuple[str, str]]:
    """(Key, name) of every data file that a workload file names."""
    assert workload.loaded is not None
    spec = workload.loaded.spec
    given = {
        "model": spec.model if isinstance(spec.model, str) else None,
        "routing.file": spec.routing.file,
        "sensitivity.file": spec.sensitivity.file,
        "checkpoint": spec.checkpoint,
        "evaluation.tokens": spec.evaluation.tokens if spec.evaluation else None,
        "evaluation.multiple_choice": spec.evaluation.multiple_choice if spec.evaluation else None,
        "calibration.tokens": spec.calibration.tokens if spec.calibration else None,
    }
    yield from ((key, name) for key, name in given.items() if name is not None)
