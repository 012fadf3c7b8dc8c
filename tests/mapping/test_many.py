import itertools

import numpy as np
import pandas as pd
import pytest

from dse import load_architecture, load_workload
from dse.cost.table import cost_table
from dse.errors import InfeasibleError, SpecError
from dse.mapping.checks import keeps_limits
from dse.mapping.goal import single
from dse.mapping.many import map_many
from dse.mapping.many_rows import Rows, solve_rows, total
from dse.mapping.objective import goal_value
from dse.mapping.problem import mapping_problem
from dse.mapping.solve import solve_mapping
from dse.sensitivity.options import option_scores
from dse.sensitivity.score import score_blocks

from .toy import energy_by_hand, make_arch, make_costs, make_workload, placements

BUDGETS = [
    ("energy", {}),
    ("energy", {"digital_fraction": 0.5}),
    ("energy", {"max_sensitivity_share": 0.4}),
    ("sensitivity", {"max_digital_experts": 2}),
    ("sensitivity", {"max_digital_experts_per_layer": 1}),
]


def random_scores(workload, costs, seed):
    """Random scores of experts on analog cores, 0 elsewhere."""
    random = np.random.default_rng(seed)
    rows = []
    for block in workload.blocks:
        if block.kind != "embedding":
            own = random.uniform(0.5, 2.0) if block.kind == "expert" else 0.0
            rows += [(block.name, *o, own / o.copies * costs.is_analog[o.group]) for o in costs.options]
    return pd.DataFrame(rows, columns=["block", "group", "precision", "copies", "score"])


def reached(arch, workload, costs, options, objective, limits, placement):
    """Value of a placement, infinite where it breaks a limit: both sums written out."""
    score = dict(
        zip(zip(options["block"], options["group"], options["copies"], strict=True), options["score"], strict=True)
    )
    experts = [block for block in workload.blocks if block.kind == "expert"]
    energy = energy_by_hand(arch, workload, costs, placement)
    sensitivity = sum(score[b.name, placement[b.name].group, placement[b.name].copies] for b in experts)
    worst = sum(score[b.name, "a0", 1] for b in experts)
    layers = [b.layer for b in experts if not costs.is_analog[placement[b.name].group]]
    most = {
        "digital_fraction": len(layers) == round(limits.get("digital_fraction", 0) * len(experts)),
        "max_digital_experts": len(layers) <= limits.get("max_digital_experts", 0),
        "max_digital_experts_per_layer": all(layers.count(n) <= 1 for n in set(layers)),
        "max_sensitivity_share": sensitivity <= limits.get("max_sensitivity_share", 0) * worst,
        "max_energy_pj_per_token": energy <= limits.get("max_energy_pj_per_token", 0),
    }
    kept = all(most[name] for name in limits)
    return (energy if objective == "energy" else sensitivity) if kept else np.inf


@pytest.mark.parametrize("composition", ["overlapped", "serial"])
@pytest.mark.parametrize(("objective", "limits"), BUDGETS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_bound_and_value_enclose_the_best_of_all_placements(composition, objective, limits, seed):
    arch, workload = make_arch(composition=composition), make_workload()
    costs = make_costs(arch, workload, seed, scale={"compute": 30.0}, capacity={"a0": 8.0})  # 4 of 6 experts fit
    options = random_scores(workload, costs, seed)
    found = map_many(costs, options, workload, arch, objective=objective, limits=limits)
    # brute force over all 2**6 placements within capacity
    every = [
        reached(arch, workload, costs, options, objective, limits, placement)
        for placement in placements(arch, workload, costs)
    ]
    best, own = min(every), reached(arch, workload, costs, options, objective, limits, found.placement(0))
    if not np.isfinite(best):
        assert found.limit[0]
        return
    assert found.limit[0] == ""
    assert found.value[0] == pytest.approx(own, rel=1e-9)
    assert found.bound[0] <= best * (1 + 1e-12)
    assert found.value[0] >= best * (1 - 1e-12)
    if "max_sensitivity_share" not in limits:
        assert found.value[0] == pytest.approx(best, rel=1e-12)
        assert found.gap[0] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_least_sensitivity_under_an_energy_limit_is_enclosed(seed):
    arch, workload = make_arch(), make_workload()
    costs = make_costs(arch, workload, seed)
    options = random_scores(workload, costs, seed)
    energies = [energy_by_hand(arch, workload, costs, placement) for placement in placements(arch, workload, costs)]
    limits = {"max_energy_pj_per_token": float(np.quantile(energies, 0.3))}
    found = map_many(costs, options, workload, arch, objective="sensitivity", limits=limits)
    every = [  # brute force over all 2**6 placements
        reached(arch, workload, costs, options, "sensitivity", limits, placement)
        for placement in placements(arch, workload, costs)
    ]
    assert found.bound[0] <= min(every) * (1 + 1e-12) <= found.value[0] * (1 + 2e-12)
    assert found.energy_pj_per_token[0] <= limits["max_energy_pj_per_token"]


def test_copies_are_chosen_and_mixtures_bounded():
    arch, workload = make_arch(), make_workload()
    costs = make_costs(arch, workload, 3, copies=True, capacity={"a0": 16.0})
    options = random_scores(workload, costs, 3)
    found = map_many(costs, options, workload, arch, objective="sensitivity", limits={"max_digital_experts": 3})
    every = [  # brute force over all 3**6 placements within capacity
        reached(arch, workload, costs, options, "sensitivity", {"max_digital_experts": 3}, placement)
        for placement in placements(arch, workload, costs)
    ]
    assert found.bound[0] <= min(every) <= found.value[0] * (1 + 1e-12)
    assert {option.copies for option in found.placement(0).values()} == {
        1,
        2,
    }  # three experts of two copies fit: 12 of 16


def designs(name, n_points, seed=0):
    """Designs drawn around a shipped machine, with their costs and scores."""
    random = np.random.default_rng(seed)
    arch = load_architecture("server_pcm3d").with_values(
        {
            "memories.hbm.bandwidth_bytes_per_ns": random.uniform(400, 3000, n_points),
            "dies.analog.count": random.integers(3, 6, n_points).astype(float),
        }
    )
    workload = load_workload(name)
    scores = score_blocks(workload)
    workload = workload.with_values({"scenario.batch": random.integers(1, 64, n_points).astype(float)})
    return arch, workload, option_scores(scores, workload, arch), cost_table(arch, workload)


CASES = [
    ("energy", {"max_sensitivity_share": 0.3}),
    ("energy", {"digital_fraction": 0.3}),
    ("sensitivity", {"max_digital_experts_per_layer": 20}),
    ("sensitivity", {"max_energy_pj_per_token": 6e9}),
]


@pytest.mark.parametrize("name", ["olmoe", "tiny_moe"])
@pytest.mark.parametrize(("objective", "limits"), CASES)
def test_values_are_those_of_the_single_program(name, objective, limits):
    arch, workload, options, costs = designs(name, 40)
    found = map_many(costs, options, workload, arch, objective=objective, limits=limits)
    for point in np.flatnonzero(found.limit == "")[:3].tolist():
        problem = mapping_problem(costs, options, workload, arch, goal=single(objective), limits=limits, point=point)
        choice = found.choice(point)
        assert keeps_limits(problem.instance, choice, problem.limits)
        assert found.value[point] == pytest.approx(goal_value(problem.instance, problem.goal, choice), rel=1e-9)


@pytest.mark.parametrize(("objective", "limits"), CASES)
def test_the_solver_finds_nothing_below_the_bound(objective, limits):
    arch, workload, options, costs = designs("tiny_moe", 30, seed=1)
    found = map_many(costs, options, workload, arch, objective=objective, limits=limits)
    points = np.flatnonzero(found.limit == "")[:2].tolist()
    for point in points:
        solved = solve_mapping(
            costs, options, workload, arch, objective=objective, limits=limits, point=point, time_limit_s=10.0
        )
        assert found.bound[point] <= solved.value * (1 + 1e-6)  # a solver may miss a limit by 1e-6
        assert found.value[point] >= solved.bound * (1 - 1e-6)


def test_designs_without_a_mapping_name_the_limit():
    arch, workload, options, costs = designs("olmoe", 30)
    found = map_many(costs, options, workload, arch, limits={"digital_fraction": 0.0})
    dies = np.asarray(arch.dies[0].count)
    # by hand: 1 024 experts x 24 crossbars = 24 576; a die has 800 x 8 = 6 400, three of them 19 200
    assert ((found.limit == "capacity[pcm] and digital_fraction") == (dies < 4)).all()
    point = int(np.flatnonzero(dies < 4)[0])
    with pytest.raises(InfeasibleError):
        solve_mapping(costs, options, workload, arch, objective="energy", limits={"digital_fraction": 0.0}, point=point)
    tight = map_many(costs, options, workload, arch, limits={"max_energy_pj_per_token": 1.0})
    assert (tight.limit == "max_energy_pj_per_token").all()
    assert np.isnan(tight.gap).all()
    assert np.isinf(tight.bound).all()


@pytest.mark.parametrize("name", ["max_sensitivity_share", "max_energy_pj_per_token"])
def test_a_looser_budget_is_never_proven_worse(name):
    arch, workload, options, costs = designs("olmoe", 12)
    objective = "energy" if name == "max_sensitivity_share" else "sensitivity"
    budgets = [0.1, 0.2, 0.4, 0.7, 1.0] if objective == "energy" else [2e9, 5e9, 1e10, 2e10, 5e10]
    found = [map_many(costs, options, workload, arch, objective=objective, limits={name: b}) for b in budgets]
    for tight, loose in itertools.pairwise(found):
        assert (loose.bound <= tight.bound * (1 + 1e-9)).all()
        assert (loose.bound <= tight.value).all()


def test_permuting_the_experts_changes_nothing():
    arch, workload = make_arch(), make_workload(n_layers=3, n_experts=6)
    costs = make_costs(arch, workload, 5)
    options = random_scores(workload, costs, 5)
    limits = {"max_sensitivity_share": 0.5}
    first = map_many(costs, options, workload, arch, limits=limits)
    swap = {f"layers.1.experts.{e}": f"layers.1.experts.{5 - e}" for e in range(6)}
    renamed = options.assign(block=[swap.get(name, name) for name in options["block"]])
    second = map_many(costs, renamed, workload, arch, limits=limits)
    assert second.value[0] == pytest.approx(first.value[0], rel=1e-12)
    assert second.bound[0] == pytest.approx(first.bound[0], rel=1e-12)
    moved = {swap.get(name, name): option for name, option in first.placement(0).items()}
    assert moved == second.placement(0)


@pytest.mark.parametrize("seed", range(5))
def test_counts_of_any_tables_are_exact_without_a_budget_and_bounded_with_one(seed):
    random = np.random.default_rng(seed)
    value, spent = random.normal(size=(7, 3, 5)), random.uniform(size=(7, 3, 5))
    grid = np.indices((5, 5, 5)).reshape(3, -1).T
    least, most = np.full(7, 3), np.full(7, 7)
    for budget in (np.full(7, np.inf), np.full(7, 1.0)):
        answer = solve_rows(Rows(value=value, spent=spent, budget=budget, least=least, most=most))
        for point in range(7):  # brute force over all 5**3 counts
            at = [total(table[point : point + 1].repeat(len(grid), 0), grid) for table in (value, spent)]
            kept = (at[1] <= budget[point]) & (grid.sum(axis=1) >= 3) & (grid.sum(axis=1) <= 7)
            best = at[0][kept].min(initial=np.inf)
            assert answer.bound[point] <= best + 1e-12
            if answer.is_feasible[point]:
                own = total(value[point : point + 1], answer.counts[point : point + 1])[0]
                assert own >= best - 1e-12
                if np.isinf(budget[point]):
                    assert own == pytest.approx(best, abs=1e-12)


def test_what_many_designs_cannot_be_mapped_with_is_refused():
    arch, workload = make_arch(n_analog=2, composition="pipelined"), make_workload()
    costs = make_costs(arch, workload)
    options = random_scores(workload, costs, 0)
    with pytest.raises(SpecError) as error:
        map_many(
            costs,
            options,
            workload,
            arch,
            limits={"max_area_mm2": 1.0, "max_sensitivity": 1.0, "max_sensitivity_share": 1.0},
        )
    text = str(error.value)
    assert "max_area_mm2: not a limit of many designs at once" in text
    assert "limits: at most one of max_sensitivity, max_sensitivity_share" in text
    assert "composition: must be serial or overlapped" in text
    assert "analog_cores: experts must have one analog core to go to (got a0, a1)" in text
    zipf = load_workload("olmoe_zipf")
    machine = load_architecture("server_pcm3d")
    costs = cost_table(machine, zipf)
    with pytest.raises(SpecError, match=r"routing\.kind: must give all experts of a layer the same load"):
        map_many(costs, option_scores(score_blocks(zipf), zipf, machine), zipf, machine)
    both = make_arch()
    costs = make_costs(both, workload)
    with pytest.raises(SpecError, match="pins: every dense block must have one option"):
        map_many(costs, random_scores(workload, costs, 0), workload, both, pins={"attention": "any"})
