"""Mapping problems of files: known optima, both formats, every mistake with its place."""

import dataclasses
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dse.errors import Cause, InfeasibleError, SpecError
from dse.mapping import child
from dse.mapping.from_file import problem_from_file
from dse.mapping.model import Mapping
from dse.mapping.solve import solve_problem, solved
from dse.spec.problem_file import load_problem

KNOWN = Path(__file__).parent / "problems.json"
Record = dict[str, Any]


def solve(path: str | Path) -> Mapping:
    problem = problem_from_file(load_problem(path))
    return solved(problem, solve_problem(problem, time_limit_s=30, gap=1e-3, seed=0), gap=1e-3)


def known(name: str) -> Record:
    found: Record = next(i for i in json.loads(KNOWN.read_text())["instances"] if i["id"] == name)
    return found


@pytest.mark.parametrize("name", ["topk_per_layer", "two_analog_groups"])
def test_known_problems_have_their_optimum(name: str) -> None:
    # other programs: HiGHS, CBC and CP-SAT agree
    mapping = solve(f"{KNOWN}#{name}")
    assert mapping.status == "optimal"
    assert mapping.value == pytest.approx(known(name)["expected"]["objective"], rel=1e-6)


def test_a_known_infeasible_problem_names_its_cause() -> None:
    with pytest.raises(InfeasibleError) as caught:
        solve(f"{KNOWN}#infeasible_pinned_digital")
    (cause,) = caught.value.causes
    # by hand: 4 attention blocks of 3 units, npu holds 10
    assert (cause.limit, cause.need, cause.have, cause.short_by) == ("capacity[npu]", 12, 10, 2)


def small(seed: int = 0) -> Record:
    """A problem of format 2: two layers of three experts, each with four options."""
    random = np.random.default_rng(seed)
    groups = [
        {"name": "pcm", "kind": "analog", "count": 2, "capacity_units": 14},
        {"name": "npu", "kind": "digital", "count": 1, "capacity_units": 400},
    ]

    def option(group: str, precision: str, copies: int, units: float) -> Record:
        energy, busy, score = random.uniform(1, 5, 3).round(3).tolist()
        return {
            "group": group, "precision": precision, "copies": copies, "units": units,
            "bytes": 0 if group == "pcm" else units, "energy_pj_per_token": energy, "busy_ns_per_token": busy,
            "sensitivity": score / copies if group == "pcm" else 0.1 * score * (precision == "int4"),
        }  # fmt: skip

    blocks = [
        {
            "name": f"layers.{layer}.experts.{expert}", "layer": layer, "visits_per_token": 0.5,
            "options": [
                option("pcm", "analog", 1, 3), option("pcm", "analog", 2, 6),
                option("npu", "fp16", 1, 100), option("npu", "int4", 1, 25),
            ],
        }
        for layer in range(2)
        for expert in range(3)
    ]  # fmt: skip
    return {"format": 2, "groups": groups, "blocks": blocks, "objective": "sensitivity", "limits": {}}


def values_of(record: Record, chosen: tuple[Record, ...]) -> dict[str, float]:
    """Metrics of one choice of options, in loops."""
    count = {group["name"]: group["count"] for group in record["groups"]}
    load: dict[tuple[int, str], float] = {}
    for block, o in zip(record["blocks"], chosen, strict=True):
        key = (block["layer"], o["group"])
        load[key] = load.get(key, 0.0) + o["busy_ns_per_token"] / count[o["group"]]
    layers = {layer for layer, _ in load}
    return {
        "sensitivity": sum(o["sensitivity"] for o in chosen),
        "energy": sum(o["energy_pj_per_token"] for o in chosen),
        "bottleneck": max(sum(v for (_, g), v in load.items() if g == group) for group in count),
        "layer_latency": sum(max(v for (at, _), v in load.items() if at == layer) for layer in layers),
    }


def is_within(record: Record, chosen: tuple[Record, ...]) -> bool:
    """Whether one choice keeps capacities and limits, in loops."""
    limits, names = record["limits"], [block["name"] for block in record["blocks"]]
    group_of = dict(zip(names, (o["group"] for o in chosen), strict=True))
    for group in record["groups"]:
        own = [o for o in chosen if o["group"] == group["name"]]
        if sum(o["units"] for o in own) > group["capacity_units"] + 1e-9:
            return False
        if len(own) > limits.get("max_blocks", {}).get(group["name"], np.inf):
            return False
        if sum(o["bytes"] for o in own) > limits.get("max_bytes", {}).get(group["name"], np.inf) + 1e-9:
            return False
    values = values_of(record, chosen)
    named = {
        "energy": "max_energy_pj_per_token", "sensitivity": "max_sensitivity", "bottleneck": "max_group_load_ns",
        "layer_latency": "max_layer_latency_ns",
    }  # fmt: skip
    return (
        all(values[metric] <= limits.get(limit, np.inf) * (1 + 1e-9) for metric, limit in named.items())
        and all(group_of[a] == group_of[b] for a, b in limits.get("together", []))
        and all(group_of[a] != group_of[b] for a, b in limits.get("apart", []))
    )


def best_value(record: Record, goal: dict[str, float]) -> float:
    """Brute force over all 4**6 choices."""
    choices = itertools.product(*(block["options"] for block in record["blocks"]))
    values = (values_of(record, chosen) for chosen in choices if is_within(record, chosen))
    return min(sum(weight * own[name] for name, weight in goal.items()) for own in values)


LIMITS: list[Record] = [
    {},
    {"max_bytes": {"npu": 200}},
    {"max_blocks": {"npu": 2, "pcm": 4}},
    {"together": [["layers.0.experts.0", "layers.1.experts.0"], ["layers.0.experts.1", "layers.1.experts.2"]]},
    {"apart": [["layers.0.experts.0", "layers.0.experts.1"]], "max_blocks": {"npu": 2}},
    {"max_layer_latency_ns": 9.0},
    {"max_group_load_ns": 9.0, "max_energy_pj_per_token": 17.0},
]


@pytest.mark.parametrize("objective", ["sensitivity", "energy", "bottleneck", "layer_latency"])
@pytest.mark.parametrize("case", range(len(LIMITS)))
def test_options_limits_and_objectives_equal_the_best_of_all_choices(objective: str, case: int, tmp_path: Path) -> None:
    record = small(case) | {"objective": objective, "limits": LIMITS[case]}
    (tmp_path / "p.json").write_text(json.dumps(record))
    try:
        best = best_value(record, {objective: 1.0})
    except ValueError:
        with pytest.raises(InfeasibleError):
            solve(tmp_path / "p.json")
        return
    mapping = solve(tmp_path / "p.json")
    assert mapping.value == pytest.approx(best, rel=1e-7)
    assert mapping.bound == pytest.approx(best, rel=1e-6)


def test_a_weighted_objective_equals_the_best_of_all_choices(tmp_path: Path) -> None:
    weights = {"sensitivity": 2.0, "layer_latency": 0.5, "energy": 0.25}
    record = small(3) | {"objective": "weighted", "weights": weights}
    (tmp_path / "p.json").write_text(json.dumps(record))
    assert solve(tmp_path / "p.json").value == pytest.approx(best_value(record, weights), rel=1e-7)


def test_a_lexicographic_objective_keeps_the_first_within_its_slack(tmp_path: Path) -> None:
    record = small(4) | {"objective": "lexicographic", "order": ["sensitivity", "energy"], "slack": 0.2}
    (tmp_path / "p.json").write_text(json.dumps(record))
    mapping = solve(tmp_path / "p.json")
    first = best_value(record, {"sensitivity": 1.0})
    assert mapping.metrics["sensitivity"] <= 1.2 * first * (1 + 1e-6)
    record["limits"] = {"max_sensitivity": 1.2 * first}
    assert mapping.value == pytest.approx(best_value(record, {"energy": 1.0}), rel=1e-6)


def test_links_between_dies_cost_what_their_visits_cost(tmp_path: Path) -> None:
    record = small(5)
    record["objective"] = "energy"
    record["limits"] = {
        "dies": [
            {"name": "left", "groups": ["pcm"], "layers": [0], "link": {"right": {"energy_pj_per_visit": 40.0}}},
            {"name": "right", "groups": ["npu"], "layers": [1], "link": {"left": {"energy_pj_per_visit": 40.0}}},
        ]
    }
    (tmp_path / "p.json").write_text(json.dumps(record))
    mapping = solve(tmp_path / "p.json")
    # by hand: a crossing costs 0.5 visits · 40 pJ, more than any option: every layer stays on its own die
    assert {o.group for name, o in mapping.placement.items() if "layers.1" in name} == {"npu"}
    plain = record | {"limits": {}}
    for block in plain["blocks"]:
        for o in block["options"]:
            o["energy_pj_per_token"] += 20.0 * ((o["group"] == "npu") != (block["layer"] == 1))
    assert mapping.value == pytest.approx(best_value(plain, {"energy": 1.0}), rel=1e-7)


def broken(tmp_path: Path, change: Any) -> str:
    record = dict(known("two_analog_groups"), format=1)
    change(record)
    path = tmp_path / "p.json"
    path.write_text(json.dumps(record, indent=1))
    with pytest.raises(SpecError) as caught:
        problem_from_file(load_problem(path))
    return str(caught.value)


def first(record: Record) -> Record:
    block: Record = record["blocks"][0]
    return block


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r.update(format=3), "format: mapping problems of format 1 and 2 are read (got 3)"),
        (lambda r: first(r)["units"].update(pcm=-1), "layers.0.experts.0.units.pcm: must be at least 0 (got -1)"),
        (lambda r: first(r)["energy_pj_per_token"].update(npu=float("nan")), "layers.0.experts.0.energy_pj_per_token"),
        (lambda r: first(r)["units"].pop("npu"), "gives no number for group 'npu'"),
        (lambda r: first(r).update(allowed_groups=["npx"]), "unknown group 'npx', did you mean 'npu'"),
        (lambda r: first(r).pop("sensitivity"), "has no sensitivity, which the objective or a limit counts"),
        (lambda r: first(r).update(name="layers.0.experts.1"), "stands there twice"),
        (lambda r: r.update(objective="layer_latency", weights={}), "belongs to format 2"),
        (lambda r: r.update(limits={"max_sensitivity": -3}), "limits.max_sensitivity: must be at least 0 (got -3)"),
        (lambda r: r.update(limits={"max_sensitivty": 3}), "did you mean 'max_sensitivity'"),
        (lambda r: r.update(weights={"energie": 1.0}), "weights.energie: unknown metric, did you mean 'energy'"),
        (lambda r: r.update(format=2, limits={"max_blocks": {"npo": 1}}), "limits.max_blocks.npo: unknown name"),
        (lambda r: r.update(format=2, limits={"together": [["a", "b"]]}), "no block of that name"),
        (lambda r: r.pop("groups"), "groups: missing, but required"),
    ],
)
def test_every_mistake_is_named_with_its_place(change: Any, message: str, tmp_path: Path) -> None:
    assert message in broken(tmp_path, change)


PAIR = ["layers.0.experts.0", "layers.0.experts.1"]


@pytest.mark.parametrize(
    ("change", "key", "message"),
    [
        (lambda r: r.update(weights={"foo": 1.0}), '"foo"', "unknown metric"),
        (lambda r: r.update(limits={"max_blocks": {"gpu": 1}}), '"gpu"', "unknown name"),
        (lambda r: r.update(limits={"together": [["a", "b"]]}), '"together"', "no block of that name"),
        (lambda r: r.update(limits={"apart": [["a"]]}), "[", "limits.apart[0]: needs at least 2 entries"),
        (
            lambda r: r.update(limits={"together": [PAIR], "apart": [PAIR]}),
            '"limits"',
            "asked to be together and apart",
        ),
        (lambda r: r.update(limits={"dies": [{"name": "d", "groups": ["npu"]}] * 2}), "{", "die d stands on two dies"),
        (lambda r: r.update(limits={"max_sensitivity": 1e40}), '"max_sensitivity"', "must be at most 1e+30"),
    ],
)
def test_names_and_limits_that_do_not_fit_have_their_place(change: Any, key: str, message: str, tmp_path: Path) -> None:
    text = broken(tmp_path, lambda r: (r.update(format=2, limits={}), change(r)))
    line = (tmp_path / "p.json").read_text().splitlines()[int(text.split("p.json:")[1].split(":")[0]) - 1]
    assert message in text
    assert line.strip().startswith(key)


@pytest.mark.parametrize("text", ["[" * 5000 + "]" * 5000, '{"format": 1' + "0" * 5000 + "}"])
def test_a_file_that_python_cannot_hold_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(text)
    with pytest.raises(SpecError, match="expected a mapping problem"):
        load_problem(tmp_path / "p.json")


@pytest.mark.parametrize("most", [0, 2])
def test_experts_outside_the_layers_count_in_no_layer(most: int, tmp_path: Path) -> None:
    record = small()
    for block in record["blocks"]:
        del block["layer"]
    record |= {"objective": "sensitivity", "limits": {"max_digital_experts_per_layer": most}}
    (tmp_path / "p.json").write_text(json.dumps(record))
    # brute force over all options, without the limit
    assert solve(tmp_path / "p.json").value == pytest.approx(best_value(small() | {"limits": {}}, {"sensitivity": 1.0}))


def test_pairs_that_no_placement_keeps_are_named(tmp_path: Path) -> None:
    record = dict(
        known("two_analog_groups"), format=2, limits={"together": [PAIR, ["layers.1.experts.0", "layers.1.experts.1"]]}
    )
    record["blocks"] = json.loads(json.dumps(record["blocks"]))
    for name, group in zip(PAIR, ("pcm", "npu"), strict=True):
        next(block for block in record["blocks"] if block["name"] == name)["allowed_groups"] = [group]
    (tmp_path / "p.json").write_text(json.dumps(record))
    with pytest.raises(InfeasibleError) as caught:
        solve(tmp_path / "p.json")
    (cause,) = caught.value.causes
    # by hand: the first pair is pinned to two groups, the second one is free
    assert (cause.limit, cause.need, cause.have) == ("together", 1, 0)
    assert cause.blocks == "the pair (layers.0.experts.0, layers.0.experts.1)"


def test_mistakes_stand_with_line_and_column(tmp_path: Path) -> None:
    text = broken(tmp_path, lambda r: first(r)["units"].update(pcm=-1))
    line = (tmp_path / "p.json").read_text().splitlines().index('    "pcm": -1,') + 1
    assert f"p.json:{line}:" in text


def test_pairs_that_are_together_and_apart_are_refused(tmp_path: Path) -> None:
    pair = [["layers.0.experts.0", "layers.0.experts.1"]]
    change = {"format": 2, "limits": {"together": pair, "apart": pair}}
    assert "are asked to be together and apart" in broken(tmp_path, lambda r: r.update(change))


def test_a_file_of_several_problems_asks_which() -> None:
    with pytest.raises(SpecError, match="expected FILE#ID with one of its problems"):
        load_problem(KNOWN)


def test_objective_and_limits_can_be_recomputed_from_the_mapping_alone(tmp_path: Path) -> None:
    record = small(6) | {"objective": "energy", "limits": {"max_blocks": {"npu": 3}, "max_layer_latency_ns": 20.0}}
    (tmp_path / "p.json").write_text(json.dumps(record))
    mapping = solve(tmp_path / "p.json")
    mapping.save(tmp_path / "mapping.json")
    saved = json.loads((tmp_path / "mapping.json").read_text())
    blocks, stages = saved["blocks"], saved["stages"]
    assert sum(blocks["energy_pj_per_token"]) == pytest.approx(saved["value"])
    assert sum(blocks["sensitivity"]) == pytest.approx(saved["metrics"]["sensitivity"])
    slowest = {
        layer: max(t for at, t in zip(stages["layer"], stages["time_ns"], strict=True) if at == layer)
        for layer in set(stages["layer"])
    }
    assert sum(slowest.values()) == pytest.approx(saved["metrics"]["layer_latency_ns"])
    needs = {check["limit"]: check["need"] for check in saved["limits"]}
    assert needs["max_blocks[npu]"] == sum(o["group"] == "npu" for o in saved["placement"].values())
    assert dataclasses.asdict(mapping)["value"] == saved["value"]


def test_limits_that_only_parts_of_blocks_keep_are_called_so(tmp_path: Path) -> None:
    # by hand: three equal experts, energy 1 analog and 3 digital, busy 3 analog and 1 digital (all on one core each):
    # energy <= 6 allows 1.5 digital experts, load <= 4.6 needs at least 1.47 of them: 1 gives 6, 2 take 7 pJ
    groups = [{"name": "pcm", "kind": "analog"}, {"name": "npu", "kind": "digital"}]
    blocks = [
        {
            "name": f"layers.0.experts.{i}", "layer": 0, "sensitivity": 1.0,
            "energy_pj_per_token": {"pcm": 1.0, "npu": 3.0}, "busy_ns_per_token": {"pcm": 3.0, "npu": 1.0},
        }
        for i in range(3)
    ]  # fmt: skip
    record = {
        "format": 1, "groups": groups, "blocks": blocks, "objective": "sensitivity",
        "limits": {"max_energy_pj_per_token": 6.0, "max_group_load_ns": 4.6},
    }  # fmt: skip
    (tmp_path / "p.json").write_text(json.dumps(record))
    with pytest.raises(InfeasibleError, match="parts of blocks would keep all limits") as caught:
        solve(tmp_path / "p.json")
    found = {cause.limit: cause for cause in caught.value.causes}
    assert found["max_energy_pj_per_token"].need == pytest.approx(7.0)
    assert found["max_group_load_ns"].need == pytest.approx(6.0)


@pytest.mark.parametrize("objective", ["sensitivity", "bottleneck"])
def test_a_group_without_capacity_holds_any_number_of_blocks(objective: str, tmp_path: Path) -> None:
    record = small()
    record["objective"] = objective
    wide = json.loads(json.dumps(record))
    del record["groups"][0]["capacity_units"]
    wide["groups"][0]["capacity_units"] = 1e9
    files = [tmp_path / "free.json", tmp_path / "wide.json"]
    for file, one in zip(files, (record, wide), strict=True):
        file.write_text(json.dumps(one))
    free, bounded = (solve(file) for file in files)
    # law: no capacity is one that never binds
    assert free.value == pytest.approx(bounded.value, rel=1e-9)
    assert set(free.units_available) == {"npu"}
    assert "Infinity" not in json.dumps(free.to_dict())


def infeasible_pair(limits: Record, tmp_path: Path, **npu: float) -> list[Cause]:
    """Causes of a problem of two layers with two experts each: analog 1 pJ and 3 ns, digital 3 pJ and 1 ns."""
    groups = [{"name": "pcm", "kind": "analog"}, {"name": "npu", "kind": "digital"} | npu]
    blocks = [
        {
            "name": f"layers.{i // 2}.experts.{i % 2}", "layer": i // 2, "sensitivity": 1.0,
            "units": {"pcm": 1, "npu": 1}, "energy_pj_per_token": {"pcm": 1.0, "npu": 3.0},
            "busy_ns_per_token": {"pcm": 3.0, "npu": 1.0},
        }
        for i in range(4)
    ]  # fmt: skip
    blocks[0]["allowed_groups"] = ["npu"]
    record = {"format": 1, "groups": groups, "blocks": blocks, "objective": "energy", "limits": limits}
    (tmp_path / "p.json").write_text(json.dumps(record))
    with pytest.raises(InfeasibleError) as caught:
        solve(tmp_path / "p.json")
    return list(caught.value.causes)


def test_two_contradictions_are_told_from_one(tmp_path: Path) -> None:
    # by hand: least energy 3 + 3·1 = 6 pJ; least load 3 ns (one analog, three digital): each limit fails by itself
    causes = infeasible_pair({"max_energy_pj_per_token": 5.0, "max_group_load_ns": 2.0}, tmp_path)
    assert len(causes) == 1
    assert causes[0].least_relaxation.endswith("together would do")
    for name in ("max_energy_pj_per_token", "max_group_load_ns"):
        assert name in causes[0].least_relaxation


def test_every_limit_of_a_contradiction_is_named(tmp_path: Path) -> None:
    # by hand: load <= 3 ns needs three digital experts, energy <= 8 pJ allows two, npu holds three
    limits = {"max_energy_pj_per_token": 8.0, "max_group_load_ns": 3.0}
    causes = {cause.limit: cause for cause in infeasible_pair(limits, tmp_path, capacity_units=3)}
    assert set(causes) == set(limits)
    assert causes["max_energy_pj_per_token"].need == pytest.approx(10.0)  # 3·3 + 1 pJ
    assert causes["max_group_load_ns"].need == pytest.approx(6.0)  # two analog experts


def test_the_remedy_of_a_pinned_block_makes_room_for_all(tmp_path: Path) -> None:
    # by hand: the pinned expert needs 1 unit of npu; sensitivity 0 wants all four there
    (cause,) = infeasible_pair({"max_sensitivity": 0.0}, tmp_path, capacity_units=0.5)
    assert (cause.limit, cause.need) == ("capacity[npu]", 1)
    assert "for all blocks capacity[npu] 4 units alone would do" in cause.least_relaxation


def test_a_digital_budget_of_layers_says_the_least_that_would_do(tmp_path: Path) -> None:
    # by hand: sensitivity <= 2 needs two digital experts, one of each layer does
    causes = infeasible_pair({"max_sensitivity": 1.0, "max_digital_experts_per_layer": 1}, tmp_path)
    found = {cause.limit: cause for cause in causes}
    assert found["max_digital_experts_per_layer"].need == 2  # three digital experts in two layers
    assert found["max_sensitivity"].need == pytest.approx(2.0)


def test_a_solver_that_is_ended_leaves_its_last_solution(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    record = small(6) | {"objective": "layer_latency", "limits": {"max_sensitivity": 8.0}}
    (tmp_path / "p.json").write_text(json.dumps(record))
    whole, run = solve(tmp_path / "p.json"), child.run_until

    def without_last_line(command: list[str], deadline_s: float) -> tuple[list[str], str]:
        lines, errors = run(command, deadline_s)
        return lines[:-1], errors

    monkeypatch.setattr(child, "run_until", without_last_line)
    cut = solve(tmp_path / "p.json")
    assert cut.solver.startswith("HiGHS")
    # by hand: the last line only says how the search ended
    assert cut.value == pytest.approx(whole.value)
    assert cut.bound <= whole.value * (1 + 1e-9)


def test_options_without_a_precision_are_named_after_their_group(tmp_path: Path) -> None:
    record = small()
    for block in record["blocks"]:
        block["options"] = [{k: v for k, v in o.items() if k != "precision"} for o in block["options"][:3]]
    (tmp_path / "p.json").write_text(json.dumps(record))
    options = problem_from_file(load_problem(str(tmp_path / "p.json"))).instance.options
    assert {(o.group, o.precision) for o in options} == {("pcm", "analog"), ("npu", "digital")}
