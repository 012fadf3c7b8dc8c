"""Evaluates the points of a space in vectorised chunks, one per mapping and structural choice."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping as MappingABC
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dse.evaluation.limits import LimitUse, limit_uses
from dse.evaluation.points import design_with, evaluate_points
from dse.evaluation.result import Evaluation
from dse.exploration.metrics import METRICS
from dse.exploration.points import DIGITAL_FRACTION, is_structural
from dse.exploration.space import Space
from dse.mapping.model import Mapping
from dse.spec.architecture import Architecture
from dse.workload.build import Workload

CHUNK_POINTS = 50_000
"""Points evaluated in one call: large enough to be vectorised, small enough to stay in memory."""


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Points that share every structural choice."""

    number: int
    rows: pd.DataFrame
    digital_fraction: float


class Mapper(Protocol):
    """Gives every point its mapping."""

    def evaluated(self, chunk: Chunk) -> pd.DataFrame:
        """Metrics, status, reason and ``mapping_id`` of the points of a chunk."""
        ...

    def kept(self, points: pd.DataFrame) -> dict[str, Mapping]:
        """Mapping id → mapping of some points."""
        ...


def chunks(space: Space, points: pd.DataFrame) -> Iterator[Chunk]:
    """Splits the points by structural axes, then by size."""
    structural = [path for path, values in space.axes.items() if is_structural(path, values)]
    groups = [rows for _, rows in points.groupby(structural, sort=False)] if structural else [points]
    number = 0
    for group in groups:
        fraction = float(group[DIGITAL_FRACTION].iloc[0]) if DIGITAL_FRACTION in group else 0.0
        for start in range(0, len(group), CHUNK_POINTS):
            yield Chunk(number, group.iloc[start : start + CHUNK_POINTS], fraction)
            number += 1


def design_points(space: Space, rows: pd.DataFrame) -> tuple[Architecture, Workload]:
    """The architecture and workload of some rows: arrays where an axis varies among them, else one value."""
    values: dict[str, NDArray[np.float64] | float | str] = {}
    for path in space.axes:
        if path == DIGITAL_FRACTION:
            continue
        column = rows[path].to_numpy()
        first = column[0]
        if len(column) == 1 or is_structural(path, space.axes[path]):
            values[path] = first.item() if isinstance(first, np.generic) else first
        else:
            values[path] = column
    return design_with(space.architecture, space.workload, values)


def evaluate_rows(space: Space, rows: pd.DataFrame, mapping: Mapping, share: float) -> tuple[pd.DataFrame, Evaluation]:
    """Metrics, status and reason of some points under one mapping; and the evaluation behind them."""
    arch, workload = design_points(space, rows)
    evaluation = evaluate_points(arch, workload, mapping)
    frame = rows.copy()
    for metric in METRICS:
        value = share if metric == "sensitivity_share" else getattr(evaluation, metric)
        frame[metric] = np.broadcast_to(np.asarray(value, np.float64), (len(rows),)).copy()
    column = evaluation.binding_column
    frame["binding"] = column if len(column) == len(rows) else column.repeat(len(rows))
    frame["status"], frame["reason"] = status_and_reason(space.limits, arch, evaluation, frame)
    return frame, evaluation


def status_and_reason(
    limits: MappingABC[str, float], arch: Architecture, evaluation: Evaluation, frame: pd.DataFrame
) -> tuple[list[str], list[str]]:
    """``ok``, or ``infeasible`` with every limit that is broken, by how much."""
    uses = limit_uses(evaluation, arch)
    for name, value in limits.items():
        kind, _, metric = name.partition("_")
        found, allowed = np.asarray(frame[metric], dtype=np.float64), np.full(len(frame), value, dtype=np.float64)
        uses[name] = LimitUse(found, allowed, "") if kind == "max" else LimitUse(allowed, found, "")
    reasons = np.full(len(frame), "", dtype=object)
    for name, use in uses.items():
        mask = np.broadcast_to(use.is_broken, reasons.shape)
        need, have = np.broadcast_to(use.need, reasons.shape), np.broadcast_to(use.have, reasons.shape)
        texts = [f"{name} {excess_text(*pair)}; " for pair in zip(need[mask], have[mask], strict=True)]
        reasons[mask] += np.array(texts, dtype=object)
    status = np.where(reasons == "", "ok", "infeasible")
    return status.tolist(), [reason.removesuffix("; ") for reason in reasons]


def excess_text(need: float, have: float) -> str:
    """By how much a limit is exceeded."""
    return f"exceeded {need / have:.3g}-fold" if have > 0 else f"exceeded: {need:.3g} needed, nothing there"
