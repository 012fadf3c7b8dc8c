"""Rules beside the solver's mapping."""

import numpy as np
import pytest

from dse.mapping.checks import keeps_limits
from dse.mapping.compare import compare_rules
from dse.mapping.goal import single
from dse.mapping.limits import MappingLimits
from dse.mapping.metrics import METRICS, Metric
from dse.mapping.problem import MappingProblem, mapping_problem
from dse.mapping.rules import SOURCES
from dse.mapping.solve import solve_problem
from dse.sensitivity.options import option_scores
from dse.sensitivity.score import score_blocks
from dse.spec.scenario import Routing

from .toy import make_arch, make_costs, make_workload


def make_problem(
    metric: Metric = "energy", limits: MappingLimits | None = None, seed: int = 0, *, n_experts: int = 6
) -> MappingProblem:
    arch = make_arch(2, 1)
    workload = make_workload(3, n_experts, routing=Routing(kind="zipf", zipf_exponent=0.8))
    scale = {"activation": 20.0, "fetch": 20.0}
    costs = make_costs(arch, workload, seed, capacity={"a0": 20.0, "a1": 20.0}, scale=scale)
    options = option_scores(score_blocks(workload, "random", seed=seed), workload, arch)
    return mapping_problem(costs, options, workload, arch, goal=single(metric), limits=limits)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    "limits",
    [MappingLimits(), MappingLimits(max_digital_experts_per_layer=3), MappingLimits(max_sensitivity_share=0.5)],
)
def test_no_rule_beats_the_solver(metric: Metric, limits: MappingLimits) -> None:
    problem = make_problem(metric, limits)
    best = solve_problem(problem, time_limit_s=30, gap=1e-4, seed=0).best.value
    norms = np.random.default_rng(0).random(len(problem.instance.names))
    rules = compare_rules(problem, router_norm=norms)
    assert {result.rule for result in rules} == set(SOURCES)
    assert {result.rule for result in compare_rules(problem)} == set(SOURCES) - {"router_norm"}
    for result in rules:
        assert result.broken or result.value >= best * (1 - 1e-9)


def test_what_a_rule_breaks_is_named() -> None:
    limits = MappingLimits(max_sensitivity_share=0.2)
    results = {result.rule: result for result in compare_rules(make_problem(limits=limits))}
    assert [check.limit for check in results["all_analog"].broken] == ["max_sensitivity_share"]
    assert results["all_analog"].broken[0].need == pytest.approx(1.0)
    for result in results.values():
        assert result.choice is None or (not result.broken) == keeps_limits(
            make_problem().instance, result.choice, limits
        )


def test_each_rule_runs_at_the_fraction_that_serves_it_best() -> None:
    problem = make_problem(limits=MappingLimits(max_sensitivity_share=0.5))
    coarse = {result.rule: result.value for result in compare_rules(problem, (0.5, 1.0))}
    fine = {result.rule: result for result in compare_rules(problem)}
    assert all(fine[rule].value <= value for rule, value in coarse.items() if not fine[rule].broken)
    assert fine["top_k_global"].digital_fraction not in (None, 0.5, 1.0)


def test_a_ratio_rule_takes_the_most_sensitivity_per_extra_joule() -> None:
    problem = make_problem()
    found = next(result for result in compare_rules(problem, (0.5,)) if result.rule == "greedy_ratio")
    instance, choice = problem.instance, found.choice
    assert choice is not None
    cost = np.where(instance.allowed, instance.energy_pj, np.inf)
    extra = cost[:, ~instance.is_analog].min(axis=1) - cost[:, instance.is_analog].min(axis=1)
    ratio = (instance.rank_score / extra)[instance.is_expert]
    digital = ~instance.is_analog[choice][instance.is_expert]
    assert ratio[digital].min() >= ratio[~digital].max()
