"""What a placement needs of every limit and capacity, recomputed without a solver."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from dse.mapping.instance import Instance
from dse.mapping.limits import MappingLimits
from dse.mapping.objective import (
    Choice,
    area_mm2,
    chosen,
    digital_ns,
    energy_pj_per_token,
    group_load_ns,
    layer_latency_ns,
    power_mw,
    sensitivity,
    share,
    units_by_resource,
)

TOLERANCE: Final = 1e-6
"""Share by which a limit may be missed: what a solver's floating-point feasibility leaves open."""
COUNTED: Final = ("experts", "blocks", "pairs")
"""Units of limits that may be given as fractions of whole numbers."""
WHOLE: Final = (*COUNTED, "crossbars", "units")
"""Units that are counted exactly."""


class Check(NamedTuple):
    """One limit and what a placement makes of it."""

    limit: str
    need: float
    have: float
    unit: str

    @property
    def is_limit(self) -> bool:
        """Whether the user set it (capacities are not)."""
        return not self.limit.startswith("capacity[")

    @property
    def is_kept(self) -> bool:
        """Whether the need is within the limit, but for the tolerance."""
        return self.need <= self.have + (TOLERANCE if self.unit not in WHOLE else 1e-9) * abs(self.have)

    @property
    def binds(self) -> bool:
        """Whether there is no slack."""
        return self.need >= (math.floor(self.have) if self.unit in COUNTED else self.have * (1 - 1e-4))


MEASURED: Final = {
    "max_sensitivity": (sensitivity, "score"),
    "max_sensitivity_share": (share, "share"),
    "max_energy_pj_per_token": (energy_pj_per_token, "pJ"),
    "max_group_load_ns": (group_load_ns, "ns"),
    "max_layer_latency_ns": (layer_latency_ns, "ns"),
    "max_digital_ns": (digital_ns, "ns"),
    "max_power_mw": (power_mw, "mW"),
    "max_area_mm2": (area_mm2, "mm2"),
}
"""Limit on one number → how a placement's number is computed, and its unit."""


def check_limits(instance: Instance, choice: Choice, limits: MappingLimits) -> list[Check]:
    """Every limit that is set, and every capacity, with what the placement needs of it."""
    used = units_by_resource(instance, choice)
    checks = [
        Check(f"capacity[{name}]", float(used[r]), float(instance.capacity[r]), instance.resource_unit(r))
        for r, name in enumerate(instance.resources)
        if math.isfinite(instance.capacity[r])
    ]
    for name, (measure, unit) in MEASURED.items():
        most = getattr(limits, name)
        if most is not None:
            checks.append(Check(name, measure(instance, choice), most, unit))
    checks += check_budgets(instance, choice, limits)
    for name, most in limits.max_units.items():
        r = instance.resources.index(name)
        checks.append(Check(f"max_units[{name}]", float(used[r]), most, instance.resource_unit(r)))
    n_bytes, group = chosen(instance.n_bytes, choice), instance.group[choice]
    for name, most in limits.max_bytes.items():
        held = np.array([memory == name for memory in instance.memory])[group]
        checks.append(Check(f"max_bytes[{name}]", float(n_bytes[held].sum()), most, "bytes"))
    for name, most in limits.max_blocks.items():
        count = float((group == instance.groups.index(name)).sum())
        checks.append(Check(f"max_blocks[{name}]", count, most, "blocks"))
    return checks + check_pairs_kept(instance, choice, limits)


def check_budgets(instance: Instance, choice: Choice, limits: MappingLimits) -> list[Check]:
    """Limits on the number of digital experts."""
    digital = instance.is_expert & ~instance.is_analog[choice]
    count = float(digital.sum())
    checks = []
    if limits.max_digital_experts is not None:
        checks.append(Check("max_digital_experts", count, limits.max_digital_experts, "experts"))
    if limits.max_digital_experts_per_layer is not None:
        most = float(np.bincount(instance.layer[digital & (instance.layer >= 0)], minlength=1).max())
        checks.append(Check("max_digital_experts_per_layer", most, limits.max_digital_experts_per_layer, "experts"))
    wanted = limits.n_digital(int(instance.is_expert.sum()))
    if wanted is not None:
        checks.append(Check("digital_fraction (at most)", count, wanted, "experts"))
        checks.append(Check("digital_fraction (at least)", -count, -wanted, "experts"))
    return checks


def check_pairs_kept(instance: Instance, choice: Choice, limits: MappingLimits) -> list[Check]:
    """Pairs of blocks that are together or apart against what was asked."""
    if not limits.paired:
        return []
    index, group = instance.block_index, instance.group[choice]
    checks = []
    for name, pairs, wanted in (("together", limits.together, True), ("apart", limits.apart, False)):
        broken = sum((group[index[a]] == group[index[b]]) != wanted for a, b in pairs)
        if pairs:
            checks.append(Check(name, float(broken), 0.0, "pairs"))
    return checks


def keeps_limits(instance: Instance, choice: Choice, limits: MappingLimits) -> bool:
    """Whether a placement keeps every limit and capacity."""
    return all(check.is_kept for check in check_limits(instance, choice, limits))
