"""Limits, pools, and the convex hull of stage times on their own."""

from dataclasses import fields
from itertools import permutations

import numpy as np
import pytest

from dse import cost_table, load_architecture, load_workload
from dse.errors import SpecError
from dse.mapping.instance import Instance, make_instance, option_score_matrix
from dse.mapping.limits import MappingLimits, read_limits, with_calibrated_limit
from dse.mapping.objective import group_loads, stage_ns, step_ns
from dse.mapping.pools import Pool, distribute, fixed_choice, make_pools
from dse.mapping.stage_time import lower_hull, times_by_count
from dse.sensitivity.options import option_scores
from dse.sensitivity.score import score_blocks
from dse.spec.scenario import Routing

from .toy import make_arch, make_costs, make_workload


def make(
    n_analog: int = 1, n_experts: int = 5, *, routing: Routing | None = None, composition: str = "serial"
) -> Instance:
    arch, workload = make_arch(n_analog, 1, composition), make_workload(2, n_experts, routing=routing)
    costs = make_costs(arch, workload, 4)
    score, listed = option_score_matrix(
        option_scores(score_blocks(workload, "random"), workload, arch), workload, costs
    )
    return make_instance(costs, workload, arch, score=score, listed=listed)


PROMPTS = [16.0, 64.0, 1024.0]


@pytest.mark.parametrize("phase", ["prefill", "generate"])
@pytest.mark.parametrize("point", range(len(PROMPTS)))
def test_a_prompt_length_alone_has_the_costs_of_the_same_one_inside_a_sweep(phase: str, point: int) -> None:
    given = {"prefill": {}, "generate": {"scenario.new_tokens": 4}}[phase]
    workload = load_workload("olmoe", {"scenario.phase": phase, "scenario.prompt_tokens": 8, **given})
    arch = load_architecture("server_pcm3d_lumped")
    swept = workload.with_values({"scenario.prompt_tokens": PROMPTS})
    alone = workload.with_values({"scenario.prompt_tokens": PROMPTS[point]})
    one, of_many = (
        make_instance(costs, load, arch, score=score, listed=listed, point=at)
        for load, at in ((alone, 0), (swept, point))
        for costs in (cost_table(arch, load),)
        for score, listed in (option_score_matrix(option_scores(score_blocks(load), load, arch), load, costs),)
    )
    # by hand: the head runs once per prompt, so n λ = batch · prompt / prompt visits in a prefill step
    steps = {"prefill": 1.0, "generate": 5.0}[phase]
    assert of_many.visits[of_many.kinds.index("head")] == pytest.approx(steps * float(workload.scenario.batch))
    tables = (one, *one.steps), (of_many, *of_many.steps)
    for mine, other in zip(*tables, strict=True):
        for field in fields(mine):
            value = getattr(mine, field.name)
            if isinstance(value, np.ndarray | float):
                assert getattr(other, field.name) == pytest.approx(value, rel=1e-12), field.name


def pools_of(instance: Instance, *, with_costs: bool) -> tuple[Pool, ...]:
    return make_pools(instance, with_costs=with_costs, alone=np.zeros(len(instance.names), dtype=bool))


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"max_sensitivty": 1}, "limits.max_sensitivty: unknown limit, did you mean 'max_sensitivity'"),
        ({"max_sensitivity": -1}, "limits.max_sensitivity: expected a number >= 0"),
        ({"max_energy_pj_per_token": float("nan")}, "expected a number >= 0"),
        ({"digital_fraction": 1.2}, r"limits.digital_fraction: expected a share within \[0, 1\]"),
    ],
)
def test_faulty_limits_are_refused(limits: dict[str, float], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        read_limits(limits)


def test_limits_may_be_given_ready_made() -> None:
    limits = MappingLimits(max_digital_experts=3)
    assert read_limits(limits) is limits
    assert read_limits(None) == MappingLimits()


def test_equal_visits_make_one_pool_per_layer_and_skewed_ones_one_per_expert() -> None:
    assert [pool.size for pool in pools_of(make(), with_costs=True)] == [5, 5]
    skewed = make(routing=Routing(kind="zipf", zipf_exponent=1.0))
    assert sum(pool.size for pool in pools_of(skewed, with_costs=True)) == 10
    assert len(pools_of(skewed, with_costs=True)) > 2
    assert [pool.size for pool in pools_of(skewed, with_costs=False)] == [5, 5]


@pytest.mark.parametrize("counts", [(5, 0), (2, 3), (0, 5)])
def test_two_options_are_dealt_out_as_well_as_possible(counts: tuple[int, int]) -> None:
    check_dealing(make(), np.array(counts))


@pytest.mark.parametrize("counts", [(2, 2, 1), (1, 0, 4), (1, 1, 3)])
def test_three_options_are_dealt_out_as_well_as_possible(counts: tuple[int, int, int]) -> None:
    check_dealing(make(2), np.array(counts))


def check_dealing(instance: Instance, counts: np.ndarray) -> None:
    pool = pools_of(instance, with_costs=True)[0]
    dealt = distribute(instance, pool, counts)
    assert [int((dealt == option).sum()) for option in pool.options] == counts.tolist()
    score = instance.score[pool.members]
    # brute force over all orders of the seats
    seats = np.repeat(pool.options, counts)
    best = min(sum(score[i, o] for i, o in enumerate(order)) for order in permutations(seats.tolist()))
    assert score[np.arange(pool.size), dealt].sum() == pytest.approx(best)


@pytest.mark.parametrize("composition", ["serial", "overlapped", "pipelined"])
def test_times_by_count_are_those_of_the_placements(composition: str) -> None:
    instance = make(composition=composition)
    pool, fixed = pools_of(instance, with_costs=True)[0], fixed_choice(instance)
    first, second = pool.options.tolist()
    loads = group_loads(instance, instance.steps[0], fixed, fixed >= 0)
    times = times_by_count(instance, instance.steps[0], pool, (first, second), loads)
    stage = int(instance.stage[pool.members[0]])
    for count in range(pool.size + 1):
        choice = np.where(fixed >= 0, fixed, first)
        choice[pool.members[:count]] = second
        whole = group_loads(instance, instance.steps[0], choice, choice >= 0)
        assert times[count] == pytest.approx(stage_ns(instance, whole)[stage])


def test_the_hull_lies_below_all_values() -> None:
    values = np.random.default_rng(0).uniform(0, 1, 40)
    corners = lower_hull(values)
    assert (corners[0], corners[-1]) == (0, 39)
    assert np.all(np.interp(np.arange(40), corners, values[corners]) <= values + 1e-12)
    slopes = np.diff(values[corners]) / np.diff(corners)
    assert np.all(np.diff(slopes) > 0)


def test_working_side_by_side_is_never_slower() -> None:
    serial, overlapped = make(composition="serial"), make(composition="overlapped")
    choice = np.where(fixed_choice(serial) >= 0, fixed_choice(serial), 0)
    choice[pools_of(serial, with_costs=True)[0].members[:2]] = 1
    assert step_ns(overlapped, choice) <= step_ns(serial, choice)


def test_a_limit_in_nats_holds_scores_in_nats_and_refuses_others() -> None:
    limits = MappingLimits(max_loss_increase_nats=0.05, max_sensitivity=0.2)
    held = with_calibrated_limit(limits, "nats")
    assert (held.max_sensitivity, held.max_loss_increase_nats) == (0.05, None)
    with pytest.raises(SpecError, match=r"limits\.max_loss_increase_nats: scores say which experts suffer more"):
        with_calibrated_limit(limits, "1")
    assert with_calibrated_limit(MappingLimits(), "1") == MappingLimits()
