"""The solver's mapping beside those of all rules: objective, limits, time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from dse.errors import InfeasibleError
from dse.mapping.baseline import rule_choice
from dse.mapping.checks import Check, check_limits
from dse.mapping.objective import Choice, goal_value
from dse.mapping.problem import MappingProblem
from dse.mapping.rules import SOURCES, WITHOUT_FRACTION, Rule

Array: TypeAlias = NDArray[np.float64]
FRACTIONS: Final = (0.0, 0.125, 0.25, 0.5, 0.75)
"""Digital fractions at which every rule is tried, besides those of the limits."""
FINE: Final = tuple(np.linspace(0.0, 1.0, 17).tolist())
"""Digital fractions at which a comparison tries the rules."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RuleResult:
    """What a rule makes of a problem, at the digital fraction that serves it best."""

    rule: Rule
    digital_fraction: float | None
    """None: the rule has none, or nothing fits."""
    value: float
    """Value of the objective (∞: the blocks do not fit at any fraction)."""
    broken: tuple[Check, ...]
    """Limits and capacities that it misses."""
    seconds: float
    choice: Choice | None

    @property
    def source(self) -> str:
        """What the rule does and where it comes from."""
        return SOURCES[self.rule]


def fractions_of(problem: MappingProblem, grid: tuple[float, ...]) -> list[float]:
    """The digital fractions of a grid and those that the limits ask for."""
    limits, n_experts = problem.limits, int(problem.instance.is_expert.sum())
    found = list(grid)
    if limits.digital_fraction is not None:
        found.append(limits.digital_fraction)
    if limits.max_digital_experts is not None and n_experts:
        found.append(min(limits.max_digital_experts / n_experts, 1.0))
    if limits.max_digital_experts_per_layer is not None and n_experts:
        layers = len(np.unique(problem.instance.layer[problem.instance.is_expert]))
        found.append(min(limits.max_digital_experts_per_layer * layers / n_experts, 1.0))
    return sorted(set(found))


def rule_runs(
    problem: MappingProblem, rule: Rule, grid: tuple[float, ...], norms: Array | None = None
) -> Iterator[tuple[float | None, Choice]]:
    """Every placement of a rule that fits, with its digital fraction."""
    fractions: list[float | None] = [None] if rule in WITHOUT_FRACTION else [*fractions_of(problem, grid)]
    for fraction in fractions:
        try:
            yield fraction, rule_choice(problem.instance, rule, fraction or 0.0, norms=norms)
        except InfeasibleError:
            continue


def compare_rules(
    problem: MappingProblem, grid: tuple[float, ...] = FINE, *, router_norm: Array | None = None
) -> list[RuleResult]:
    """Every rule at the fraction where it misses the fewest limits and, among those, its objective is least.

    Args:
        problem: what is placed.
        grid: digital fractions, besides those of the limits.
        router_norm: (N,) scores of the rule of that name, which is left out without them.
    """
    rules = [rule for rule in get_args(Rule) if rule != "router_norm" or router_norm is not None]
    return [best_of_rule(problem, rule, grid, router_norm) for rule in rules]


def best_of_rule(
    problem: MappingProblem, rule: Rule, grid: tuple[float, ...], norms: Array | None = None
) -> RuleResult:
    """One rule at its best fraction."""
    begin = time.perf_counter()
    best = RuleResult(rule=rule, digital_fraction=None, value=float("inf"), broken=(), seconds=0.0, choice=None)
    rank = (float("inf"), float("inf"))
    for fraction, choice in rule_runs(problem, rule, grid, norms):
        checks = check_limits(problem.instance, choice, problem.limits)
        broken = tuple(check for check in checks if not check.is_kept)
        value = goal_value(problem.instance, problem.goal, choice)
        if (len(broken), value) < rank:
            rank = (len(broken), value)
            best = RuleResult(
                rule=rule, digital_fraction=fraction, value=value, broken=broken, seconds=0.0, choice=choice
            )
    spent = time.perf_counter() - begin
    return RuleResult(
        rule=rule, digital_fraction=best.digital_fraction, value=best.value, broken=best.broken, seconds=spent,
        choice=best.choice,
    )  # fmt: skip
