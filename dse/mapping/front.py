"""The front of two metrics: what one costs in the other, by limits on one of them (ε-constraint).

For ε between the ends of the limited metric: ``min f + η·g subject to g <= ε``. The small η makes points strictly
efficient (augmented ε-constraint, Mavrotas, Appl. Math. Comput. 213, 2009); a weighted sum would find the convex hull
only. All points are solved with one model, whose one right side changes, from the basis of the point before.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from dse.errors import SpecError
from dse.mapping.checks import keeps_limits
from dse.mapping.child import Changes, solve_sweep
from dse.mapping.goal import Goal
from dse.mapping.metric_terms import metric_terms
from dse.mapping.metrics import METRICS, NAMES, Metric
from dse.mapping.objective import Choice, metric_values
from dse.mapping.problem import LIMIT_OF, MappingProblem, build_program, with_goal, with_limit
from dse.mapping.program import Program
from dse.mapping.solve import best_rule, solve_problem
from dse.spec.suggest import did_you_mean

AUGMENTED: Final = 1e-4
"""Weight of the limited metric's range in the minimised one's."""
SAME: Final = 1e-9
"""Share of the range below which two points are one."""


class End(NamedTuple):
    """One end of a front: the best of one metric, and among those the best of the other."""

    choice: Choice
    bound: float
    """Of the metric that comes first."""
    second_bound: float


@dataclass(frozen=True, slots=True, eq=False)
class FrontPoint:
    """One efficient placement."""

    values: dict[Metric, float]
    bound: float
    """Proven lower bound of the minimised metric among all placements whose limited metric is no larger."""
    gap: float
    """Distance of the minimised metric from its bound, as a share."""
    choice: Choice


@dataclass(frozen=True, slots=True, eq=False)
class MappingFront:
    """Efficient placements, sorted by the limited metric."""

    problem: MappingProblem
    minimised: Metric
    limited: Metric
    points: tuple[FrontPoint, ...]
    n_asked: int
    n_missing: int
    """Limits for which the time was over before a placement was found."""

    def frame(self) -> pd.DataFrame:
        """One row per point: every metric, bound and gap of the minimised one, digital experts."""
        instance = self.problem.instance
        rows: list[dict[str, Any]] = [
            {NAMES[name]: value for name, value in point.values.items()}
            | {
                "bound": point.bound,
                "gap": point.gap,
                "digital_experts": int((instance.is_expert & ~instance.is_analog[point.choice]).sum()),
            }
            for point in self.points
        ]
        return pd.DataFrame(rows)

    def placements(self) -> pd.DataFrame:
        """One row per block, one column per point: ``group precision copies``."""
        instance = self.problem.instance
        said = [" ".join(map(str, option)) for option in instance.options]
        columns = {str(i): [said[o] for o in one.choice.tolist()] for i, one in enumerate(self.points)}
        return pd.DataFrame(columns, index=pd.Index(instance.names, name="block"))


def mapping_front(
    problem: MappingProblem, metrics: Sequence[str], *, n_points: int, time_limit_s: float, gap: float, seed: int
) -> MappingFront:
    """The front of two metrics under the limits of a problem, whose own goal is not used.

    Args:
        problem: what is placed, and its limits.
        metrics: two of ``METRICS``; the second is limited (the first one where the second is the sensitivity, whose
            sum is the easier one to minimise).
        n_points: points that are asked for, ends included; equal ones are found once.
        time_limit_s: for all points together [s].
        gap: relative gap of each point.
        seed: of the solver.

    Raises:
        SpecError: not two different metrics, or fewer than two points.
        InfeasibleError: no placement keeps the limits.
        TimeLimitError: the time passed before the ends were found.
    """
    begin = time.monotonic()
    minimised, limited = read_pair(metrics, n_points)

    def left_s() -> float:
        return max(time_limit_s - (time.monotonic() - begin), 0.5)

    def end(first: Metric, second: Metric) -> End:
        best = solve_problem(with_goal(problem, first), time_limit_s=left_s() / 3, gap=gap / 10, seed=seed)
        most = best.best.value + gap / 10 * abs(best.best.value)
        held = with_limit(with_goal(problem, second), first, most)
        then = solve_problem(held, time_limit_s=left_s() / 3, gap=gap / 10, seed=seed)
        return End(then.best.choice, best.bound, then.bound)

    left, right = end(limited, minimised), end(minimised, limited)
    low, high = (metric_values(problem.instance, choice) for choice in (left.choice, right.choice))
    found = [(right.choice, right.bound), (left.choice, left.second_bound)]
    n_missing = 0
    limits = np.linspace(low[limited], high[limited], n_points)[1:-1]
    if len(limits) and high[limited] - low[limited] > SAME * abs(high[limited]):
        trade = AUGMENTED * (low[minimised] - high[minimised]) / (high[limited] - low[limited])
        own = dataclasses.replace(problem, goal=augmented(minimised, limited, max(trade, 0.0)))
        between = swept(own, limited, limits.tolist(), trade, time_limit_s=left_s(), gap=gap, seed=seed)
        n_missing, found = len(limits) - len(between), found + between
    points = efficient([point(problem, minimised, choice, bound) for choice, bound in found], minimised, limited)
    return MappingFront(problem, minimised, limited, tuple(points), n_points, n_missing)


def read_pair(metrics: Sequence[str], n_points: int) -> tuple[Metric, Metric]:
    """The minimised metric and the limited one.

    Raises:
        SpecError: not two different metrics, or fewer than two points.
    """
    known = [name for wanted in metrics for name in METRICS if name == wanted]
    if len(set(known)) != 2 or len(metrics) != 2:
        wrong = [name for name in metrics if name not in METRICS]
        hint = did_you_mean(wrong[0], METRICS) if wrong else ""
        raise SpecError(f"a front has two different metrics of {', '.join(METRICS)} (got {','.join(metrics)}){hint}")
    if n_points < 2:
        raise SpecError(f"a front has at least 2 points (got {n_points})")
    first, second = known
    return (second, first) if second == "sensitivity" else (first, second)


def augmented(minimised: Metric, limited: Metric, trade: float) -> Goal:
    """The minimised metric with a little of the limited one."""
    return Goal(weights={minimised: 1.0, limited: trade} if trade > 0 else {minimised: 1.0})


def swept(
    problem: MappingProblem,
    limited: Metric,
    limits: list[float],
    trade: float,
    *,
    time_limit_s: float,
    gap: float,
    seed: int,
) -> list[tuple[Choice, float]]:
    """For each limit the placement and the bound of the minimised metric; less where the time was over."""
    name = LIMIT_OF[limited]
    program = build_program(with_limit(problem, limited, max(limits)))
    sweep = [row_changes(program, limited, name, limit) for limit in limits]
    answers = solve_sweep(
        program.write, sweep, parts=program.parts(), sums=program.sums(), time_limit_s=time_limit_s, gap=gap, seed=seed
    )
    found = []
    for limit, answer in zip(limits, answers, strict=False):
        own = with_limit(problem, limited, limit)
        choice = program.choice(answer.values) if answer.values else None
        if choice is None or not keeps_limits(problem.instance, choice, own.limits):
            rule = best_rule(own)
            choice = None if rule is None else rule.choice
        if choice is not None and answer.bound is not None:
            found.append((choice, program.bound(answer.bound) - max(trade, 0.0) * limit))
    return found


def row_changes(program: Program, limited: Metric, name: str, limit: float) -> Changes:
    """The row of the limit with another right side."""
    metric = metric_terms(program, limited)
    key = next(key for key, meaning in program.rows.items() if meaning == name)
    return {key: (None, (limit - metric.constant) / metric.scale)}


def point(problem: MappingProblem, minimised: Metric, choice: Choice, bound: float) -> FrontPoint:
    """A placement with its metrics, and how far it is proven."""
    values = metric_values(problem.instance, choice)
    value = values[minimised]
    bound = min(bound, value)
    return FrontPoint(values, bound, (value - bound) / max(abs(value), 1e-300), choice)


def efficient(points: list[FrontPoint], minimised: Metric, limited: Metric) -> list[FrontPoint]:
    """The points that no other one equals or beats in both metrics, sorted by the limited one."""
    kept: list[FrontPoint] = []
    for one in sorted(points, key=lambda p: (p.values[limited], p.values[minimised])):
        if not kept or one.values[minimised] < kept[-1].values[minimised] * (1 - SAME) - SAME:
            kept.append(one)
    return kept
