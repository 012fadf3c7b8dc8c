"""Breakdowns of the points a reader looks at: the front and the reference."""

from __future__ import annotations

from collections.abc import Mapping as MappingABC
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from dse.errors import SpecError
from dse.evaluation.all_digital import all_digital_mapping
from dse.evaluation.points import evaluate_points
from dse.evaluation.source import sourced_breakdown
from dse.exploration.pareto import pareto_mask
from dse.exploration.space import Space
from dse.exploration.sweep import design_points
from dse.mapping.model import Mapping
from dse.spec.provenance import Provenance
from dse.spec.values import value_at
from dse.units import unit_of

MOST_DETAILED = 24
"""Points with a stored breakdown, at most."""


def detailed_points(points: pd.DataFrame, reference: int | None) -> list[int]:
    """The reference, and points spread evenly over the front and over the line of energy against latency."""
    ok = points[points["status"] == "ok"]
    line = ok.index[pareto_mask(ok[["energy_pj_per_token", "latency_ns_per_step"]].to_numpy(), ("min", "min"))]
    chosen = {
        int(p) for index in (points.index[points["on_front"]], line) for p in spread(index.tolist(), MOST_DETAILED)
    }
    return sorted(chosen if reference is None else {*chosen, reference})


def spread(items: Sequence[int], most: int) -> list[int]:
    """At most so many items, evenly spaced, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]


def detail_frames(
    space: Space, points: pd.DataFrame, mappings: MappingABC[str, Mapping], manifest: MappingABC[str, Any]
) -> dict[str, pd.DataFrame]:
    """breakdown, stages, area and traffic of the detailed points."""
    frames: dict[str, list[pd.DataFrame]] = {"breakdown": [], "stages": [], "area": [], "traffic": []}
    for point in detailed_points(points, manifest["reference_point"]):
        row = points.loc[[point]]
        arch, workload = design_points(space, row[list(space.axes)])
        evaluation = evaluate_points(arch, workload, mappings[str(row["mapping_id"].iloc[0])])
        digital = evaluate_points(arch, workload, all_digital_mapping(arch, workload)).bytes_per_token
        traffic = evaluation.bytes_per_token.merge(
            digital.rename(columns={"bytes_per_token": "all_digital_bytes_per_token"}),
            on=["memory", "what"],
            how="outer",
        ).fillna(0.0)
        found = {
            "breakdown": sourced_breakdown(arch, evaluation),
            "stages": evaluation.stage_frame(),
            "area": evaluation.area_frame(),
            "traffic": traffic,
        }
        for name, frame in found.items():
            frame.insert(0, "point", point)
            frames[name].append(frame)
    return {name: pd.concat(found, ignore_index=True) for name, found in frames.items() if found}


def provenance_frame(space: Space) -> pd.DataFrame:
    """path, value, unit, source, evidence, spread_fraction, file, line of every value that the inputs give.

    Texts stand as the files give them; of an absolute path only the last part, so that no machine's folders show.
    """
    loaded = space.workload.loaded
    owners: list[tuple[object, MappingABC[str, Provenance]]] = [(space.architecture, space.architecture.provenance)]
    if loaded is not None:
        owners.append((loaded.spec, loaded.provenance))
    rows = []
    for owner, provenance in owners:
        for path, origin in provenance.items():
            try:
                value = value_at(owner, path)
            except SpecError:
                continue
            unit = unit_of(path.split(".")[-1]) or unit_of(path.split(".")[-2] if "." in path else "") or ""
            shown = without_folders(value) if isinstance(value, str) else value
            rows.append((path, shown, unit, origin.source or "", origin.evidence or "", origin.spread_fraction,
                         without_folders(origin.file), origin.line))  # fmt: skip
    return pd.DataFrame(
        rows, columns=["path", "value", "unit", "source", "evidence", "spread_fraction", "file", "line"]
    )


def without_folders(text: str) -> str:
    """The last part of an absolute path; any other text as it stands.

    >>> without_folders("/home/someone/chip.yaml"), without_folders("arch_specs/chip.yaml")
    ('chip.yaml', 'arch_specs/chip.yaml')
    """
    return Path(text).name if text.startswith(("/", "~")) else text
