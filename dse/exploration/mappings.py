"""The mappings of a space: one per share of digital experts, by the ranking of the space."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping as MappingABC
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dse.cost.table import cost_table
from dse.exploration.points import DIGITAL_FRACTION
from dse.exploration.space import Space
from dse.exploration.sweep import Chunk, evaluate_rows
from dse.mapping.baseline import Rule, rule_mapping
from dse.mapping.model import Mapping
from dse.sensitivity.share import sensitivity_share


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """The mapping of one share of digital experts."""

    name: str
    mapping: Mapping
    sensitivity_share: float


@dataclass(frozen=True, slots=True, eq=False)
class RankedMappings:
    """Gives every point of a space the mapping of its share of digital experts."""

    space: Space
    candidates: MappingABC[float, Candidate]

    def evaluated(self, chunk: Chunk) -> pd.DataFrame:
        """Metrics, status and mapping of the points of a chunk."""
        candidate = self.candidates[chunk.digital_fraction]
        frame, _ = evaluate_rows(self.space, chunk.rows, candidate.mapping, candidate.sensitivity_share)
        return frame.assign(mapping_id=candidate.name)

    def kept(self, points: pd.DataFrame) -> dict[str, Mapping]:
        """Mapping id → mapping; all, whatever the points."""
        return {candidate.name: candidate.mapping for candidate in self.candidates.values()}


def ranked_mappings(space: Space, scores: pd.DataFrame) -> RankedMappings:
    """The mapper of a space whose policy is ``ranking``."""
    return RankedMappings(space, candidate_mappings(space, scores))


def candidate_mappings(space: Space, scores: pd.DataFrame) -> MappingABC[float, Candidate]:
    """Share of digital experts → its mapping; capacity is not asked for here but judged at each point."""
    rule: Rule = "top_k_per_layer" if space.mapping.ranking == "per_layer" else "top_k_global"
    costs = cost_table(space.architecture, space.workload)
    have = {group: float(costs.capacity_units[resource][0]) for group, resource in costs.resource.items()}
    unlimited = {name: np.full_like(units, np.inf) for name, units in costs.capacity_units.items()}
    open_costs = dataclasses.replace(costs, capacity_units=unlimited)
    found = {}
    for fraction in map(float, space.axes.get(DIGITAL_FRACTION, (0.0,))):
        mapping = rule_mapping(
            space.architecture, space.workload, scores, rule=rule, digital_fraction=fraction, costs=open_costs
        )
        mapping = dataclasses.replace(mapping, units_available=have)
        found[fraction] = Candidate(mapping_id(space, fraction), mapping, sensitivity_share(scores, mapping))
    return found


def mapping_id(space: Space, digital_fraction: float) -> str:
    """Name of the mapping that a digital fraction gives."""
    return f"{space.mapping.ranking}_{digital_fraction:.4f}"
