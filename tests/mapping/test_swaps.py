"""Exchanges of blocks within a stage."""

import dataclasses
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dse.mapping.checks import keeps_limits
from dse.mapping.from_file import problem_from_file
from dse.mapping.limits import read_limits
from dse.mapping.objective import layer_latency_ns, units_by_resource
from dse.mapping.problem import MappingProblem
from dse.mapping.solve import solve_problem
from dse.mapping.swaps import StageTimes, stage_swapped, swapped
from dse.spec.problem_file import load_problem

BUSY_NS = {"pcm": 400.0, "npu": 20.0}


def problem(folder: Path, visits: list[list[float]], **more: Any) -> MappingProblem:
    """Experts of these visits in each layer on an analog and a digital group; the digital one holds half of them."""
    blocks = [
        {
            "name": f"layers.{layer}.experts.{e}", "layer": layer, "kind": "expert", "visits_per_token": v,
            "sensitivity": 1.0 + e, "units": {"pcm": 1, "npu": 1},
            "energy_pj_per_token": {"pcm": v, "npu": 9 * v},
            "busy_ns_per_token": {group: v * busy for group, busy in BUSY_NS.items()},
        }
        for layer, own in enumerate(visits)
        for e, v in enumerate(own)
    ]  # fmt: skip
    groups = [
        {"name": "pcm", "kind": "analog", "count": 10, "capacity_units": len(blocks)},
        {"name": "npu", "kind": "digital", "count": 1, "capacity_units": len(blocks) // 2},
    ]
    record = {"format": 2, "groups": groups, "blocks": blocks, "objective": "layer_latency", "limits": {}} | more
    (folder / "p.json").write_text(json.dumps(record))
    return problem_from_file(load_problem(str(folder / "p.json")))


def test_exchanges_reach_the_best_split_of_a_stage(tmp_path: Path) -> None:
    own = problem(tmp_path, [[5.0, 4.0, 3.0, 3.0, 2.0, 1.0]])
    # brute force over the splits with three experts on each group
    splits = [np.array(c) for c in itertools.product((0, 1), repeat=6) if sum(c) == 3]
    best = min(layer_latency_ns(own.instance, c) for c in splits)
    for start in splits:
        found = stage_swapped(own.instance, 0, start)
        assert layer_latency_ns(own.instance, found) <= layer_latency_ns(own.instance, start)
        assert found.sum() == 3
    assert layer_latency_ns(own.instance, swapped(own, splits[0], time_limit_s=1.0)) == pytest.approx(best)


def test_what_an_exchange_makes_of_a_stage_is_what_is_recomputed(tmp_path: Path) -> None:
    own = problem(tmp_path, [[5.0, 4.0, 3.0], [1.0, 2.0, 6.0]])
    choice = np.array([0, 1, 0, 1, 1, 0])
    times = StageTimes(own.instance, own.instance.steps[0], 1, choice)
    after = times.after(np.array([5]), 0, np.array([3, 4]), 1)
    for column, j in enumerate((3, 4)):
        moved = choice.copy()
        moved[5], moved[j] = 1, 0
        assert after[0, column] == pytest.approx(
            StageTimes(own.instance, own.instance.steps[0], 1, moved).total(), rel=1e-12
        )


def test_exchanges_break_no_limit(tmp_path: Path) -> None:
    own = problem(tmp_path, [[9.0, 1.0, 1.0, 1.0]])
    start = np.array([0, 1, 1, 0])  # the busiest expert on the slow group, the cheapest placement in energy
    assert layer_latency_ns(own.instance, swapped(own, start, time_limit_s=1.0)) < layer_latency_ns(own.instance, start)
    # by hand: 9 · 1 + 1 · 9 + 1 · 9 + 1 · 1 = 28 pJ; any exchange that helps puts the 9 visits on 9 pJ: 92 pJ
    limited = dataclasses.replace(own, limits=read_limits({"max_energy_pj_per_token": 30.0}))
    assert keeps_limits(own.instance, start, limited.limits)
    assert np.array_equal(swapped(limited, start, time_limit_s=1.0), start)


@pytest.mark.parametrize("seed", range(3))
def test_layer_latency_of_many_experts_is_close_to_its_bound_at_once(tmp_path: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    own = problem(tmp_path, random.zipf(1.8, (6, 40)).clip(1, 50).tolist())
    found = solve_problem(own, time_limit_s=20.0, gap=2e-3, seed=0)
    value = layer_latency_ns(own.instance, found.best.choice)
    assert value == pytest.approx(found.best.value)
    assert found.bound <= value <= found.bound * (1 + 2.1e-3)
    assert (units_by_resource(own.instance, found.best.choice) <= own.instance.capacity + 1e-9).all()
