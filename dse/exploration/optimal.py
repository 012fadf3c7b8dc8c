"""The best mapping of every point of a space, placed in vectorised chunks, each with a gap."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping as MappingABC
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dse.cost.option import list_options
from dse.cost.table import CostTable, cost_table
from dse.exploration.metrics import METRICS
from dse.exploration.points import DIGITAL_FRACTION
from dse.exploration.space import Space
from dse.exploration.sweep import Chunk, chunks, design_points, evaluate_rows
from dse.mapping.limits import LimitValue
from dse.mapping.many import ManyMappings, map_many
from dse.mapping.model import Mapping
from dse.mapping.solve import status_of
from dse.sensitivity.options import option_scores
from dse.sensitivity.share import sensitivity_share
from dse.spec.architecture import Architecture
from dse.workload.build import Workload

Counts = NDArray[np.int64]
MOST_DESIGNS: Final = 4096
"""Designs that are mapped at once: what bounds the memory."""
THRESHOLD: Final = "threshold"
"""How a mapping was found: by prices and thresholds, without a solver."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Designs:
    """Some points of a space, ready to be mapped."""

    arch: Architecture
    workload: Workload
    costs: CostTable
    options: pd.DataFrame
    """Score of every block under every option."""
    limits: MappingABC[str, LimitValue]


@dataclass(frozen=True, slots=True, eq=False)
class OptimalMappings:
    """Places every point of a space by the objective and limits of its mapping policy."""

    space: Space
    scores: pd.DataFrame
    options: pd.DataFrame
    """Score of every block under every option of the base architecture."""

    def designs(self, rows: pd.DataFrame) -> Designs:
        """Architecture, workload, costs and limits of points that share every structural choice."""
        arch, workload = design_points(self.space, rows)
        is_base = list_options(arch) == list_options(self.space.architecture)
        options = self.options if is_base else option_scores(self.scores, workload, arch)
        limits: dict[str, LimitValue] = {str(name): value for name, value in self.space.mapping.limits.items()}
        if DIGITAL_FRACTION in rows:
            limits["digital_fraction"] = float(rows[DIGITAL_FRACTION].iloc[0])
        return Designs(arch=arch, workload=workload, costs=cost_table(arch, workload), options=options, limits=limits)

    def mapped(self, rows: pd.DataFrame) -> ManyMappings:
        """The mappings of points that share every structural choice."""
        own, objective = self.designs(rows), self.space.mapping.objective
        return map_many(own.costs, own.options, own.workload, own.arch, objective=objective, limits=own.limits)

    def evaluated(self, chunk: Chunk) -> pd.DataFrame:
        """Metrics, status, mapping and gap of the points of a chunk."""
        starts = range(0, len(chunk.rows), MOST_DESIGNS)
        return pd.concat([self.evaluated_rows(chunk.rows.iloc[at : at + MOST_DESIGNS]) for at in starts])

    def evaluated_rows(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Points with the same mapping are evaluated together."""
        many = self.mapped(rows)
        has_mapping = many.limit == ""
        _, group = np.unique(np.column_stack([many.pair, many.counts]), axis=0, return_inverse=True)
        frames = [without_mapping(rows[~has_mapping], many.limit[~has_mapping])] if not has_mapping.all() else []
        own = np.flatnonzero(has_mapping)
        for points in (own[group[own] == g] for g in np.unique(group[own])):
            mapping = self.mapping(many, int(points[0]))
            frame, _ = evaluate_rows(self.space, rows.iloc[points], mapping, sensitivity_share(self.scores, mapping))
            counts = " ".join(map(str, [many.pair[points[0]], *many.counts[points[0]]]))
            frames.append(
                frame.assign(
                    mapping_id=mapping_id(mapping), mapping_value=many.value[points], mapping_gap=many.gap[points],
                    mapping_found_by=THRESHOLD, mapping_counts=counts,
                )
            )  # fmt: skip
        return pd.concat(frames).loc[rows.index]

    def mapping(self, many: ManyMappings, at: int) -> Mapping:
        """The mapping of one design."""
        value, bound = float(many.value[at]), float(many.bound[at])
        return Mapping(
            placement=many.placement(at),
            objective={"energy": "energy_pj_per_token"}.get(many.objective, many.objective),
            value=value,
            bound=bound,
            status=status_of(value, bound, gap=float("inf")),
            solver="prices per layer, thresholds, local search",
        )

    def kept(self, points: pd.DataFrame) -> dict[str, Mapping]:
        """Mapping id → mapping of some points; of a mapping of several designs the one with the largest gap."""
        found: dict[str, Mapping] = {}
        for chunk in chunks(self.space, points[points["mapping_found_by"] == THRESHOLD]):
            many = as_stored(self.mapped(chunk.rows[list(self.space.axes)]), chunk.rows)
            for at, name in enumerate(chunk.rows["mapping_id"]):
                mapping = self.mapping(many, at)
                if name not in found or mapping.gap > found[name].gap:
                    found[name] = mapping
        return found


def optimal_mappings(space: Space, scores: pd.DataFrame) -> OptimalMappings:
    """The mapper of a space whose policy is ``optimal``."""
    return OptimalMappings(space, scores, option_scores(scores, space.workload, space.architecture))


def as_stored(many: ManyMappings, rows: pd.DataFrame) -> ManyMappings:
    """Mappings with the counts, values and gaps that a table of points holds."""
    counts = np.array([text.split() for text in rows["mapping_counts"]], dtype=np.int64)
    value, gap = (rows[name].to_numpy(dtype=np.float64) for name in ("mapping_value", "mapping_gap"))
    return dataclasses.replace(
        many, pair=counts[:, 0], counts=counts[:, 1:], value=value, bound=value - gap * np.abs(value)
    )


def mapping_id(mapping: Mapping) -> str:
    """Name of a placement: the same blocks at the same places have the same name."""
    parts = (f"{block}:{o.group}:{o.precision}:{o.copies}" for block, o in mapping.placement.items())
    text = ";".join(parts)
    return f"optimal_{hashlib.sha256(text.encode()).hexdigest()[:10]}"


def without_mapping(rows: pd.DataFrame, limits: NDArray[np.object_]) -> pd.DataFrame:
    """Points that no mapping was found for, with the limit that stands in the way."""
    reasons = [f"{name}: no mapping keeps {'both' if ' and ' in name else 'it'}" for name in limits]
    return rows.assign(
        **dict.fromkeys(METRICS, np.nan), binding="", status="infeasible", reason=reasons,
        mapping_id="", mapping_value=np.nan, mapping_gap=np.nan, mapping_found_by="", mapping_counts="",
    )  # fmt: skip
