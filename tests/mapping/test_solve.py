"""The solver's mapping against enumeration, rules and symmetries, and each family of constraints."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dse.cost.option import Option
from dse.cost.table import CostTable, cost_table
from dse.errors import InfeasibleError, SpecError, TimeLimitError
from dse.evaluation.run import evaluate
from dse.mapping import child, solve
from dse.mapping.baseline import SOURCES, Rule, rule_mapping
from dse.mapping.child import Answer, read_answer, run_until, solve_model
from dse.mapping.goal import single
from dse.mapping.instance import make_instance, option_score_matrix
from dse.mapping.limits import MappingLimits
from dse.mapping.metrics import Metric
from dse.mapping.model import Mapping
from dse.mapping.objective import energy_pj_per_token, goal_value
from dse.mapping.problem import MappingProblem, build_program
from dse.mapping.solve import solve_mapping
from dse.sensitivity.options import option_scores
from dse.sensitivity.score import score_blocks
from dse.sensitivity.share import sensitivity_share
from dse.spec.architecture import Architecture
from dse.spec.load import load_architecture
from dse.spec.scenario import Routing
from dse.workload.build import Workload, load_workload

from .toy import energy_by_hand, make_arch, make_costs, make_workload, placements


def scores_of(workload: Workload, seed: int = 0) -> pd.DataFrame:
    return score_blocks(workload, "random", seed=seed)


def options_of(scores: pd.DataFrame, workload: Workload, arch: Architecture, costs: CostTable) -> pd.DataFrame:
    """Option scores, with the options of two copies at half the score where the costs have them."""
    table = option_scores(scores, workload, arch)
    twice = table[table["precision"] == "analog"].assign(copies=2, score=lambda t: t["score"] / 2)
    return pd.concat([table, twice]) if any(option.copies == 2 for option in costs.options) else table


def total_score(scores: pd.DataFrame, placement: dict[str, Option]) -> float:
    known = dict(zip(scores["block"], scores["score"], strict=True))
    return sum(known.get(n, 0.0) / o.copies for n, o in placement.items() if o.precision == "analog")


def n_digital(placement: dict[str, Option]) -> int:
    return sum(".experts." in name and option.precision != "analog" for name, option in placement.items())


CASES = [
    # groups, composition, copies, capacity, limits
    (1, 1, "serial", False, {"a0": 6.0}, {}),
    (1, 1, "overlapped", False, {"m0": 12.0}, {}),
    (2, 1, "overlapped", False, {"a0": 4.0, "a1": 4.0}, {}),
    (1, 2, "serial", False, {"a0": 6.0, "m1": 2.0}, {}),
    (1, 1, "overlapped", True, {"a0": 10.0}, {}),
    (1, 1, "overlapped", False, {}, {"max_digital_experts_per_layer": 1}),
    (1, 1, "serial", False, {}, {"digital_fraction": 0.5}),
    (2, 1, "overlapped", False, {"a0": 4.0}, {"max_digital_experts": 2}),
    (1, 1, "overlapped", False, {}, {"max_sensitivity_share": 0.4}),
    (1, 2, "overlapped", False, {}, {"max_sensitivity": 3.0}),
    (2, 1, "pipelined", False, {"a0": 4.0, "a1": 4.0}, {}),
    (1, 2, "pipelined", False, {}, {"max_sensitivity_share": 0.4}),
]


@pytest.mark.parametrize("objective", ["sensitivity", "energy"])
@pytest.mark.parametrize("case", range(len(CASES)))
def test_equals_the_best_of_all_placements(objective: Metric, case: int) -> None:
    n_analog, n_digital_groups, composition, copies, capacity, limits = CASES[case]
    arch, workload = make_arch(n_analog, n_digital_groups, composition), make_workload()
    costs, scores = make_costs(arch, workload, case, capacity=capacity, copies=copies), scores_of(workload, case)
    total = float(scores["score"].sum())

    def is_allowed(placement: dict[str, Option]) -> bool:
        score = total_score(scores, placement)
        per_layer = [n_digital({n: o for n, o in placement.items() if n.startswith(f"layers.{x}.")}) for x in (0, 1)]
        return (
            score <= limits.get("max_sensitivity", np.inf) * (1 + 1e-6)
            and score <= limits.get("max_sensitivity_share", np.inf) * total * (1 + 1e-6)
            and max(per_layer) <= limits.get("max_digital_experts_per_layer", np.inf)
            and n_digital(placement) <= limits.get("max_digital_experts", np.inf)
            and ("digital_fraction" not in limits or n_digital(placement) == round(6 * limits["digital_fraction"]))
        )

    # brute force over all placements within capacity
    values = [
        total_score(scores, p) if objective == "sensitivity" else energy_by_hand(arch, workload, costs, p)
        for p in placements(arch, workload, costs)
        if is_allowed(p)
    ]
    mapping = solve_mapping(
        costs, options_of(scores, workload, arch, costs), workload, arch, objective=objective, limits=limits, gap=0.0
    )
    assert mapping.value == pytest.approx(min(values), rel=1e-9)
    assert mapping.bound == pytest.approx(min(values), rel=1e-6)
    assert is_allowed(dict(mapping.placement))
    assert mapping.status in ("optimal", "within_gap")
    if objective == "energy":
        assert energy_by_hand(arch, workload, costs, dict(mapping.placement)) == pytest.approx(mapping.value, rel=1e-9)


@pytest.mark.parametrize("composition", ["serial", "overlapped", "pipelined"])
@pytest.mark.parametrize("large", ["path", "fixed", "fetch", "compute", "link", "host"])
def test_energy_equals_the_best_of_all_placements_whatever_time_is_largest(composition: str, large: str) -> None:
    arch, workload = make_arch(composition=composition), make_workload(2, 4)
    costs = make_costs(arch, workload, 7, scale={large: 20.0, "visit": 0.01})
    best = min(energy_by_hand(arch, workload, costs, p) for p in placements(arch, workload, costs))
    options = option_scores(scores_of(workload), workload, arch)
    mapping = solve_mapping(costs, options, workload, arch, objective="energy", gap=0.0)
    assert mapping.value == pytest.approx(best, rel=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_least_sensitivity_within_an_energy_limit_equals_the_best_of_all_placements(seed: int) -> None:
    arch, workload = make_arch(), make_workload(2, 4)
    costs, scores = make_costs(arch, workload, seed, scale={"activation": 5.0}), scores_of(workload, seed)
    every = [
        (total_score(scores, p), energy_by_hand(arch, workload, costs, p)) for p in placements(arch, workload, costs)
    ]
    limit = float(np.quantile([energy for _, energy in every], 0.4))
    mapping = solve_mapping(
        costs, option_scores(scores, workload, arch), workload, arch, limits={"max_energy_pj_per_token": limit}, gap=0.0
    )
    assert mapping.value == pytest.approx(min(score for score, energy in every if energy <= limit), rel=1e-9)


@pytest.mark.parametrize("objective", ["sensitivity", "energy"])
def test_skewed_routing_equals_the_best_of_all_placements(objective: Metric) -> None:
    arch, workload = make_arch(), make_workload(2, 4, routing=Routing(kind="zipf", zipf_exponent=1.0))
    costs, scores = make_costs(arch, workload, 3, capacity={"a0": 10.0}), scores_of(workload)
    options = option_scores(scores, workload, arch)
    score, listed = option_score_matrix(options, workload, costs)
    instance = make_instance(costs, workload, arch, score=score, listed=listed)
    index = {option: i for i, option in enumerate(costs.options)}
    values = []
    for placement in placements(arch, workload, costs):
        choice = np.array([index[placement[name]] for name in instance.names])
        is_energy = objective == "energy"
        values.append(energy_pj_per_token(instance, choice) if is_energy else total_score(scores, placement))
    limits = {"max_digital_experts": 5.0}
    values = [v for v, p in zip(values, placements(arch, workload, costs), strict=True) if n_digital(p) <= 5]
    mapping = solve_mapping(costs, options, workload, arch, objective=objective, limits=limits, gap=0.0)
    assert mapping.value == pytest.approx(min(values), rel=1e-9)


def test_pinned_and_shared_blocks_are_part_of_the_energy() -> None:
    arch, workload = make_arch(), make_workload(2, 3, n_shared=1)
    costs = make_costs(arch, workload, 5)
    options = option_scores(scores_of(workload), workload, arch)
    mapping = solve_mapping(costs, options, workload, arch, objective="energy", gap=0.0)
    best = min(energy_by_hand(arch, workload, costs, p) for p in placements(arch, workload, costs))
    assert mapping.value == pytest.approx(best, rel=1e-9)
    assert mapping.placement["layers.0.shared"] == Option("d0", "fp16")


@pytest.mark.parametrize("budget", [0, 1, 3, 6])
def test_a_budget_per_layer_alone_gives_the_published_rule(budget: int) -> None:
    arch, workload = make_arch(), make_workload(3, 6)
    costs, scores = make_costs(arch, workload), scores_of(workload)
    limits = {"max_digital_experts_per_layer": budget}
    solved = solve_mapping(costs, option_scores(scores, workload, arch), workload, arch, limits=limits)
    rule = rule_mapping(arch, workload, scores, digital_fraction=budget / 6, costs=costs)
    assert solved.value == pytest.approx(rule.value, abs=1e-12)
    assert solved.digital_blocks() == rule.digital_blocks()  # no ties among random scores


def test_a_global_budget_alone_gives_the_global_rule() -> None:
    arch, workload = make_arch(), make_workload(3, 6)
    costs, scores = make_costs(arch, workload), scores_of(workload)
    options = option_scores(scores, workload, arch)
    solved = solve_mapping(costs, options, workload, arch, limits={"max_digital_experts": 7})
    rule = rule_mapping(arch, workload, scores, rule="top_k_global", digital_fraction=7 / 18, costs=costs)
    assert solved.digital_blocks() == rule.digital_blocks()


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    slots=st.integers(2, 8),
    objective=st.sampled_from(["sensitivity", "energy"]),
    rule=st.sampled_from(sorted(SOURCES)),
    fraction=st.sampled_from([0.0, 0.25, 0.5, 0.75]),
)
def test_never_worse_than_a_rule(seed: int, slots: int, objective: Metric, rule: Rule, fraction: float) -> None:
    arch, workload = make_arch(2, 2), make_workload(2, 4)
    capacity = {"a0": 2.0 * slots, "a1": 4.0, "m1": 6.0}
    costs, scores = make_costs(arch, workload, seed, capacity=capacity), scores_of(workload, seed)
    try:
        by_rule = rule_mapping(
            arch, workload, scores, rule=rule, digital_fraction=fraction, costs=costs, seed=seed, router_norms=scores
        )
    except InfeasibleError:
        return
    limits = {"max_digital_experts": n_digital(dict(by_rule.placement))}
    options = option_scores(scores, workload, arch)
    solved = solve_mapping(costs, options, workload, arch, objective=objective, limits=limits, gap=0.0)
    value = (
        by_rule.value if objective == "sensitivity" else energy_by_hand(arch, workload, costs, dict(by_rule.placement))
    )
    assert solved.value <= value * (1 + 1e-9)


@pytest.mark.parametrize("objective", ["sensitivity", "energy"])
def test_permuting_experts_changes_nothing(objective: Metric) -> None:
    arch, workload = make_arch(), make_workload(2, 6)
    costs, scores = make_costs(arch, workload, 2, capacity={"a0": 14.0}), scores_of(workload)
    permuted = scores.copy()
    order = np.concatenate([np.random.default_rng(1).permutation(6) + 6 * layer for layer in (0, 1)])
    permuted["score"] = scores["score"].to_numpy()[order]
    limits = {"max_sensitivity_share": 0.6}
    first, second = (
        solve_mapping(
            costs, option_scores(s, workload, arch), workload, arch, objective=objective, limits=limits, gap=0.0
        )
        for s in (scores, permuted)
    )
    assert first.value == pytest.approx(second.value, rel=1e-9)


def test_capacity_alone_binds() -> None:
    arch, workload = make_arch(), make_workload(2, 4)
    costs, scores = make_costs(arch, workload, capacity={"m0": 5 + 3 * 2.0 + 1.5}), scores_of(workload)
    mapping = solve_mapping(costs, option_scores(scores, workload, arch), workload, arch)
    # by hand: 2 attention + 2 routers + 1 head take 5 units, 3 experts of 2 fit into the 7.5 left
    assert n_digital(dict(mapping.placement)) == 3
    assert mapping.value == pytest.approx(scores["score"].sort_values()[:5].sum())
    assert mapping.binding == ("capacity[m0]",)
    assert mapping.units_used == {"a0": 10.0, "d0": 11.0}


@pytest.mark.parametrize(
    ("objective", "limits", "count"),
    [
        ("sensitivity", {"max_digital_experts_per_layer": 1.0}, 2),
        ("sensitivity", {"max_digital_experts": 3.0}, 3),
        ("sensitivity", {"digital_fraction": 0.25}, 2),
        ("energy", {"digital_fraction": 0.625}, 5),
    ],
)
def test_a_budget_alone_binds(objective: Metric, limits: dict[str, float], count: int) -> None:
    arch, workload = make_arch(), make_workload(2, 4)
    costs = make_costs(arch, workload)
    options = option_scores(scores_of(workload), workload, arch)
    mapping = solve_mapping(costs, options, workload, arch, objective=objective, limits=limits)
    assert n_digital(dict(mapping.placement)) == count
    assert any(name.startswith(next(iter(limits))) for name in mapping.binding)


@pytest.mark.parametrize("limit", ["max_sensitivity", "max_sensitivity_share"])
def test_a_sensitivity_limit_alone_binds(limit: str) -> None:
    arch, workload = make_arch(), make_workload(2, 4)
    costs, scores = make_costs(arch, workload, scale={"fetch": 50.0, "activation": 50.0}), scores_of(workload)
    options, total = option_scores(scores, workload, arch), float(scores["score"].sum())
    free = solve_mapping(costs, options, workload, arch, objective="energy")
    assert n_digital(dict(free.placement)) == 0  # fetching weights is what costs here
    value = 0.5 * total if limit == "max_sensitivity" else 0.5
    mapping = solve_mapping(costs, options, workload, arch, objective="energy", limits={limit: value})
    assert 0 < n_digital(dict(mapping.placement)) < 8
    assert sensitivity_share(scores, mapping) <= 0.5
    assert mapping.value > free.value


def test_a_pin_alone_binds(arch: Architecture, workload: Workload) -> None:
    costs, scores = make_costs(arch, workload), scores_of(workload)
    pins = {"layers.0.experts.*": "a0", "attention": "a0"}
    mapping = solve_mapping(costs, option_scores(scores, workload, arch), workload, arch, pins=pins)
    assert {mapping.placement[f"layers.0.experts.{e}"].group for e in range(3)} == {"a0"}
    assert mapping.placement["layers.1.attention"].group == "a0"
    assert n_digital(dict(mapping.placement)) == 3
    known = dict(zip(scores["block"], scores["score"], strict=True))
    assert mapping.value == pytest.approx(sum(known[f"layers.0.experts.{e}"] for e in range(3)))


def test_options_that_are_not_listed_are_not_used(arch: Architecture, workload: Workload) -> None:
    costs = make_costs(arch, workload)
    options = option_scores(scores_of(workload), workload, arch)
    options = options[~((options["block"] == "layers.0.experts.1") & (options["group"] == "d0"))]
    mapping = solve_mapping(costs, options, workload, arch)
    assert mapping.digital_blocks() == {b.name for b in workload.blocks} - {"embedding", "layers.0.experts.1"}


def test_nothing_to_choose_is_solved_without_a_solver(workload: Workload) -> None:
    arch = make_arch(n_analog=0)
    costs = make_costs(arch, workload)
    options = option_scores(scores_of(workload), workload, arch)
    mapping = solve_mapping(costs, options, workload, arch, objective="energy")
    assert (mapping.status, mapping.gap) == ("optimal", 0.0)


def test_a_looser_limit_is_never_worse(arch: Architecture) -> None:
    workload = make_workload(2, 5)
    costs, options = make_costs(arch, workload), option_scores(scores_of(workload), workload, arch)
    values = [
        solve_mapping(
            costs, options, workload, arch, objective="energy", limits={"max_sensitivity_share": s}, gap=0.0
        ).value
        for s in (0.1, 0.3, 0.6, 1.0)
    ]
    assert values == sorted(values, reverse=True)


def test_digests_name_the_inputs(arch: Architecture, workload: Workload) -> None:
    costs = make_costs(arch, workload)
    first, second = (
        solve_mapping(costs, option_scores(scores_of(workload, seed), workload, arch), workload, arch)
        for seed in (0, 1)
    )
    assert first.digests["architecture"] == "arch"
    assert first.digests["workload"] == "workload"
    assert first.digests["scores"] != second.digests["scores"]


def test_equal_inputs_give_equal_mappings(arch: Architecture) -> None:
    workload = make_workload(2, 8)
    costs, options = (
        make_costs(arch, workload, capacity={"a0": 17.0}),
        option_scores(scores_of(workload), workload, arch),
    )
    first, second = (solve_mapping(costs, options, workload, arch, objective="energy") for _ in range(2))
    assert first.to_dict() == second.to_dict()


def test_an_unknown_objective_is_refused(arch: Architecture, workload: Workload) -> None:
    costs, options = make_costs(arch, workload), option_scores(scores_of(workload), workload, arch)
    with pytest.raises(SpecError, match="unknown objective 'enrgy', did you mean 'energy'"):
        solve_mapping(costs, options, workload, arch, objective="enrgy")  # type: ignore[arg-type]


def test_nothing_is_printed(arch: Architecture, workload: Workload, capfd: pytest.CaptureFixture[str]) -> None:
    costs = make_costs(arch, workload)
    solve_mapping(costs, option_scores(scores_of(workload), workload, arch), workload, arch)
    assert capfd.readouterr() == ("", "")


def test_a_limit_on_power_is_kept_or_named_with_the_least_that_was_found() -> None:
    arch, workload = make_arch(), make_workload(2, 4)
    costs, options = make_costs(arch, workload), option_scores(scores_of(workload), workload, arch)

    def solve_within(most: float | None) -> Mapping:
        limits = {} if most is None else {"max_power_mw": most}
        return solve_mapping(costs, options, workload, arch, objective="layer_latency", limits=limits)

    def power(mapping: Mapping) -> float:
        step_ns = mapping.metrics["layer_latency_ns"]
        return mapping.metrics["energy_pj_per_token"] * mapping.energy_terms["tokens_per_step"] / step_ns

    free = power(solve_within(None))
    held = solve_within(0.97 * free)
    assert power(held) <= 0.97 * free * (1 + 1e-6)
    assert held.value >= held.bound
    with pytest.raises(InfeasibleError, match=r"max_power_mw: need .* mW, have 0\.1 mW"):
        solve_within(0.1)


class TestDeadline:
    """What happens when the solver does not come back with an answer."""

    @staticmethod
    def solve_with(answer: Answer, monkeypatch: pytest.MonkeyPatch, limits: dict[str, float]) -> Mapping:
        arch, workload = make_arch(), make_workload(2, 4)
        costs, options = make_costs(arch, workload), option_scores(scores_of(workload), workload, arch)
        monkeypatch.setattr(solve, "solve_model", lambda *_, **__: answer)
        return solve_mapping(costs, options, workload, arch, limits=limits)

    def test_the_best_rule_is_returned_with_the_bound_of_the_relaxation(self, monkeypatch: pytest.MonkeyPatch) -> None:
        answer = Answer(status="time_limit", bound=0.01)
        mapping = self.solve_with(answer, monkeypatch, {"digital_fraction": 0.25})
        assert mapping.status == "time_limit"
        assert mapping.solver.startswith("rule top_k_global at digital fraction 0.25")
        assert 0 < mapping.bound < mapping.value
        assert 0 < mapping.gap < 1

    def test_without_an_answer_the_bound_is_that_of_every_block_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        mapping = self.solve_with(Answer(status="time_limit", bound=None), monkeypatch, {"digital_fraction": 0.25})
        # by hand: every block may be digital, where its score is 0
        assert (mapping.status, mapping.bound, mapping.gap) == ("time_limit", 0.0, 1.0)

    def test_without_any_placement_the_time_limit_is_an_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        limits = {"max_sensitivity_share": 0.45, "max_digital_experts": 2}
        with pytest.raises(TimeLimitError, match="no mapping found within 60 s"):
            self.solve_with(Answer(status="time_limit", bound=0.0), monkeypatch, limits)

    def test_a_solver_that_is_killed_leaves_the_best_rule(self, monkeypatch: pytest.MonkeyPatch) -> None:
        arch, workload = make_arch(), make_workload(2, 4)
        costs, options = make_costs(arch, workload), option_scores(scores_of(workload), workload, arch)
        monkeypatch.setattr(child, "run_until", lambda *_: (["{"], "Killed"))
        mapping = solve_mapping(costs, options, workload, arch, limits={"digital_fraction": 0.25})
        assert mapping.status == "time_limit"
        assert mapping.solver.startswith("rule top_k_global at digital fraction 0.25")

    def test_the_next_solver_takes_over_from_one_that_fails(self, monkeypatch: pytest.MonkeyPatch) -> None:
        arch, workload = make_arch(), make_workload(2, 4)
        costs, options = make_costs(arch, workload), option_scores(scores_of(workload), workload, arch)
        run = child.run_until
        fails = lambda command, limit_s: ([], "Killed") if "worker_highs" in str(command) else run(command, limit_s)  # noqa: E731
        monkeypatch.setattr(child, "run_until", fails)
        mapping = solve_mapping(costs, options, workload, arch, limits={"digital_fraction": 0.25})
        assert (mapping.status, mapping.solver[:3]) == ("optimal", "CBC")

    def test_a_child_that_hangs_is_ended(self) -> None:
        begin = time.monotonic()
        lines, _ = run_until(["sh", "-c", "echo first; exec sleep 30"], 0.3)
        assert lines == ["first"]
        assert time.monotonic() - begin < 5

    def test_a_cut_off_answer_keeps_the_relaxation(self) -> None:
        answer = read_answer(['{"event": "relaxation", "status": "optimal", "bound": 2.5}', '{"event": "sol'], 1.0)
        assert answer is not None
        assert (answer.status, answer.bound, answer.values) == ("time_limit", 2.5, {})


@pytest.mark.parametrize("objective", ["sensitivity", "energy"])
def test_both_solvers_agree(objective: Metric) -> None:
    arch, workload = make_arch(), make_workload(2, 4)
    costs = make_costs(arch, workload, capacity={"a0": 12.0})
    score, listed = option_score_matrix(option_scores(scores_of(workload), workload, arch), workload, costs)
    instance = make_instance(costs, workload, arch, score=score, listed=listed)
    limits = MappingLimits(max_digital_experts_per_layer=2)

    def value(write: Callable[[Path], None], solver: str) -> float:
        answer = solve_model(write, time_limit_s=20, gap=0.0, seed=0, solver=solver)
        assert answer.status == "optimal"
        return goal_value(instance, single(objective), program.choice(answer.values))

    program = build_program(MappingProblem(instance=instance, goal=single(objective), limits=limits))
    assert value(program.write, "cbc") == pytest.approx(value(program.write, "highs"), rel=1e-9)


def test_rows_keep_their_meaning(arch: Architecture, workload: Workload) -> None:
    costs = make_costs(arch, workload, capacity={"a0": 100.0})
    score, listed = option_score_matrix(option_scores(scores_of(workload), workload, arch), workload, costs)
    instance = make_instance(costs, workload, arch, score=score, listed=listed)
    limits = MappingLimits(max_digital_experts_per_layer=2, max_sensitivity=1)
    program = build_program(MappingProblem(instance=instance, goal=single("energy"), limits=limits))
    names = set(program.rows.values())
    expected = {"capacity[a0]", "capacity[m0]", "max_digital_experts_per_layer[1]", "max_sensitivity"}
    assert expected | {"time[0.experts, a0]", "memory[0.experts, d0]"} <= names


def test_a_start_says_the_same_as_its_placement() -> None:
    arch, workload = make_arch(2, 1), make_workload(2, 4)
    costs = make_costs(arch, workload)
    score, listed = option_score_matrix(option_scores(scores_of(workload), workload, arch), workload, costs)
    instance = make_instance(costs, workload, arch, score=score, listed=listed)
    problem = MappingProblem(instance=instance, goal=single("energy"), limits=MappingLimits(max_sensitivity=100))
    program = build_program(problem)
    limits = MappingLimits(digital_fraction=0.5)
    rule = solve.best_rule(MappingProblem(instance=instance, goal=single("sensitivity"), limits=limits))
    assert rule is not None
    again = program.choice(program.start(rule.choice))
    assert energy_pj_per_token(instance, again) == pytest.approx(energy_pj_per_token(instance, rule.choice))
    assert score[np.arange(len(again)), again].sum() <= score[np.arange(len(again)), rule.choice].sum() + 1e-12


@pytest.mark.parametrize(
    ("name", "composition"),
    [("olmoe", "overlapped"), ("olmoe", "pipelined"), ("olmoe_prefill", "overlapped"), ("olmoe_zipf", "overlapped")],
)
def test_the_energy_of_a_shipped_design_is_that_of_its_evaluation_but_for_the_busiest_tile(
    name: str, composition: str
) -> None:
    arch = load_architecture("server_pcm3d", {"composition": composition, "micro_batches": 4})
    workload = load_workload(name)
    costs, options = cost_table(arch, workload), option_scores(score_blocks(workload), workload, arch)
    limits = {"max_sensitivity_share": 0.3}
    mapping = solve_mapping(costs, options, workload, arch, objective="energy", limits=limits, gap=1e-3)
    full = float(np.ravel(evaluate(arch, workload, mapping).energy_pj_per_token)[0])
    # the program shares the load of a group evenly, the evaluation waits for the busiest tile
    assert mapping.value <= full * (1 + 1e-9)
    assert mapping.value == pytest.approx(full, rel=0.01)
