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
from dse.mapping.baseline import Rule, rule_mapping
from dse.mapping.model import Mapping
from dse.sensitivity.share import sensitivity_share


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """The mapping of one share of digital experts."""

    name: str
    mapping: Mapping
    sensitivity_share: float


def candidate_mappings(space: Space, scores: pd.DataFrame) -> MappingABC[float, Candidate]:
    """Share of digital experts → its mapping; capacity is not asked for here but judged at each point."""
    rule: Rule = "top_k_per_layer" if space.ranking == "per_layer" else "top_k_global"
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
    return f"{space.ranking}_{digital_fraction:.4f}"
