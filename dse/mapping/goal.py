"""What a mapping minimises: one metric, a weighted sum of several, or one after the other."""

from __future__ import annotations

import math
from collections.abc import Mapping as MappingABC
from collections.abc import Sequence
from dataclasses import dataclass, field

from dse.errors import Problem, SpecError
from dse.mapping.metrics import METRICS, NAMES, OBJECTIVES, SLACK, Metric
from dse.spec.suggest import did_you_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What is minimised."""

    weights: MappingABC[Metric, float] = field(default_factory=dict)
    """Metric → its factor in the sum; a single metric has the factor 1."""
    order: tuple[Metric, ...] = ()
    """Metrics one after the other, each kept within ``slack`` of its best; empty: the weighted sum."""
    slack: float = SLACK

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Metrics that count."""
        return self.order or tuple(self.weights)

    @property
    def name(self) -> str:
        """Its name in a result: that of the only metric, ``weighted`` or ``lexicographic``."""
        if self.order:
            return "lexicographic"
        return NAMES[self.metrics[0]] if list(self.weights.values()) == [1.0] else "weighted"

    def value(self, metrics: MappingABC[Metric, float]) -> float:
        """The weighted sum; of an order, its last metric."""
        if self.order:
            return metrics[self.order[-1]]
        return sum(weight * metrics[name] for name, weight in self.weights.items())


def single(metric: Metric) -> Goal:
    """One metric alone."""
    return Goal(weights={metric: 1.0})


def read_goal(
    objective: str,
    *,
    weights: MappingABC[str, float] | None = None,
    order: Sequence[str] = (),
    slack: float = SLACK,
) -> Goal:
    """The goal that an objective and its arguments say.

    Args:
        objective: one of ``OBJECTIVES``.
        weights: metric → factor, for ``weighted``.
        order: metrics from the most important one, for ``lexicographic``.
        slack: share by which each may get worse for the next.

    Raises:
        SpecError: an unknown objective or metric, weights that are negative or all 0, an order without two metrics,
            a slack that is not within [0, 1], or arguments that another objective takes.
    """
    if objective not in OBJECTIVES:
        known = ", ".join(OBJECTIVES)
        raise SpecError(f"unknown objective {objective!r}{did_you_mean(objective, OBJECTIVES)} (objectives: {known})")
    weights = weights or {}
    problems = [
        Problem(f"unknown metric{did_you_mean(name, METRICS)} (metrics: {', '.join(METRICS)})", f"{place}.{name}")
        for place, names in (("weights", weights), ("order", order))
        for name in names
        if name not in METRICS
    ]
    problems += [
        Problem(f"expected a number >= 0 (got {weight})", f"weights.{name}")
        for name, weight in weights.items()
        if not (math.isfinite(weight) and weight >= 0)
    ]
    if objective == "weighted" and not problems and not any(weights.values()):
        problems.append(Problem("expected at least one metric with a weight above 0", "weights"))
    if objective == "lexicographic" and len(set(order)) != max(len(order), 2):
        problems.append(Problem(f"expected two or more different metrics (got {', '.join(order) or 'none'})", "order"))
    if not 0 <= slack <= 1:
        problems.append(Problem(f"expected a share within [0, 1] (got {slack})", "slack"))
    if objective != "weighted" and weights:
        problems.append(Problem(f"only the objective weighted takes weights (objective: {objective})", "weights"))
    if objective != "lexicographic" and order:
        problems.append(Problem(f"only the objective lexicographic takes an order (objective: {objective})", "order"))
    if problems:
        raise SpecError(problems)
    if objective == "weighted":
        return Goal(weights={name: weights[name] for name in METRICS if weights.get(name)})
    if objective == "lexicographic":
        return Goal(order=tuple(name for wanted in order for name in METRICS if name == wanted), slack=slack)
    return next(single(name) for name in METRICS if name == objective)
