"""The explanation of a stored result: in the file of one evaluation, or of one point of a run folder."""

from __future__ import annotations

import json
from collections.abc import Mapping as MappingABC
from pathlib import Path
from typing import Any

import numpy as np

from dse.errors import SpecError
from dse.evaluation.explain import Explanation, explain_design, explanation_of_document
from dse.exploration.points import DIGITAL_FRACTION, ROOTS
from dse.exploration.study import Study
from dse.mapping.model import Mapping
from dse.spec.architecture import Architecture
from dse.spec.load import load_architecture
from dse.workload.build import Workload, load_workload


def explanation_of_result(text: str) -> Explanation:
    """The explanation of FILE.json, RUN (its reference point) or RUN#POINT.

    Raises:
        SpecError: no result of that kind, or a point that the run has not.
    """
    path, _, point = text.partition("#")
    if Path(path).is_dir():
        return explain_design(*design_of_point(Path(path), point, text))
    return explanation_of_document(read_document(Path(path))["explanation"])


def read_document(path: Path) -> MappingABC[str, Any]:
    """The document of one evaluation.

    Raises:
        SpecError: no such file, or none that ``dse evaluate`` wrote.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SpecError(f"{path}: no such file; `dse evaluate ARCH WORKLOAD -o {path}` writes it") from None
    except json.JSONDecodeError as error:
        raise SpecError(f"{path}:{error.lineno}:{error.colno}: not a JSON file: {error.msg}") from None
    if not isinstance(document, dict) or "explanation" not in document:
        raise SpecError(f"{path}: not a result of `dse evaluate -o` (it has no explanation); write it again")
    return document


def design_of_point(folder: Path, point: str, name: str) -> tuple[Architecture, Workload, Mapping]:
    """Architecture, workload and mapping of one point of a run folder, its reference point where none is named.

    Raises:
        SpecError: no run folder, or no such point.
    """
    study = Study.load(folder)
    if point and not point.isdecimal():
        raise SpecError(f"{name}: after # comes the number of a point (got {point!r})")
    chosen = int(point) if point else study.manifest["reference_point"]
    if chosen not in study.points.index:
        raise SpecError(f"{name}: the run has points 0 to {study.points.index.max()} (asked for {chosen})")
    row = study.points.loc[[chosen]].iloc[0]
    values = {path: row[path] for path in study.manifest["axes"] if path != DIGITAL_FRACTION}
    plain = {path: value.item() if isinstance(value, np.generic) else value for path, value in values.items()}
    of_arch = {path: value for path, value in plain.items() if path.split(".", maxsplit=1)[0] in ROOTS}
    of_workload = {path: value for path, value in plain.items() if path not in of_arch}
    arch = load_architecture(folder / "inputs" / "architecture.yaml")
    workload = load_workload(folder / "inputs" / "workload.yaml").with_score_order(study.scores)
    return (
        arch.with_values(of_arch) if of_arch else arch,
        workload.with_values(of_workload) if of_workload else workload,
        study.mappings[str(row["mapping_id"])],
    )
