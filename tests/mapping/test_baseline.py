"""Rules: how many experts they make digital and which, where blocks go, and what happens when they do not fit."""

import re

import numpy as np
import pytest

from dse.errors import InfeasibleError, SpecError
from dse.mapping.baseline import SOURCES, Rule, rule_mapping
from dse.mapping.model import Mapping
from dse.sensitivity.score import score_blocks
from dse.sensitivity.share import sensitivity_share
from dse.spec.architecture import Architecture
from dse.spec.load import load_architecture
from dse.workload.build import Workload, load_workload

from .toy import make_arch, make_costs, make_workload

OTHER = "choose a rule that leaves experts to"


def digital_experts(mapping: Mapping, layer: int) -> set[int]:
    prefix = f"layers.{layer}.experts."
    return {int(name.removeprefix(prefix)) for name in mapping.digital_blocks() if name.startswith(prefix)}


@pytest.mark.parametrize("fraction", [0.0, 0.2, 0.25, 0.5, 0.9, 1.0])
def test_the_published_rule_takes_the_most_sensitive_of_each_layer(arch: Architecture, fraction: float) -> None:
    workload = make_workload(3, 8)
    scores = score_blocks(workload, "random")
    mapping = rule_mapping(arch, workload, scores, digital_fraction=fraction, costs=make_costs(arch, workload))
    for layer in range(3):
        own = scores[scores["layer"] == layer]
        # by hand: sort a layer by score, take round(fraction · 8)
        expected = own.sort_values("score", ascending=False)["expert"][: round(fraction * 8)]
        assert digital_experts(mapping, layer) == set(expected)
    assert mapping.status == "rule"
    assert mapping.value == pytest.approx(sensitivity_share(scores, mapping) * scores["score"].sum())


def test_equal_scores_are_taken_in_the_order_of_names(arch: Architecture) -> None:
    workload = make_workload(1, 12)
    scores = score_blocks(workload, "random").assign(score=1.0)
    mapping = rule_mapping(arch, workload, scores, digital_fraction=0.25, costs=make_costs(arch, workload))
    assert digital_experts(mapping, 0) == {0, 1, 10}  # as texts: experts.0, experts.1, experts.10


@pytest.mark.parametrize("rule", sorted(SOURCES))
def test_every_rule_makes_the_stated_share_digital(arch: Architecture, rule: Rule) -> None:
    workload = make_workload(4, 8)
    scores, costs = score_blocks(workload, "random"), make_costs(arch, workload)
    mapping = rule_mapping(arch, workload, scores, rule=rule, digital_fraction=0.25, costs=costs, router_norms=scores)
    count = sum(len(digital_experts(mapping, layer)) for layer in range(4))
    # by hand: a quarter of 32; tiles have room for all experts; both technologies fill up evenly
    assert count == {"all_digital": 32, "all_analog": 0, "in_order": 0, "utilisation": 16}.get(rule, 8)
    assert {mapping.placement[f"layers.{layer}.attention"].group for layer in range(4)} == {"d0"}


def test_rules_differ_as_their_names_say(arch: Architecture) -> None:
    workload = make_workload(4, 8)
    scores, costs = score_blocks(workload, "random"), make_costs(arch, workload)
    value = {
        rule: rule_mapping(arch, workload, scores, rule=rule, digital_fraction=0.25, costs=costs).value
        for rule in SOURCES
        if rule != "router_norm"
    }
    with pytest.raises(SpecError, match="router_norm sorts by router_norms"):
        rule_mapping(arch, workload, scores, rule="router_norm", costs=costs)
    assert value["all_digital"] == 0
    assert value["top_k_global"] <= value["top_k_per_layer"] < value["random"] < value["inverse"] < value["all_analog"]
    assert value["top_k_global"] < value["whole_layer"]


def test_the_random_rule_repeats_with_its_seed(arch: Architecture) -> None:
    workload = make_workload(2, 8)
    scores, costs = score_blocks(workload, "random"), make_costs(arch, workload)
    first, second, other = (
        rule_mapping(
            arch, workload, scores, rule="random", digital_fraction=0.5, seed=seed, costs=costs
        ).digital_blocks()
        for seed in (1, 1, 2)
    )
    assert first == second != other


def test_analog_groups_fill_in_the_order_of_their_energy() -> None:
    arch, workload = make_arch(2, 1), make_workload(1, 6)
    costs = make_costs(arch, workload, 1, capacity={"a0": 4.0, "a1": 4.0, "m0": 100.0})
    expert = [c.kind for c in costs.classes].index("expert")
    energy = [costs.of(expert, o).energy_pj_per_visit for o in (0, 1)]
    cheap, dear = ("a0", "a1") if energy[0] < energy[1] else ("a1", "a0")
    scores = score_blocks(workload, "random")
    mapping = rule_mapping(arch, workload, scores, digital_fraction=0.5, costs=costs)
    assert mapping.units_used[cheap] == 4.0
    assert mapping.units_used[dear] == 2.0


def test_digital_blocks_go_to_the_first_unit_with_room() -> None:
    arch, workload = make_arch(1, 2), make_workload(1, 6)
    costs = make_costs(arch, workload, capacity={"m0": 3 + 4.0, "m1": 100.0})
    mapping = rule_mapping(arch, workload, score_blocks(workload, "random"), rule="all_digital", costs=costs)
    # by hand: attention, router, head take 3 units; two experts of 2 fit beside them
    assert mapping.units_used == {"a0": 0.0, "d0": 7.0, "d1": 8.0}


def test_pins_go_before_the_rule(arch: Architecture, workload: Workload) -> None:
    scores, costs = score_blocks(workload, "random"), make_costs(arch, workload)
    pins = {"layers.0.experts.0": "digital", "layers.1.experts.*": "analog"}
    digital = rule_mapping(arch, workload, scores, rule="all_digital", pins=pins, costs=costs)
    analog = rule_mapping(arch, workload, scores, rule="all_analog", pins=pins, costs=costs)
    assert digital_experts(digital, 1) == set()
    assert digital_experts(analog, 0) == {0}


@pytest.mark.parametrize(
    ("rule", "capacity", "expected"),
    [
        (
            "all_analog",
            {"a0": 8.0},
            ("capacity[a0]", 12.0, 8.0, f"add 4 crossbars, or {OTHER} digital groups"),
        ),
        (
            "all_digital",
            {"m0": 9.0},
            ("capacity[m0]", 17.0, 9.0, f"add 8 bytes, or {OTHER} analog groups"),
        ),
    ],
)
def test_what_does_not_fit_under_a_rule_is_infeasible_with_numbers(
    rule: Rule, capacity: dict[str, float], expected: tuple[str, float, float, str]
) -> None:
    arch, workload = make_arch(), make_workload()
    costs = make_costs(arch, workload, capacity=capacity)
    with pytest.raises(InfeasibleError) as caught:
        rule_mapping(arch, workload, score_blocks(workload, "random"), rule=rule, costs=costs)
    (cause,) = caught.value.causes
    assert (cause.limit, cause.need, cause.have, cause.least_relaxation) == expected


@pytest.mark.parametrize(
    ("fraction", "capacity", "advice"),
    [(0.0, {"a0": 8.0}, "or raise digital_fraction"), (1.0, {"m0": 9.0}, "or lower digital_fraction")],
)
def test_a_rule_with_a_digital_fraction_advises_another_one(
    fraction: float, capacity: dict[str, float], advice: str
) -> None:
    arch, workload = make_arch(), make_workload()
    costs, scores = make_costs(arch, workload, capacity=capacity), score_blocks(workload, "random")
    with pytest.raises(InfeasibleError) as caught:
        rule_mapping(arch, workload, scores, digital_fraction=fraction, costs=costs)
    assert caught.value.causes[0].least_relaxation.endswith(advice)


def test_without_analog_cores_a_rule_advises_bytes_and_narrower_weights_only() -> None:
    arch, workload = load_architecture("h200_fp8"), load_workload("kimi_k2")
    with pytest.raises(InfeasibleError) as caught:
        rule_mapping(arch, workload, score_blocks(workload), rule="all_digital")
    (cause,) = caught.value.causes
    # by hand: the file offers fp16, fp8 and int4, the workload asks for the format that is in use
    assert re.fullmatch(r"add \d+ bytes(, or store weights as .*)?", cause.least_relaxation)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rule": "top_k"}, "unknown rule 'top_k', did you mean 'top_k_"),
        ({"digital_fraction": 1.5}, r"digital_fraction must be within \[0, 1\]"),
        ({"digital_fraction": float("nan")}, "digital_fraction must be within"),
    ],
)
def test_faulty_arguments_are_refused(
    arch: Architecture, workload: Workload, changes: dict[str, float], message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        rule_mapping(arch, workload, score_blocks(workload, "random"), costs=make_costs(arch, workload), **changes)


def test_without_analog_cores_every_rule_is_all_digital(workload: Workload) -> None:
    arch = make_arch(n_analog=0)
    mapping = rule_mapping(arch, workload, score_blocks(workload, "random"), costs=make_costs(arch, workload))
    assert len(mapping.digital_blocks()) == len(workload.blocks) - 1
    assert mapping.value == 0


def test_permuting_scores_permutes_the_mapping(arch: Architecture) -> None:
    workload = make_workload(1, 8)
    scores, costs = score_blocks(workload, "random"), make_costs(arch, workload)
    order = np.random.default_rng(0).permutation(8)
    permuted = scores.assign(score=scores["score"].to_numpy()[order])
    first = digital_experts(rule_mapping(arch, workload, scores, digital_fraction=0.5, costs=costs), 0)
    second = digital_experts(rule_mapping(arch, workload, permuted, digital_fraction=0.5, costs=costs), 0)
    assert {int(order[expert]) for expert in second} == first
