"""Two results side by side: what differs, what adds up, and what is refused."""

import dataclasses
import json

import pytest

from dse import compare, evaluate, load_architecture, load_workload, rule_mapping, score_blocks
from dse.errors import SpecError
from dse.exploration.compare import BOUNDARIES, objections
from dse.exploration.outcome import input_values, outcome_of, outcome_of_document


def evaluated(arch, workload, rule="all_analog"):
    return evaluate(arch, workload, rule_mapping(arch, workload, score_blocks(workload), rule=rule))


@pytest.fixture(scope="module")
def tiny():
    return load_workload("tiny_moe")


@pytest.fixture(scope="module")
def edge(tiny):
    return evaluated(load_architecture("tiny_edge"), tiny)


@pytest.fixture(scope="module")
def slower(tiny):
    return evaluated(load_architecture("tiny_edge", {"memories.lpddr.bandwidth_bytes_per_ns": 4.25}), tiny)


def outcome(evaluation, arch, workload, name=""):
    return outcome_of(evaluation, name, input_values(arch, workload))


def test_the_parts_of_each_table_add_up_to_its_metric(edge, slower):
    frame = compare(edge, slower).set_index("table")
    metrics = frame.loc["metric"].set_index("component")
    for table, metric in [
        ("energy_pj_per_token", "energy_pj_per_token"),
        ("time_ns_per_step", "latency_ns_per_step"),
        ("area_mm2", "area_mm2"),
    ]:
        for side in ("before", "after", "change"):
            assert frame.loc[[table], side].sum() == pytest.approx(metrics.loc[metric, side], rel=1e-9, abs=1e-6)


def test_half_the_bandwidth_doubles_the_time_that_memory_binds(edge, slower):
    frame = compare(edge, slower).set_index(["table", "component"])
    row = frame.loc[("bytes_per_token", "lpddr, KV cache")]
    assert row["change"] == 0
    assert frame.loc[("metric", "latency_ns_per_step"), "change"] > 0


def test_a_result_against_itself_shows_no_change(edge):
    assert (compare(edge, edge)["change"] == 0).all()


def test_inputs_that_differ_are_named_by_path(dse_at):
    dse_at("evaluate", "tiny_edge", "tiny_moe", "-o", "a.json")
    dse_at("evaluate", "tiny_edge", "tiny_moe", "--set", "memories.lpddr.bandwidth_bytes_per_ns=4.25", "-o", "b.json")
    code, out, _ = dse_at("compare", "a.json", "b.json", "--json")
    document = json.loads(out)
    assert code == 0
    assert document["inputs"] == [{"path": "memories.lpddr.bandwidth_bytes_per_ns", "before": 8.5, "after": 4.25}]
    assert document["comparable"]
    code, out, _ = dse_at("compare", "a.json", "b.json")
    assert "memories.lpddr.bandwidth_bytes_per_ns" in out
    assert all(len(line) <= 80 for line in out.splitlines())


def test_architectures_are_compared_on_a_workload(dse_at):
    code, out, _ = dse_at("compare", "server_pcm3d", "dimc_hbm", "--workload", "olmoe")
    assert code == 0
    assert "analog_cores.pcm" in out
    assert "weight memory" in out


def test_points_of_a_run_are_compared_by_number(dse_at):
    dse_at("explore", "tiny_edge", "tiny_moe", "--set", "mapping.digital_fraction=0,0.5", "-o", "run", "-q")
    code, out, _ = dse_at("compare", "run#0", "run#1", "--json")
    assert code == 0
    assert [d["path"] for d in json.loads(out)["inputs"]] == ["mapping.digital_fraction"]
    code, _, err = dse_at("compare", "run#0", "run#99")
    assert code == 2
    assert "run#99: the run has points 0 to 1 (asked for 99)" in err


def test_a_point_whose_parts_a_run_did_not_keep_is_refused_with_those_it_kept(dse_at):
    # by hand: less bandwidth is slower, idles longer and saves no area, so point 0 is off every front
    dse_at(
        "explore", "tiny_edge", "tiny_moe", "--set", "memories.lpddr.bandwidth_bytes_per_ns=10,20", "-o", "run", "-q"
    )
    code, _, err = dse_at("compare", "run#0", "run#1")
    assert code == 2
    assert "run#0: the run keeps the parts of points 1; choose one of them" in err


def test_a_run_without_a_feasible_point_asks_for_the_number_of_one(dse_at):
    sets = ("--set", "scenario.batch=1,8", "--limit", "max_power_mw=0.001")
    dse_at("explore", "tiny_edge", "tiny_moe", *sets, "-o", "run", "-q")
    code, _, err = dse_at("compare", "run", "run")
    assert code == 2
    assert "run: no point of the run is feasible; name one by its number, e.g. run#0" in err


def test_other_energy_boundaries_are_refused_and_explained_without_anyway(dse_at):
    dse_at("evaluate", "tiny_edge", "tiny_moe", "-o", "a.json")
    dse_at("evaluate", "tiny_edge", "tiny_moe", "--set", "energy_boundary=die", "-o", "b.json")
    code, out, err = dse_at("compare", "a.json", "b.json")
    assert (code, out) == (2, "")
    assert "energy boundaries differ" in err
    assert BOUNDARIES["die"] in err
    assert BOUNDARIES["package"] in err
    assert "--anyway" in err
    code, out, _ = dse_at("compare", "a.json", "b.json", "--anyway")
    assert code == 0
    assert "NOTE energy boundaries differ" in out


def test_another_task_is_refused_by_the_paths_that_differ(edge, tiny):
    arch, other = load_architecture("tiny_edge"), load_workload("tiny_moe", ["scenario.batch=2"])
    before, after = outcome(edge, arch, tiny), outcome(evaluated(arch, other), arch, other)
    (problem,) = objections(before, after)
    assert "scenario.batch 8 and 2" in problem.message
    with pytest.raises(SpecError, match="same task"):
        compare(before, after)
    assert not compare(before, after, anyway=True).empty


def test_another_way_of_counting_digital_energy_is_remarked(dse_at):
    code, out, _ = dse_at("compare", "h200_fp8", "dimc_hbm", "--workload", "olmoe")
    assert code == 0
    assert "digital energy is counted by flat power before and per operation after" in " ".join(out.split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("tiny_edge", "h200_fp8"), "give --workload WORKLOAD"),
        (("missing.json", "missing.json"), "missing.json: no such file"),
        (("bad.json", "bad.json"), "bad.json:1:2: not a JSON file"),
        (("other.json", "other.json"), "other.json: not a result of `dse evaluate --json`"),
        (("list.json", "list.json"), "list.json: not a result of `dse evaluate -o`"),
        (("list.json", "bad.json", "--rule", "random"), "--rule: list.json and bad.json are stored results"),
    ],
)
def test_what_is_no_result_is_said_so(dse_at, tmp_path, words, said):
    (tmp_path / "bad.json").write_text("{]")
    (tmp_path / "other.json").write_text('{"schema_version": 1}')
    (tmp_path / "list.json").write_text("[]")
    code, _, err = dse_at("compare", *words)
    assert code == 2
    assert said in err


def test_a_document_compares_as_the_evaluation_it_came_from(edge):
    document = json.loads(json.dumps({**edge.to_dict(), "inputs": {}}, default=float))
    assert (compare(edge, outcome_of_document(document, "file"))["change"] == 0).all()


def test_a_part_that_one_side_lacks_counts_nothing_there(edge):
    one = outcome_of(edge)
    without = dataclasses.replace(one, parts={**one.parts, "area_mm2": {}})
    frame = compare(one, without).set_index("table")
    assert (frame.loc["area_mm2", "after"] == 0).all()
