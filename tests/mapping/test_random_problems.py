"""Random problems of eight blocks with three groups: the solver against all 3**8 placements and against every rule."""

import dataclasses
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dse.errors import InfeasibleError
from dse.mapping.checks import keeps_limits
from dse.mapping.compare import compare_rules
from dse.mapping.from_file import problem_from_file
from dse.mapping.goal import single
from dse.mapping.metrics import METRICS, Metric
from dse.mapping.objective import goal_value
from dse.mapping.problem import MappingProblem
from dse.mapping.solve import solve_problem
from dse.spec.problem_file import load_problem

CHOICES = [np.array(choice) for choice in itertools.product(range(3), repeat=8)]


def random_problem(folder: Path, seed: int, *, is_tight: bool) -> MappingProblem:
    random = np.random.default_rng(seed)
    groups = [
        {"name": "pcm", "kind": "analog", "count": 3, "capacity_units": 10 if is_tight else 100},
        {"name": "npu", "kind": "digital", "count": 1, "capacity_units": 9 if is_tight else 100},
        {"name": "rram", "kind": "analog", "count": 2, "capacity_units": 7 if is_tight else 100, "noise_factor": 1.5},
    ]
    names = [str(group["name"]) for group in groups]
    blocks: list[dict[str, Any]] = [
        {
            "name": f"layers.{i // 4}.experts.{i % 4}", "layer": i // 4, "sensitivity": random.integers(1, 9) / 4,
            "units": dict.fromkeys(names, int(random.integers(2, 4))),
            "energy_pj_per_token": dict(zip(names, random.uniform(1, 9, 3), strict=True)),
            "busy_ns_per_token": dict(zip(names, random.uniform(1, 9, 3), strict=True)),
        }
        for i in range(8)
    ]  # fmt: skip
    limits = {"max_digital_experts": 5} if seed % 2 else {"max_energy_pj_per_token": float(random.uniform(20, 40))}
    record = {"format": 1, "groups": groups, "blocks": blocks, "objective": "energy", "limits": limits}
    path = folder / "problem.json"
    path.write_text(json.dumps(record))
    return problem_from_file(load_problem(path))


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000), metric=st.sampled_from(METRICS), is_tight=st.booleans())
def test_the_solver_equals_all_placements_and_no_rule_is_better(
    seed: int, metric: Metric, is_tight: bool, tmp_path: Path
) -> None:
    problem = dataclasses.replace(random_problem(tmp_path, seed, is_tight=is_tight), goal=single(metric))
    instance, goal = problem.instance, problem.goal
    column = [[instance.groups.index(o.group) for o in instance.options].index(group) for group in range(3)]
    choices = [np.array(column)[choice] for choice in CHOICES]
    units = np.array([instance.units[np.arange(8), choice].sum() for choice in choices])
    assert len(units) == 3**8
    kept = [choice for choice in choices if keeps_limits(instance, choice, problem.limits)]
    if not kept:
        with pytest.raises(InfeasibleError) as caught:
            solve_problem(problem, time_limit_s=20, gap=1e-4, seed=0)
        assert caught.value.causes
        return
    best = min(goal_value(instance, goal, choice) for choice in kept)
    found = solve_problem(problem, time_limit_s=20, gap=1e-4, seed=0)
    assert found.best.value == pytest.approx(best, rel=1e-6)
    assert found.bound <= best * (1 + 1e-9)
    for rule in compare_rules(problem):
        assert rule.broken or rule.value >= found.best.value * (1 - 1e-9)
