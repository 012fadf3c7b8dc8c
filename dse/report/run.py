"""Reads a run folder as `dse explore` leaves it, whole or interrupted, into one frozen value."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pandas as pd

from dse.errors import Problem, SpecError
from dse.mapping.model import Mapping as Placement
from dse.mapping.model import load_mapping

SCHEMA_VERSION: Final = 1
WRITER: Final = "`dse explore SPACE -o {folder}`"

COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "breakdown": ("point", "component", "block_kind", "group", "energy_pj_per_token", "evidence"),
    "stages": ("point", "stage", "group", "time_ns_per_step", "on_critical_path"),
    "area": ("point", "part", "die", "area_mm2"),
    "traffic": ("point", "memory", "what", "bytes_per_token", "all_digital_bytes_per_token"),
    "scores": ("block", "layer", "kind", "expert", "score"),
    "accuracy": ("mapping_id", "digital_fraction", "scale", "pair", "sign", "loss_nats"),
    "accuracy_summary": (
        "mapping_id", "digital_fraction", "scale", "metric", "digital", "mean", "low", "high",
        "increase", "increase_low", "increase_high", "n_pairs",
    ),
    "provenance": ("path", "value", "unit", "source", "evidence", "file", "line"),
}  # fmt: skip
"""Table of a run (file name without ending) → columns it must have; a table that is absent is read as empty."""

POINT_COLUMNS: Final = ("point", "energy_pj_per_token", "latency_ns_per_step", "status")
_CSV_TYPES: Final = {"mapping_id": str, "value": str, "unit": str, "source": str, "file": str, "line": str}
_POINT_TEXTS: Final = ("status", "reason", "binding", "mapping_id")
_POINT_NUMBERS: Final = (
    "energy_pj_per_token", "latency_ns_per_step", "tokens_per_s", "tokens_per_j", "area_mm2", "power_mw",
    "sensitivity_share", "loss_increase_nats", "loss_increase_low", "loss_increase_high",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What was run, on which inputs, and what came of it."""

    title: str = "Design-space exploration"
    command: str = ""
    dse_version: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0
    architecture: Mapping[str, str] = field(default_factory=dict)
    workload: Mapping[str, str | int | float] = field(default_factory=dict)
    axes: Mapping[str, Sequence[str | int | float]] = field(default_factory=dict)
    metrics: Mapping[str, str] = field(default_factory=dict)
    n_points: int = 0
    status_counts: Mapping[str, int] = field(default_factory=dict)
    accuracy_status: str = "score_only"
    score: Mapping[str, object] = field(default_factory=dict)
    energy_accounting: str = ""
    unmodelled: Sequence[str] = ()
    remarks: Sequence[str] = ()
    """What the run said of its axes, and of how good its mappings are."""
    reference_point: int | None = None
    ceiling: Mapping[str, float] = field(default_factory=dict)

    def count(self, status: str) -> int:
        """Number of designs with a status."""
        return int(self.status_counts.get(status, 0))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Run:
    """A run folder: manifest and tables; a table the run did not write is empty."""

    folder: Path
    manifest: Manifest
    points: pd.DataFrame
    breakdown: pd.DataFrame
    stages: pd.DataFrame
    area: pd.DataFrame
    traffic: pd.DataFrame
    scores: pd.DataFrame
    accuracy: pd.DataFrame
    accuracy_summary: pd.DataFrame
    provenance: pd.DataFrame

    @property
    def ok(self) -> pd.DataFrame:
        """The designs that were evaluated."""
        return self.points[self.points["status"] == "ok"]

    @property
    def axes(self) -> tuple[str, ...]:
        """Swept axes that are columns of `points`."""
        return tuple(path for path in self.manifest.axes if path in self.points.columns)

    @property
    def is_measured(self) -> bool:
        """Whether accuracy was measured for any design."""
        return self.manifest.accuracy_status == "measured" and bool(self.points["loss_increase_nats"].notna().any())

    def design(self, point: int | None) -> pd.Series[Any] | None:
        """The row of one evaluated design, or None where there is no such design."""
        found = self.ok[self.ok["point"] == point]
        return None if found.empty else found.iloc[0]

    def mapping(self, mapping_id: str) -> Placement | None:
        """The placement with an id, or None where the run did not keep it."""
        path = self.folder / "mappings" / f"{mapping_id}.json"
        return load_mapping(path) if mapping_id and path.is_file() else None


def read_run(folder: str | Path) -> Run:
    """Reads a run folder.

    Raises:
        SpecError: there is no such folder, no manifest, no table of points, or one of them cannot be read.
    """
    folder = Path(folder)
    manifest = _read_manifest(folder)
    points = _read_points(folder)
    tables = {name: _read_table(folder, name) for name in COLUMNS}
    counts = manifest.status_counts or {str(k): int(v) for k, v in points["status"].value_counts().items()}
    manifest = dataclasses.replace(manifest, status_counts=counts, n_points=manifest.n_points or len(points))
    return Run(folder=folder, manifest=manifest, points=points, **tables)


def _read_manifest(folder: Path) -> Manifest:
    path = folder / "manifest.json"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise SpecError(f"{path}: no such file; {WRITER.format(folder=folder)} writes a run folder") from None
    except json.JSONDecodeError as error:
        raise SpecError(f"{path}:{error.lineno}:{error.colno}: not a JSON file: {error.msg}") from None
    version = record.get("schema_version") if isinstance(record, dict) else None
    if version != SCHEMA_VERSION:
        raise SpecError(f"{path}: expected a run with schema_version {SCHEMA_VERSION} (got {version})")
    known = {f.name for f in dataclasses.fields(Manifest)}
    values = {key: value for key, value in record.items() if key in known and value is not None}
    ceiling = values.get("ceiling", {})
    values["ceiling"] = {key: float(value) for key, value in ceiling.items() if value is not None}
    return Manifest(**values)


def _read_points(folder: Path) -> pd.DataFrame:
    parquet, text = folder / "points.parquet", folder / "points.csv"
    if parquet.is_file():
        points = pd.read_parquet(parquet)
    elif text.is_file():
        points = pd.read_csv(text, dtype={"mapping_id": str})
    else:
        raise SpecError(f"{parquet}: no such file; {WRITER.format(folder=folder)} writes it")
    _require(points, POINT_COLUMNS, file=str(parquet if parquet.is_file() else text), folder=folder)
    for name in _POINT_NUMBERS:
        points[name] = pd.to_numeric(points[name]).astype(float) if name in points else math.nan
    for name in _POINT_TEXTS:
        points[name] = points[name].fillna("").astype(str) if name in points else ""
    points["on_front"] = points["on_front"].fillna(False).astype(bool) if "on_front" in points else False
    return points.sort_values("point", kind="stable").reset_index(drop=True)


def _read_table(folder: Path, name: str) -> pd.DataFrame:
    path = folder / f"{name}.csv"
    if not path.is_file() or path.stat().st_size == 0:
        return pd.DataFrame({column: pd.Series([], dtype=object) for column in COLUMNS[name]})
    frame = pd.read_csv(path, comment="#" if name == "scores" else None, dtype=_CSV_TYPES)
    _require(frame, COLUMNS[name], file=str(path), folder=folder)
    return frame


def _require(frame: pd.DataFrame, columns: Sequence[str], *, file: str, folder: Path) -> None:
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        advice = f"{WRITER.format(folder=folder)} writes it"
        raise SpecError([Problem(f"column '{name}' is missing; {advice}", file=file) for name in missing])
