"""Every way in which no mapping exists, and what the report says about it."""

import numpy as np
import pytest

from dse.errors import InfeasibleError
from dse.mapping.solve import solve_mapping
from dse.sensitivity.options import option_scores
from dse.sensitivity.score import score_blocks
from dse.spec.architecture import Architecture
from dse.workload.build import Workload

from .toy import make_arch, make_costs, make_workload


def causes_of(
    arch: Architecture,
    workload: Workload,
    *,
    capacity: dict[str, float] | None = None,
    limits: dict[str, float] | None = None,
    pins: dict[str, str] | None = None,
    unlisted: str = "",
) -> dict[str, tuple[float, float, str]]:
    """Limit → need, have, least relaxation."""
    costs = make_costs(arch, workload, capacity=capacity)
    options = option_scores(score_blocks(workload, "random"), workload, arch)
    options = options[~((options["block"] == unlisted) & (options["group"] != "d0"))]
    with pytest.raises(InfeasibleError) as caught:
        solve_mapping(costs, options, workload, arch, limits=limits, pins=pins)
    return {cause.limit: (cause.need, cause.have, cause.least_relaxation) for cause in caught.value.causes}


def test_a_block_without_options(arch: Architecture, workload: Workload) -> None:
    pins, block = {"layers.0.experts.1": "a0"}, "layers.0.experts.1"
    causes = causes_of(arch, workload, pins=pins, unlisted=block)
    assert causes == {"options": (1.0, 0.0, "loosen their pins, or list more of their options with scores")}


def test_pinned_blocks_over_capacity(arch: Architecture, workload: Workload) -> None:
    causes = causes_of(arch, workload, capacity={"m0": 3.0})
    # by hand: 2 attention + 2 routers + 1 head of one byte each
    assert causes == {"capacity[m0]": (5.0, 3.0, "add 2 bytes to m0, or pin fewer blocks there")}


def test_experts_over_total_capacity(arch: Architecture, workload: Workload) -> None:
    causes = causes_of(arch, workload, capacity={"m0": 5.0 + 3.0, "a0": 4.0})
    # by hand: 6 experts of 2 units; 1 fits into the 3 bytes left, 2 into the 4 crossbars
    assert causes == {"total capacity": (6.0, 3.0, "add 6 crossbars to a0 or 5 bytes to m0")}


def test_experts_over_capacity_of_a_pin(arch: Architecture, workload: Workload) -> None:
    causes = causes_of(arch, workload, capacity={"a0": 7.0}, pins={"expert": "analog"})
    assert causes["capacity[a0]"][:2] == (12.0, 7.0)


@pytest.mark.parametrize(
    ("limits", "need", "have"),
    [
        ({"max_digital_experts": 2.0}, 3.0, 2.0),
        ({"digital_fraction": 1 / 3}, 3.0, 2.0),
        ({"max_digital_experts_per_layer": 2.0}, 3.0, 2.0),
    ],
)
def test_budgets_below_the_pinned_experts(
    arch: Architecture, workload: Workload, limits: dict[str, float], need: float, have: float
) -> None:
    causes = causes_of(arch, workload, limits=limits, pins={"layers.0.experts.*": "digital"})
    assert causes[next(iter(limits))][:2] == (need, have)


def test_a_digital_fraction_above_what_pins_allow(arch: Architecture, workload: Workload) -> None:
    causes = causes_of(arch, workload, limits={"digital_fraction": 1.0}, pins={"layers.0.experts.*": "analog"})
    assert causes["digital_fraction"][:2] == (6.0, 3.0)


def test_a_budget_below_what_capacity_needs(arch: Architecture, workload: Workload) -> None:
    causes = causes_of(arch, workload, capacity={"a0": 4.0}, limits={"max_digital_experts": 3.0})
    # by hand: 2 experts fit on a0, so 4 must be digital; one more expert is less than half a group more
    need, have, fix = causes["max_digital_experts"]
    assert (need, have) == pytest.approx((4.0, 3.0))
    assert fix.startswith("max_digital_experts 4 experts")


def test_a_capacity_below_what_a_budget_leaves(arch: Architecture, workload: Workload) -> None:
    causes = causes_of(arch, workload, capacity={"a0": 8.0}, limits={"max_digital_experts": 1.0})
    # by hand: 5 experts of 2 crossbars must be analog; a quarter more crossbars is less than twice the budget
    need, have, fix = causes["capacity[a0]"]
    assert (need, have) == pytest.approx((10.0, 8.0))
    assert fix.startswith("capacity[a0] 10 crossbars")


@pytest.mark.parametrize("limit", ["max_sensitivity", "max_sensitivity_share"])
def test_a_sensitivity_limit_below_the_least_there_is(arch: Architecture, workload: Workload, limit: str) -> None:
    score = np.sort(score_blocks(workload, "random")["score"].to_numpy())
    causes = causes_of(arch, workload, capacity={"m0": 5 + 2 * 2.0}, limits={limit: 0.01})
    least = score[:4].sum()  # by hand: only the two most sensitive of six experts fit into m0
    need, have, fix = causes[limit]
    assert need == pytest.approx(least if limit == "max_sensitivity" else least / score.sum(), rel=1e-5)
    assert have == pytest.approx(0.01)
    assert fix.startswith(f"{limit} ")
    assert float(fix.split()[1].rstrip(",")) >= need


def test_an_energy_limit_below_the_least_there_is(arch: Architecture, workload: Workload) -> None:
    costs = make_costs(arch, workload)
    options = option_scores(score_blocks(workload, "random"), workload, arch)
    least = solve_mapping(costs, options, workload, arch, objective="energy", gap=0.0).value
    causes = causes_of(arch, workload, limits={"max_energy_pj_per_token": 0.5 * least})
    need, have, _ = causes["max_energy_pj_per_token"]
    assert (need, have) == pytest.approx((least, 0.5 * least), rel=1e-4)


def test_each_least_relaxation_is_enough_alone(arch: Architecture) -> None:
    workload = make_workload(2, 6)
    limits = {"max_sensitivity_share": 0.2, "max_digital_experts_per_layer": 2.0, "max_energy_pj_per_token": 1e9}
    causes = causes_of(arch, workload, limits=limits)
    # the limit on energy is far away: it is no part of the contradiction
    assert set(causes) == {"max_sensitivity_share", "max_digital_experts_per_layer"}
    costs, options = make_costs(arch, workload), option_scores(score_blocks(workload, "random"), workload, arch)
    for name, (_, _, fix) in causes.items():
        relaxed = limits | {name: float(fix.split()[1])}
        assert solve_mapping(costs, options, workload, arch, limits=relaxed).status in ("optimal", "within_gap")


def test_contradicting_budgets_are_named_together(arch: Architecture, workload: Workload) -> None:
    causes = causes_of(arch, workload, limits={"digital_fraction": 1.0, "max_digital_experts_per_layer": 1.0})
    # by hand: 6 experts in 2 layers; all digital takes 3 a layer, 1 a layer leaves 2 of 6 digital
    assert causes["max_digital_experts_per_layer"][:2] == (3.0, 1.0)
    assert causes["digital_fraction"] == (6.0, 2.0, "digital_fraction 0.3333 (2 experts) alone would do")


def test_an_architecture_without_analog_cores_names_the_budget(workload: Workload) -> None:
    causes = causes_of(make_arch(n_analog=0), workload, limits={"max_digital_experts": 1.0})
    assert causes["max_digital_experts"][:2] == (6.0, 1.0)
