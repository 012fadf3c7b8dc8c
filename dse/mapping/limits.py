"""Limits that a mapping must keep besides capacity."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from dse.errors import Problem, SpecError
from dse.mapping.instance import Instance
from dse.mapping.objective import Choice, energy_pj_per_token, sensitivity, share, units_by_resource
from dse.spec.suggest import did_you_mean

TOLERANCE: Final = 1e-6
"""Share by which a limit may be missed: what a solver's floating-point feasibility leaves open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingLimits:
    """Limits of one mapping task; None: no limit."""

    max_sensitivity: float | None = None
    """Largest sum of scores that stays on analog cores [unit of the scores]."""
    max_sensitivity_share: float | None = None
    """Largest share of the experts' summed scores that stays on analog cores, in [0, 1]."""
    max_energy_pj_per_token: float | None = None
    """Largest energy per token [pJ]."""
    max_digital_experts: float | None = None
    """Most experts on digital units."""
    max_digital_experts_per_layer: float | None = None
    """Most experts of one layer on digital units."""
    digital_fraction: float | None = None
    """Share of all experts that is digital, exactly (rounded to a whole number of experts)."""

    def n_digital(self, n_experts: int) -> int | None:
        """Number of digital experts that ``digital_fraction`` asks for."""
        return None if self.digital_fraction is None else round(self.digital_fraction * n_experts)


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
        return self.need <= self.have + TOLERANCE * abs(self.have)

    @property
    def binds(self) -> bool:
        """Whether there is no slack."""
        return self.need >= self.have * (1 - 1e-4) if self.unit != "experts" else self.need >= math.floor(self.have)


def read_limits(limits: Mapping[str, float] | MappingLimits | None) -> MappingLimits:
    """Limits from a plain mapping of names to numbers.

    Raises:
        SpecError: unknown limit, a negative or undefined number, a share above 1.
    """
    if isinstance(limits, MappingLimits):
        return limits
    known = [field.name for field in dataclasses.fields(MappingLimits)]
    problems = []
    for name, value in (limits or {}).items():
        if name not in known:
            problems.append(Problem(f"unknown limit{did_you_mean(name, known)}", f"limits.{name}"))
        elif not (math.isfinite(value) and value >= 0):
            problems.append(Problem(f"expected a number >= 0 (got {value})", f"limits.{name}"))
        elif name in ("max_sensitivity_share", "digital_fraction") and value > 1:
            problems.append(Problem(f"expected a share within [0, 1] (got {value})", f"limits.{name}"))
    if problems:
        raise SpecError(problems)
    return MappingLimits(**(limits or {}))


def check_limits(instance: Instance, choice: Choice, limits: MappingLimits) -> list[Check]:
    """Every limit that is set, and every capacity, with what the placement needs of it."""
    used = units_by_resource(instance, choice)
    checks = [
        Check(f"capacity[{name}]", float(used[r]), float(instance.capacity[r]), instance.resource_unit(r))
        for r, name in enumerate(instance.resources)
    ]
    if limits.max_sensitivity is not None:
        checks.append(Check("max_sensitivity", sensitivity(instance, choice), limits.max_sensitivity, "score"))
    if limits.max_sensitivity_share is not None:
        checks.append(Check("max_sensitivity_share", share(instance, choice), limits.max_sensitivity_share, "share"))
    if limits.max_energy_pj_per_token is not None:
        energy = energy_pj_per_token(instance, choice)
        checks.append(Check("max_energy_pj_per_token", energy, limits.max_energy_pj_per_token, "pJ"))
    return checks + check_budgets(instance, choice, limits)


def check_budgets(instance: Instance, choice: Choice, limits: MappingLimits) -> list[Check]:
    """Limits on the number of digital experts."""
    digital = instance.is_expert & ~instance.is_analog[choice]
    count = float(digital.sum())
    checks = []
    if limits.max_digital_experts is not None:
        checks.append(Check("max_digital_experts", count, limits.max_digital_experts, "experts"))
    if limits.max_digital_experts_per_layer is not None:
        most = float(np.bincount(instance.layer[digital], minlength=1).max())
        checks.append(Check("max_digital_experts_per_layer", most, limits.max_digital_experts_per_layer, "experts"))
    wanted = limits.n_digital(int(instance.is_expert.sum()))
    if wanted is not None:
        checks.append(Check("digital_fraction (at most)", count, wanted, "experts"))
        checks.append(Check("digital_fraction (at least)", -count, -wanted, "experts"))
    return checks


def keeps_limits(instance: Instance, choice: Choice, limits: MappingLimits) -> bool:
    """Whether a placement keeps every limit and capacity."""
    return all(check.is_kept for check in check_limits(instance, choice, limits))
