"""The explanation of a stored result: in the file of one evaluation, or of one point of a run folder."""

from __future__ import annotations

import numpy as np

from dse.errors import SpecError
from dse.evaluation.explain import Explanation, explain_design, explanation_of_document
from dse.evaluation.points import design_with
from dse.exploration.points import DIGITAL_FRACTION
from dse.exploration.stored import RunPoint, read_stored
from dse.mapping.model import Mapping
from dse.spec.architecture import Architecture
from dse.spec.load import load_architecture
from dse.workload.build import Workload, load_workload


def explanation_of_result(text: str) -> Explanation:
    """The explanation of FILE.json, RUN (its reference point) or RUN#POINT.

    Raises:
        SpecError: no result of that kind, or a point that the run has not.
    """
    found = read_stored(text)
    if isinstance(found, RunPoint):
        return explain_design(*design_of_point(found))
    if "explanation" not in found:
        raise SpecError(f"{text}: not a result of `dse evaluate -o` (it has no explanation); write it again")
    try:
        return explanation_of_document(found["explanation"])
    except (KeyError, TypeError, ValueError) as error:
        raise SpecError(
            f"{text}: not a result of this version of `dse evaluate -o` ({error}); write it again"
        ) from None


def design_of_point(found: RunPoint) -> tuple[Architecture, Workload, Mapping]:
    """Architecture, workload and mapping of one point of a run folder, read from the folder alone.

    Raises:
        SpecError: a file of the folder is missing.
    """
    study, inputs = found.study, found.folder / "inputs"
    row = study.points.loc[found.number]
    values = {path: row[path] for path in study.manifest["axes"] if path != DIGITAL_FRACTION}
    placed = found.folder / "mappings" / f"{row['mapping_id']}.json"
    for file in (inputs / "architecture.yaml", inputs / "workload.yaml", placed):
        if not file.is_file():
            raise SpecError(f"{found.folder}: not a complete run folder ({file} is missing); run `dse explore` again")
    arch, workload = design_with(
        load_architecture(inputs / "architecture.yaml"),
        load_workload(inputs / "workload.yaml").with_score_order(study.scores),
        {path: value.item() if isinstance(value, np.generic) else value for path, value in values.items()},
    )
    return arch, workload, study.mappings[str(row["mapping_id"])]
