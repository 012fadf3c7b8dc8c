import json

import pytest

from dse.commands.options import EXPLAINED
from dse.evaluation.explain import METRICS
from dse.evaluation.tree import node_of_document

DESIGN = ("server_pcm3d", "olmoe", "--rule", "top_k_per_layer", "--digital-fraction", "0.25")
TINY = ("tiny_edge", "tiny_moe")


@pytest.fixture
def result(dse_at):
    code, out, _ = dse_at("evaluate", *DESIGN, "--json", "-o", "result.json")
    assert code == 0
    return json.loads(out)


def test_a_stored_result_is_explained(dse_at, result):
    for metric in (
        "energy_pj_per_token",
        "latency_ns_per_step",
        "tokens_per_s",
        "tokens_per_j",
        "power_mw",
        "area_mm2",
    ):
        code, out, _ = dse_at("explain", "result.json", metric, "--json")
        document = json.loads(out)
        assert code == 0
        assert document["tree"]["value"] == pytest.approx(result[metric], rel=1e-9)
        for node in node_of_document(document["tree"]).nodes():
            assert node.recomputed == pytest.approx(node.value, rel=1e-9)


def test_the_help_lists_every_metric():
    assert EXPLAINED.split(", ") == list(METRICS)


def test_the_text_names_value_file_line_and_source_in_80_columns(dse_at, result):
    code, out, _ = dse_at("explain", "result.json", "energy_pj_per_token")
    assert code == 0
    assert "× 3.90 pJ/bit" in out
    assert "arch_specs/server_pcm3d.yaml:" in out
    assert "O'Connor" in " ".join(out.split())
    assert max(map(len, out.splitlines())) <= 80


def test_an_architecture_is_explained_as_it_is_evaluated(dse_at, result):
    arch, workload, *rest = DESIGN
    code, out, _ = dse_at("explain", arch, "energy_pj_per_token", "--workload", workload, *rest, "--json")
    assert code == 0
    assert json.loads(out)["tree"]["value"] == pytest.approx(result["energy_pj_per_token"], rel=1e-12)


def test_a_point_of_a_run_is_explained(dse_at):
    axes = ["mapping.digital_fraction=0,0.5", "scenario.batch=8,32", "analog_cores.pcm.cost.mvm.energy_pj=5000,10000"]
    sets = [word for axis in axes for word in ("--set", axis)]
    _, out, _ = dse_at("explore", "server_pcm3d_lumped", "olmoe", *sets, "-o", "run", "-q", "--json")
    rows = json.loads(out)["front"]
    for row in rows[:3]:
        code, out, _ = dse_at("explain", f"run#{row['point']}", "energy_pj_per_token", "--json")
        assert code == 0
        assert json.loads(out)["tree"]["value"] == pytest.approx(row["energy_pj_per_token"], rel=1e-12)
    code, _, err = dse_at("explain", "run#99", "area_mm2")
    assert (code, "the run has points 0 to 7 (asked for 99)" in err) == (2, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("result.json", "energy"), "unknown metric 'energy'"),
        (("none.json", "area_mm2"), "no such file; `dse evaluate ARCH WORKLOAD -o none.json` writes it"),
        (("server_pcm3d", "area_mm2"), "to explain an architecture give --workload WORKLOAD"),
        (("other.json", "area_mm2"), "not a result of `dse evaluate -o`"),
        (("hollow.json", "area_mm2"), "hollow.json: not a result of this version of `dse evaluate -o`"),
        (("broken.json", "area_mm2"), "broken.json:1:2: not a JSON file"),
        (("binary.json", "area_mm2"), "binary.json: not a JSON file: it is no text"),
        (("result.json#3", "area_mm2"), "# names a point of a run folder, and result.json is none"),
        (("result.json", "area_mm2", "--set", "scenario.batch=1"), "--set: result.json is a stored result"),
    ],
)
def test_what_is_no_result_is_said(dse_at, result, tmp_path, words, said):
    (tmp_path / "other.json").write_text('{"a": 1}')
    (tmp_path / "hollow.json").write_text('{"explanation": {}}')
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe")
    code, out, err = dse_at("explain", *words)
    assert (code, out) == (2, "")
    assert said in err


def test_evaluate_prints_intervals(dse_at):
    code, out, _ = dse_at("evaluate", *DESIGN, "--uncertainty", "--json")
    found = json.loads(out)["uncertainty"]["energy_pj_per_token"]
    assert code == 0
    assert found["low"] < found["interval_95"][0] < found["nominal"] < found["interval_95"][1] < found["high"]


def test_one_change_at_a_time_beside_the_base(dse_at, result, tmp_path):
    code, out, _ = dse_at("whatif", *DESIGN, "--set", "scenario.batch=8,32", "--set",
                          "memories.hbm.bandwidth_bytes_per_ns=2400", "--tornado", "--json", "-o", "w")  # fmt: skip
    document = json.loads(out)
    base, eight, same, faster = document["designs"]
    assert code == 0
    assert base["energy_pj_per_token"] == pytest.approx(result["energy_pj_per_token"], rel=1e-12)
    assert same["latency_ns_per_step"] == base["latency_ns_per_step"]
    assert eight["latency_ns_per_step"] < base["latency_ns_per_step"]
    assert faster["latency_ns_per_step"] < base["latency_ns_per_step"]
    assert document["uncertainty_from"]["tornado"][0]["change_fraction"] > 0
    assert {path.name for path in (tmp_path / "w").iterdir()} == {
        "designs.csv", "tornado.csv", "tornado.svg", "uncertainty.csv",
    }  # fmt: skip


def test_fewer_tiles_send_experts_to_the_host_and_are_counted_as_moved(dse_at):
    code, out, _ = dse_at("whatif", *TINY, "--set", "analog_cores.pcm.tiles_per_die=64,4", "--json")
    _, some, few = json.loads(out)["designs"]
    assert code == 0
    assert 0 < some["digital_experts"] < few["digital_experts"]
    assert (some["moved_blocks"], few["moved_blocks"]) == (some["digital_experts"], few["digital_experts"])


def test_solving_anew_is_never_worse_than_keeping_the_mapping(dse_at):
    words = ("whatif", *TINY, "--rule", "all_digital", "--set", "memories.lpddr.energy_pj_per_bit=16", "--json")
    kept = json.loads(dse_at(*words, "--keep-mapping")[1])["designs"]
    solved = json.loads(dse_at("whatif", *TINY, *words[5:])[1])["designs"]
    assert all(
        one["energy_pj_per_token"] <= other["energy_pj_per_token"] for one, other in zip(solved, kept, strict=True)
    )


def test_a_mapping_file_is_held_for_every_change(dse_at):
    assert dse_at("map", *TINY, "--rule", "all_digital", "-o", "m.json")[0] == 0
    code, out, _ = dse_at("whatif", *TINY, "--mapping", "m.json", "--set", "scenario.batch=1", "--json")
    document = json.loads(out)
    assert code == 0
    assert document["keeps_mapping"]
    assert [row["digital_experts"] for row in document["designs"]] == [128, 128]  # 4 layers of 32 experts


def test_the_load_of_experts_can_be_tied_to_their_scores_and_varied(dse_at):
    change = "routing.norm_load_rank_correlation=0,1"
    design = ("server_pcm3d", "olmoe_zipf", "--digital-fraction", "0.25")
    code, out, _ = dse_at("whatif", *design, "--set", change, "--json")
    assert code == 0
    designs = json.loads(out)["designs"]
    same, tied = designs[1:]
    assert same["latency_ns_per_step"] == pytest.approx(designs[0]["latency_ns_per_step"])
    # by hand: the highest scores are digital, so tied to them the busiest experts are, which read their weights
    assert tied["latency_ns_per_step"] > same["latency_ns_per_step"]


def test_flags_and_texts_are_changes_too(dse_at):
    words = ("whatif", "server_pcm3d", "olmoe", "--rule", "all_analog", "--json")
    code, out, _ = dse_at(*words, "--set", "composition=serial", "--set", "links.analog-npu.broadcast=true")
    base, serial, shared = json.loads(out)["designs"]
    assert code == 0
    assert serial["latency_ns_per_step"] > base["latency_ns_per_step"]
    assert shared["energy_pj_per_token"] < base["energy_pj_per_token"]  # inputs cross once for the experts of a die


def test_an_input_of_accuracy_only_is_kept_with_a_remark(dse_at):
    code, out, err = dse_at("whatif", *TINY, "--set", "analog_cores.pcm.device.programming.scale=2")
    assert code == 0
    assert "changes accuracy only (cost unchanged: lumped core)" in err
    assert max(map(len, out.splitlines())) <= 80


def test_a_change_without_effect_on_a_lumped_core_is_refused_with_the_reason(dse_at):
    code, out, err = dse_at("whatif", *TINY, "--set", "analog_cores.pcm.adc.per_tile=64")
    assert (code, out) == (2, "")
    assert "per_tile: changes none of the metrics (cost unchanged: lumped core)" in err


def test_some_infeasible_changes_are_rows_and_the_answer_stands(dse_at):
    code, out, _ = dse_at("whatif", *TINY, "--set", "limits.power_mw=1,4000")
    assert code == 0
    assert "infeasible" in out
    assert "limits.power_mw" in out


def test_a_change_that_leaves_no_design_is_a_row_with_its_reason(dse_at):
    code, out, _ = dse_at("whatif", "server_pcm3d", "olmoe", "--set", "memories.hbm.capacity_bytes=1e9", "--json")
    _, row = json.loads(out)["designs"]
    assert code == 3
    assert row["status"] == "infeasible"
    assert "capacity[hbm]" in row["reason"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "nothing to change: give --set PATH=VALUES, or --tornado"),
        (("--tornado", "--metric", "energy"), "--metric energy: unknown"),
        (("--set", "memories.hbm.bandwith=3"), "did you mean"),
        (("--set", "memory.hbm.capacity_bytes=3"), "unknown path, did you mean 'memories'"),
        (("--set", "scenario.prompt_tokens=7"), "scenario.prompt_tokens: changes none of the metrics"),
        (("--target", "tokens_per_s=3"), "--target tokens_per_s=3: this version does not search"),
    ],
)
def test_a_question_that_cannot_be_answered_is_said(dse_at, words, said):
    code, out, err = dse_at("whatif", *DESIGN, *words)
    assert (code, out) == (2, "")
    assert said in err
