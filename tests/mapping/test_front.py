"""The front of two metrics against all placements."""

import itertools

import numpy as np
import pytest

from dse.cost.table import cost_table
from dse.errors import InfeasibleError, SpecError
from dse.mapping.checks import keeps_limits
from dse.mapping.front import MappingFront, mapping_front
from dse.mapping.goal import single
from dse.mapping.limits import MappingLimits
from dse.mapping.metrics import Metric
from dse.mapping.objective import metric_values
from dse.mapping.problem import MappingProblem, mapping_problem
from dse.sensitivity.options import option_scores
from dse.sensitivity.score import score_blocks
from dse.spec.load import load_architecture
from dse.workload.build import load_workload

from .toy import make_arch, make_costs, make_workload


def toy_problem(seed: int = 0, limits: MappingLimits | None = None) -> MappingProblem:
    arch, workload = make_arch(2, 1), make_workload(2, 3)
    costs = make_costs(arch, workload, seed, capacity={"a0": 6.0}, scale={"activation": 20.0, "fetch": 20.0})
    options = option_scores(score_blocks(workload, "random", seed=seed), workload, arch)
    return mapping_problem(costs, options, workload, arch, goal=single("energy"), limits=limits)


def front_of(problem: MappingProblem, metrics: tuple[str, str], n_points: int = 12) -> MappingFront:
    return mapping_front(problem, metrics, n_points=n_points, time_limit_s=60, gap=1e-6, seed=0)


def all_values(problem: MappingProblem, pair: tuple[Metric, Metric]) -> np.ndarray:
    """(placements, 2): both metrics of every placement that keeps the limits."""
    options = [np.flatnonzero(row) for row in problem.instance.allowed]
    choices = [np.array(choice) for choice in itertools.product(*options)]
    kept = [choice for choice in choices if keeps_limits(problem.instance, choice, problem.limits)]
    return np.array([[metric_values(problem.instance, choice)[name] for name in pair] for choice in kept])


@pytest.mark.parametrize(
    ("pair", "seed"),
    [(("sensitivity", "energy"), 0), (("energy", "sensitivity"), 1), (("bottleneck", "energy"), 2)],
)
def test_every_point_is_efficient_among_all_placements(pair: tuple[Metric, Metric], seed: int) -> None:
    problem = toy_problem(seed)
    front = front_of(problem, pair)
    table = all_values(problem, (front.minimised, front.limited))  # brute force over 3**6 placements
    assert len(front.points) > 3
    for point in front.points:
        own = np.array([point.values[front.minimised], point.values[front.limited]])
        better = np.all(table <= own * (1 + 1e-9), axis=1) & np.any(table < own * (1 - 1e-5), axis=1)
        assert not better.any()
        within = table[table[:, 1] <= own[1] * (1 + 1e-9), 0].min()
        assert point.bound <= within * (1 + 1e-9)
        assert point.bound == pytest.approx(within, rel=1e-3)


def test_the_ends_are_the_best_of_each_metric() -> None:
    problem = toy_problem(3)
    front = front_of(problem, ("sensitivity", "energy"), 5)
    table = all_values(problem, ("sensitivity", "energy"))
    assert front.points[0].values["energy"] == pytest.approx(table[:, 1].min())
    assert front.points[-1].values["sensitivity"] == pytest.approx(table[:, 0].min())
    frame = front.frame()
    assert frame["energy_pj_per_token"].is_monotonic_increasing
    assert frame["sensitivity"].is_monotonic_decreasing


def test_the_front_keeps_the_limits_of_its_problem() -> None:
    problem = toy_problem(limits=MappingLimits(max_digital_experts=2))
    front = front_of(problem, ("sensitivity", "energy"), 8)
    assert (front.frame()["digital_experts"] <= 2).all()


def test_an_infeasible_problem_has_no_front() -> None:
    with pytest.raises(InfeasibleError, match="digital_fraction"):
        front_of(
            toy_problem(limits=MappingLimits(digital_fraction=1.0, max_digital_experts=2)), ("sensitivity", "energy")
        )


@pytest.mark.parametrize(
    ("metrics", "n_points", "message"),
    [
        (("sensitivity", "enrgy"), 5, "did you mean 'energy'"),
        (("energy", "energy"), 5, "two different metrics"),
        (("energy", "sensitivity"), 1, "at least 2 points"),
    ],
)
def test_what_is_no_front_is_refused(metrics: tuple[str, str], n_points: int, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        front_of(toy_problem(), metrics, n_points)


def test_a_front_of_alike_experts_is_exact() -> None:
    # uniform routing: energy sees only how many experts are digital, so that each point has the best scores exactly
    arch, workload = load_architecture("server_pcm3d"), load_workload("olmoe")
    scores = score_blocks(workload)
    costs, options = cost_table(arch, workload), option_scores(scores, workload, arch)
    problem = mapping_problem(costs, options, workload, arch, goal=single("energy"))
    front = mapping_front(problem, ("sensitivity", "energy"), n_points=8, time_limit_s=60, gap=1e-3, seed=0)
    experts = np.sort(scores["score"].to_numpy()[scores["block"].str.contains("experts").to_numpy()])
    assert len(front.points) == 8
    for point in front.points:
        assert point.gap <= 1e-5
        n_digital = int((~problem.instance.is_analog[point.choice] & problem.instance.is_expert).sum())
        # closed form: the experts of the largest scores are digital
        assert point.values["sensitivity"] == pytest.approx(experts[: len(experts) - n_digital].sum(), rel=1e-4)
