"""What two results are compared by: metrics, their parts, and the inputs behind them, from wherever they stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import pandas as pd

from dse.errors import SpecError
from dse.evaluation.result import Evaluation
from dse.exploration.metrics import METRICS
from dse.exploration.stored import RunPoint, read_stored
from dse.spec.architecture import Architecture, spec_fields
from dse.spec.values import flat_values
from dse.units import at_point
from dse.workload.build import Workload

OUTCOMES: Final = tuple(name for name in METRICS if name != "sensitivity_share")
"""Metrics that need no scores."""
TABLES: Final = ("energy_pj_per_token", "time_ns_per_step", "area_mm2", "bytes_per_token")
WORKLOAD_KEYS: Final = ("model", "counting", "scenario", "routing")
"""First parts of the paths that make two workloads the same task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One result, ready to be compared."""

    name: str
    metrics: Mapping[str, float]
    parts: Mapping[str, Mapping[str, float]]
    """Table (energy, time of the critical path, area, bytes) → part → value; the parts of one table add up."""
    energy_boundary: str
    digital_energy_model: str
    workload: str = ""
    """Name of the workload, where the result states it."""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    """Dotted path → value, of architecture and workload; empty where the result does not carry them."""
    states_defaults: bool = True
    """Whether ``inputs`` holds values that the files leave to their defaults too."""


def input_values(arch: Architecture, workload: Workload) -> dict[str, Any]:
    """Dotted path → value of everything that a design rests on."""
    scores = {f"sensitivity.{name}": value for name, value in flat_values(workload.sensitivity).items()}
    own = {f"model.{name}": value for name, value in flat_values(workload.model).items()}
    scenario = flat_values(workload, roots=("scenario", "routing"))
    return {
        **{path: value for path, value in flat_values(arch, roots=tuple(spec_fields(arch))).items() if path != "name"},
        **{path: value for path, value in own.items() if path != "model.name"},
        "counting": workload.counting, **scenario, **scores,
    }  # fmt: skip


def outcome_of(evaluation: Evaluation, name: str = "", inputs: Mapping[str, Any] | None = None) -> Outcome:
    """The outcome of an evaluation, of its first design."""
    return outcome_of_document({**evaluation.to_dict(), "inputs": inputs or {}}, name)


def outcome_of_document(document: Mapping[str, Any], name: str) -> Outcome:
    """The outcome of the document that ``dse evaluate --json`` prints.

    Raises:
        SpecError: it is no such document.
    """
    try:
        return Outcome(
            name=name,
            metrics={metric: float(document[metric]) for metric in OUTCOMES},
            parts=parts_of({key: pd.DataFrame(document[key]) for key in ("breakdown", "stages", "bytes_per_token")}
                           | {"area": pd.DataFrame(document["area_mm2_by_part"])}),
            energy_boundary=document["energy_boundary"],
            digital_energy_model=document["digital_energy_model"],
            workload=document.get("workload", ""),
            inputs=document["inputs"],
        )  # fmt: skip
    except (KeyError, TypeError, ValueError) as error:
        raise SpecError(f"{name}: not a result of `dse evaluate --json` or -o ({error}); write it again") from None


def parts_of(frames: Mapping[str, pd.DataFrame]) -> dict[str, dict[str, float]]:
    """Table → part → value, of the frames of one design."""
    stages, area, traffic = frames["stages"], frames["area"], frames["bytes_per_token"]
    critical = stages[stages["on_critical_path"].astype(bool)]
    return {
        "energy_pj_per_token": summed(frames["breakdown"], ["component"], "energy_pj_per_token"),
        "time_ns_per_step": summed(critical, ["stage", "group"], "time_ns_per_step"),
        "area_mm2": summed(area, ["part", "die"], "area_mm2"),
        "bytes_per_token": summed(traffic, ["memory", "what"], "bytes_per_token"),
    }


def summed(frame: pd.DataFrame, by: list[str], value: str) -> dict[str, float]:
    """Part → sum of a column, in the order of first appearance."""
    found: dict[str, float] = {}
    for row in frame.to_dict(orient="records"):
        part = ", ".join(str(row[name]) for name in by)
        found[part] = found.get(part, 0.0) + at_point(row[value])
    return found


def load_outcome(text: str) -> Outcome:
    """The outcome in a file that ``dse evaluate -o`` wrote, or of one design of a run folder (RUN or RUN#POINT).

    Raises:
        SpecError: neither, or a point that the run does not open.
    """
    found = read_stored(text)
    return outcome_of_run(found) if isinstance(found, RunPoint) else outcome_of_document(found, text)


def outcome_of_run(found: RunPoint) -> Outcome:
    """The outcome of one design of a run folder.

    Raises:
        SpecError: a design whose parts the run did not keep.
    """
    folder, study, chosen = found
    kept = sorted({int(p) for p in study.frames["breakdown"]["point"]})
    if chosen not in kept:
        said = ", ".join(map(str, kept))
        raise SpecError(f"{folder}#{chosen}: the run keeps the parts of points {said}; choose one of them")
    row = study.points.loc[[chosen]].iloc[0].to_dict()
    frames = {key: study.frames[key] for key in ("breakdown", "stages", "area")}
    frames["bytes_per_token"] = study.frames["traffic"]
    values = dict(study.frames["provenance"][["path", "value"]].itertuples(index=False, name=None))
    model = study.manifest["energy_accounting"].replace(" ", "_")
    return Outcome(
        name=f"{folder}#{chosen}",
        metrics={metric: float(row[metric]) for metric in OUTCOMES},
        parts=parts_of({key: frame[frame["point"] == chosen] for key, frame in frames.items()}),
        energy_boundary=study.manifest["architecture"]["energy_boundary"],
        digital_energy_model=model,
        workload=study.manifest["workload"]["name"],
        inputs={path: value for path, value in values.items() if path != "name"}
        | {path: row[path] for path in study.manifest["axes"]},
        states_defaults=False,
    )
