"""Breakdowns of the points a reader looks at: the front and the reference."""

from __future__ import annotations

from collections.abc import Mapping as MappingABC
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from dse.errors import SpecError
from dse.evaluation.all_digital import all_digital_mapping
from dse.evaluation.frames import traffic_frame
from dse.evaluation.points import evaluate_points
from dse.evaluation.result import Evaluation
from dse.evaluation.source import sourced_breakdown
from dse.exploration.pareto import pareto_mask
from dse.exploration.space import Space
from dse.exploration.sweep import chunks, design_points
from dse.mapping.model import Mapping
from dse.spec.architecture import Architecture
from dse.spec.provenance import Provenance
from dse.spec.values import value_at
from dse.units import at_point, unit_of

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
    """breakdown, stages, area and traffic of the detailed points; those that share a mapping are evaluated together."""
    frames: dict[str, list[pd.DataFrame]] = {"breakdown": [], "stages": [], "area": [], "traffic": []}
    chosen = points.loc[detailed_points(points, manifest["reference_point"])]
    alike = (rows for chunk in chunks(space, chosen) for _, rows in chunk.rows.groupby("mapping_id", sort=False))
    for rows in alike:
        arch, workload = design_points(space, rows)
        evaluation = evaluate_points(arch, workload, mappings[str(rows["mapping_id"].iloc[0])])
        digital = evaluate_points(arch, workload, all_digital_mapping(arch, workload))
        for at, point in enumerate(rows.index):
            for name, frame in point_frames(arch, evaluation, digital, at).items():
                frame.insert(0, "point", point)
                frames[name].append(frame)
    return {
        name: pd.concat(found).sort_values("point", kind="stable", ignore_index=True)
        for name, found in frames.items()
        if found
    }


def point_frames(arch: Architecture, evaluation: Evaluation, digital: Evaluation, at: int) -> dict[str, pd.DataFrame]:
    """breakdown, stages, area and traffic of one of several evaluated designs."""
    before = traffic_of(digital, at).rename(columns={"bytes_per_token": "all_digital_bytes_per_token"})
    breakdown, stages = sourced_breakdown(arch, evaluation, at), evaluation.stage_frame(at)
    breakdown["file"] = [without_folders(file) for file in breakdown["file"]]
    return {
        "breakdown": breakdown[breakdown["energy_pj_per_token"] > 0].reset_index(drop=True),
        "stages": stages,
        "area": evaluation.area_frame(at),
        "traffic": traffic_of(evaluation, at).merge(before, on=["memory", "what"], how="outer").fillna(0.0),
    }


def traffic_of(evaluation: Evaluation, at: int) -> pd.DataFrame:
    """memory, what, bytes_per_token of one of several evaluated designs."""
    return traffic_frame(evaluation.traffic_bytes, tokens=at_point(evaluation.tokens_per_step, at), point=at)


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
