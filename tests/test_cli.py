"""The ``dse`` command: each verb, each exit code, strict JSON, and what it says about bad input."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

import dse.commands.explore
import dse.commands.map
import dse.exploration.run
import dse.exploration.sweep
from dse.commands.arguments import make_parser
from dse.errors import TimeLimitError

PAIR = ("tiny_edge", "tiny_moe")
FRACTIONS = "mapping.digital_fraction=0,0.5"


def refuse(token):
    raise AssertionError(f"{token} is no JSON")


def strict(text):
    return json.loads(text, parse_constant=refuse)


def bad(text, path="spec.yaml"):
    Path(path).write_text(text, encoding="utf-8")
    return path


COMMANDS = {
    "check": ["check", "tiny_edge", "tiny_moe", "pcm_generic"],
    "show": ["show", "tiny_edge", "--set", "dies.soc.count=2"],
    "schema": ["schema", "arch"],
    "examples": ["examples"],
    "doctor": ["doctor"],
    "core": ["core", "server_pcm3d"],
    "score": ["score", "tiny_moe", "--top", "3"],
    "map": ["map", *PAIR, "--max-sensitivity-share", "0.6"],
    "map by rule": ["map", *PAIR, "--rule", "all_digital"],
    "evaluate": ["evaluate", *PAIR],
    "evaluate by rule": ["evaluate", *PAIR, "--digital-fraction", "0.25"],
    "evaluate with uncertainty": ["evaluate", *PAIR, "--uncertainty"],
    "explain": ["explain", "tiny_edge", "latency_ns_per_step", "--workload", "tiny_moe"],
    "whatif": ["whatif", *PAIR, "--set", "scenario.batch=1,64", "--set", "analog_cores.pcm.tiles_per_die=4,64"],
    "tornado": ["whatif", *PAIR, "--tornado", "--metric", "tokens_per_s"],
    "accuracy": ["accuracy", *PAIR, "--rule", "all_analog", "--draws", "4", "--tokens", "128"],
    "explore": ["explore", *PAIR, "--set", FRACTIONS, "--set", "scenario.batch=1,8", "-o", "run"],
}


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_every_command_prints_aligned_text_and_one_strict_json_document(dse_at, words):
    code, text, _ = dse_at(*words)
    assert code == 0
    assert text.strip()
    if words[0] not in ("schema", "show"):
        assert max(map(len, text.splitlines())) <= 80
    code, out, _ = dse_at(*words, "--json")
    document = strict(out)
    assert code == 0
    assert document["schema_version"] == 1


def test_the_schema_of_an_architecture_has_two_names(dse_at):
    assert dse_at("schema", "architecture")[:2] == dse_at("schema", "arch")[:2]
    shown = strict(dse_at("schema", "architecture", "--json")[1])
    assert shown == {"schema_version": 1, **strict(dse_at("schema", "arch")[1])}


def test_report_writes_a_page(dse_at):
    dse_at(*COMMANDS["explore"])
    code, out, _ = dse_at("report", "run", "--json")
    assert code == 0
    assert Path(strict(out)["report"]).is_file()
    assert dse_at("report", "run", "-o", "page.html")[0] == 0
    assert Path("page.html").read_bytes() == Path("run/report.html").read_bytes()


def test_points_of_a_run_are_exported(dse_at):
    dse_at(*COMMANDS["explore"])
    table = pd.read_csv(io.StringIO(dse_at("export", "points", "run")[1]))
    assert table.equals(pd.read_csv("run/points.csv"))
    document = strict(dse_at("export", "points", "run", "--json")[1])
    assert document["schema_version"] == 1
    assert [row["tokens_per_s"] for row in document["points"]] == list(table["tokens_per_s"])
    assert document["points"][0]["loss_increase_nats"] is None
    assert dse_at("export", "points", "run", "--format", "json", "-o", "points.json")[0] == 0
    assert strict(Path("points.json").read_text()) == document


def test_examples_are_copied_once_and_work_where_they_are(dse_at):
    assert dse_at("examples", "--copy", "mine")[0] == 0
    code, _, err = dse_at("examples", "--copy", "mine")
    assert code == 2
    assert "--force" in err
    assert dse_at("evaluate", "mine/arch_specs/tiny_edge.yaml", "mine/workloads/tiny_moe.yaml")[0] == 0


def test_fits_go_to_a_file(dse_at):
    code, out, err = dse_at("examples", "--fits", "-o", "fits.md")
    assert code == 0
    assert Path("fits.md").read_text() == out.rstrip("\n") + "\n"
    assert "wrote fits.md" in err


def test_metrics_have_units_in_their_names_and_add_up(dse_at):
    document = strict(dse_at("evaluate", *PAIR, "--json")[1])
    parts = sum(row["energy_pj_per_token"] for row in document["breakdown"])
    assert parts == pytest.approx(document["energy_pj_per_token"])
    assert document["tokens_per_j"] == pytest.approx(1e12 / document["energy_pj_per_token"])


def test_quiet_silences_remarks_but_not_the_result(dse_at):
    code, out, err = dse_at(*COMMANDS["explore"], "-q")
    assert code == 0
    assert "on the front" in out
    assert err == ""


def test_a_written_mapping_is_taken_up_and_warned_about_elsewhere(dse_at):
    code, _, err = dse_at("map", *PAIR, "--digital-fraction", "0.25", "-o", ".")
    assert code == 0
    assert "wrote mapping.json" in err
    code, out, err = dse_at("evaluate", *PAIR, "--mapping", "mapping.json")
    assert code == 0
    assert "mapping from mapping.json" in out
    assert err == ""
    code, _, err = dse_at("evaluate", *PAIR, "--mapping", "mapping.json", "--set", "scenario.batch=4")
    assert code == 0
    assert "made for another workload" in err
    code, _, err = dse_at("evaluate", "server_pcm3d", "olmoe", "--mapping", "mapping.json")
    assert code == 2
    assert "map again" in err


def test_missing_idle_power_of_many_tiles_is_warned_of_wherever_it_is_used(dse_at):
    dse_at("examples", "--copy", "mine")
    arch, workload = Path("mine/arch_specs/tiny_edge.yaml"), "mine/workloads/tiny_moe.yaml"
    kept = [line for line in arch.read_text().splitlines() if "idle: {on_mw" not in line]
    arch.write_text("\n".join(kept).replace("tiles_per_die: {value: 112", "tiles_per_die: {value: 1480"))
    wanted = "analog_cores.pcm.idle is left out, so that 1480 tiles draw no power while they wait"
    run = ["explore", arch, workload, "--set", "scenario.batch=1,8", "-o", "run"]
    for words in (["check", arch], ["map", arch, workload], ["evaluate", arch, workload], run):
        code, out, err = dse_at(*words, "--json")
        assert code == 0
        assert wanted in strict(out)["warnings"][0]
        assert wanted in err
        assert "warning" not in dse_at(*words, "-q")[2]


def test_other_results_go_to_files_too(dse_at):
    assert dse_at("evaluate", *PAIR, "-o", "evaluation.json")[0] == 0
    assert strict(Path("evaluation.json").read_text())["energy_pj_per_token"] > 0
    assert dse_at("score", "tiny_moe", "-o", "scores.csv")[0] == 0
    assert len(pd.read_csv("scores.csv", comment="#")) == 128  # 4 layers of 32 experts
    assert dse_at("schema", "device", "-o", "device.json")[0] == 0
    assert dse_at("show", "tiny_edge", "-o", "copy.yaml")[0] == 0
    assert dse_at("core", "tiny_edge", "-o", "core.json")[0] == 0


def test_a_path_without_a_suffix_is_a_folder_that_later_commands_take(dse_at):
    assert dse_at("map", *PAIR, "-q", "-o", "out/chip")[0] == 0
    assert dse_at("evaluate", *PAIR, "-q", "--mapping", "out/chip", "-o", "out/chip")[0] == 0
    assert {path.name for path in Path("out/chip").iterdir()} == {"mapping.json", "evaluation.json"}
    code, text, _ = dse_at("explain", "out/chip", "area_mm2")
    assert code == 0
    assert "33.5 mm²" in text  # by hand: 112 tiles of 0.25, 1.5 of units and 4 fixed
    assert dse_at("check", "tiny_edge", "-o", "notes/")[0] == 0
    assert strict(Path("notes/check.json").read_text())["status"] == "ok"
    assert dse_at("doctor", "-o", "notes/here.json")[0] == 0
    assert strict(Path("notes/here.json").read_text())["schema_version"] == 1
    assert dse_at("schema", "arch", "-o", "schema")[0] == 0
    assert Path("schema").is_file()


def test_check_takes_other_values_for_the_file_they_belong_to(dse_at):
    assert dse_at("check", *PAIR, "--set", "scenario.batch=4", "--set", "analog_cores.pcm.adc.bits=6")[0] == 0
    code, out, err = dse_at("check", *PAIR, "--set", "scenario.batch=0")
    assert code == 2
    assert "--set: scenario.batch: must be greater than 0 (got 0)" in err
    assert "tiny_edge: architecture, no problems" in out
    code, _, err = dse_at("check", "tiny_edge", "--set", "scenario.batch=4")
    assert code == 2
    assert "no workload is checked; name one beside the others" in err


COMMON = ["--seed", "1", "--jobs", "1", "--time-limit-s", "60", "--torch-device", "cpu", "-v", "--no-progress"]


CHEAP = ("check", "show", "schema", "examples", "doctor", "core", "score", "evaluate by rule", "explore")


@pytest.mark.parametrize("words", [COMMANDS[name] for name in CHEAP], ids=CHEAP)
def test_every_command_takes_the_common_options_and_says_which_change_nothing(dse_at, words):
    code, _, err = dse_at(*words, *COMMON, "--json")
    assert code == 0
    named = {line.split()[1] for line in err.splitlines() if f"changes nothing in dse {words[0]}" in line}
    taken = set(re.findall(r"--[a-z-]+", make_parser().parse_args([*map(str, words)]).parser.format_help()))
    assert named == {"--seed", "--jobs", "--time-limit-s", "--torch-device"} - taken


def test_random_scores_take_a_seed_and_other_rules_say_that_they_do_not(dse_at):
    first, again, other = (strict(dse_at("score", "tiny_moe", "--rule", "random", "--seed", s, "--json")[1])["scores"]
                           for s in (1, 1, 2))  # fmt: skip
    assert first == again != other
    code, _, err = dse_at("score", "tiny_moe", "--seed", "1")
    assert code == 0
    assert "--seed changes nothing where the rule is not random" in err


@pytest.mark.slow
def test_processes_do_not_change_what_an_exploration_measures(dse_at):
    words = ("explore", *PAIR, "--set", FRACTIONS, "--accuracy", "--draws", "4", "--tokens", "256")
    assert dse_at(*words, "-o", "one")[0] == 0
    assert dse_at(*words, "-o", "two", "--jobs", "2")[0] == 0
    assert Path("one/accuracy.csv").read_bytes() == Path("two/accuracy.csv").read_bytes()


def test_accuracy_out_of_time_leaves_the_points_of_the_exploration(dse_at):
    code, out, _ = dse_at("explore", *PAIR, "--set", FRACTIONS, "--accuracy", "--draws", "400", "--tokens", "256",
                          "--time-limit-s", "2", "-o", "run", "--json")  # fmt: skip
    assert code == 4
    assert strict(out)["status"] == "time_limit"
    assert strict(out)["finished_points"] == 2
    assert pd.read_csv("run/points.csv")["loss_increase_nats"].isna().all()


EVALUATE, ACCURACY = ["evaluate", *PAIR], ["accuracy", *PAIR]
BAD_INPUT = [
    ([], "the following arguments are required: COMMAND"),
    (["evalute", *PAIR], "unknown command 'evalute', did you mean 'evaluate'?"),
    (["--json", *EVALUATE], "--json stands before the command"),
    (["evaluate", "tiny_edge"], "the following arguments are required: WORKLOAD"),
    ([*EVALUATE, "--digital-fracton=1"], "did you mean --digital-fraction?"),
    (["evaluate", "tiny_edg", "tiny_moe"], "no such architecture file: 'tiny_edg', did you mean 'tiny_edge'?"),
    (["check", "no_spec"], "no such spec file: 'no_spec'; `dse examples` lists the shipped ones"),
    (["check", "."], "'.' is a folder, not a YAML file"),
    (
        ["evaluate", "tiny_moe", "tiny_edge"],
        "'tiny_moe' is a shipped workload; here stands the name or file of the arch",
    ),
    (["whatif", *PAIR, "--tornado", "--metric", "speed"], "--metric speed: unknown; known: area_mm2, energy_pj_per"),
    (["evaluate", "tiny_edge", "tiny_mo"], "did you mean 'tiny_moe'?"),
    ([*EVALUATE, "--set", "scenario.bach=8"], "scenario.bach: unknown key, did you mean 'batch'?"),
    ([*EVALUATE, "--set", "analog_cores.pcm.adc.bit=6"], "analog_cores.pcm.adc.bit: unknown key, did you mean 'bits'?"),
    ([*EVALUATE, "--set", "analog_core.pcm.adc.bits=6"], "unknown path, did you mean 'analog_cores'?"),
    (["map", *PAIR, "--set", "scenarios.batch=6"], "unknown path, did you mean 'scenario'?"),
    ([*ACCURACY, "--set", "weather=6"], "a path begins with one of"),
    ([*EVALUATE, "--set", "mapping.digital_fraction=0.5"], "here give --digital-fraction"),
    ([*EVALUATE, "--set", "scenario.batch=1,8"], "takes one value here (got 1,8); `dse explore` varies several"),
    ([*EVALUATE, "--set", "scenario.batch"], "write path=value"),
    ([*EVALUATE, "--mapping", "none.json"], "none.json: no such file"),
    ([*EVALUATE, "--mapping", "none.json", "--rule", "random"], "--rule has no place"),
    ([*EVALUATE, "--pin", "attention"], "expected BLOCK=GROUP"),
    ([*EVALUATE, "--rule", "all_analg"], "did you mean 'all_analog'?"),
    (["map", *PAIR, "--rule", "random", "--max-sensitivity", "3"], "--max-sensitivity has no effect"),
    (["map", *PAIR, "--digital-fraction", "2"], "give a number between 0 and 1 (got 2)"),
    (["map", *PAIR, "--max-sensitivity", "nan"], "give a number >= 0 (got nan)"),
    (["map", *PAIR, "-o", "missing/mapping.json"], "there is no folder missing; make it first"),
    (["map", *PAIR, "-o", "/dev/full"], "-o /dev/full: No space left on device"),
    ([*ACCURACY, "--draws", "5"], "chips come in antithetic pairs: give an even number >= 4 (got 5)"),
    ([*ACCURACY, "--tokens", "0"], "argument --tokens: give a whole number >= 1 (got 0)"),
    ([*ACCURACY, "--seed", "-1"], "argument --seed: give a whole number >= 0 (got -1)"),
    ([*ACCURACY, "--scale", "-1"], "argument --scale: give a number >= 0 (got -1)"),
    ([*ACCURACY, "--time-s", "-60"], "argument --time-s: give a number >= 0 (got -60)"),
    (["accuracy", "server_pcm3d", "olmoe"], "no weights, so accuracy cannot be measured"),
    (["explore", "server_pcm3d", "olmoe", "--accuracy"], "no weights, so accuracy cannot be measured"),
    (["explore", *PAIR, "--scales", "1,x"], "argument --scales: give a number >= 0 (got x)"),
    (["explore", *PAIR, "--candidates", "0"], "give a whole number >= 1 (got 0)"),
    (["explore", *PAIR, "--set", "scenario.batch=0,1"], "scenario.batch: must be greater than 0 (got 0)"),
    (["explore", *PAIR, "--set", "composition=serial,overlaped"], "must be one of serial, overlapped"),
    (["explore", *PAIR, "--set", "scenario.batch=1", "--set", "scenario.batch=2"], "given twice"),
    (["explore", *PAIR, "--set", "dies=[1,2],[3]"], "takes single values"),
    (["explore", *PAIR, "--limit", "max_area=3"], "unknown metric, did you mean 'area_mm2'?"),
    (["explore", *PAIR, "--limit", "area=3"], "expected max_METRIC or min_METRIC"),
    (["explore", *PAIR, "--limit", "max_area_mm2"], "expected max_METRIC=NUMBER"),
    (["explore", *PAIR, "--set", "analog_cores.pcm.adc.per_tile=64,128"], "changes none of the metrics"),
    (["explore", *PAIR, "--set", "analog_cores.pcm.read.pulse_ns=64,128"], "cost unchanged: lumped core"),
    (["explore", *PAIR, "--set", "analog_cores.pcm.dac.bits=6,8"], "changes accuracy only"),
    (["explore", "no_space.yaml"], "no_space.yaml"),
    (["report", "no_run"], "no_run"),
    (["schema", "chip"], "invalid choice: 'chip'"),
    (["core", "tiny_edge", "--core", "pmc"], "did you mean 'pcm'?"),
    (["core", "h200_fp8"], "has no analog core"),
    (["examples", "-o", "list.txt"], "only --fits and --machines write a file"),
    (["show", "pcm_generic", "--set", "clip=1"], "edit its file instead"),
]


@pytest.mark.parametrize(
    ("words", "text"), BAD_INPUT, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_bad_input_exits_2_and_says_what_to_do(dse_at, words, text):
    code, out, err = dse_at(*words)
    assert code == 2
    assert out == "" or "--json" in words
    assert text in err
    assert "Traceback" not in err
    code, out, err = dse_at(*words, "--json")
    document = strict(out)
    assert code == 2
    assert document["status"] == "bad_input"
    assert document["schema_version"] == 1
    assert all(set(p) == {"file", "line", "column", "path", "message"} for p in document["problems"])
    assert text in err


def test_problems_of_a_file_carry_line_and_column(dse_at):
    name = bad("name: x\nenergy_boundary: fab\n")
    code, out, err = dse_at("check", name, "--json")
    document = strict(out)
    assert code == 2
    places = {(p["file"], p["line"], p["column"], p["path"]) for p in document["problems"]}
    assert (name, 2, 18, "energy_boundary") in places
    assert f"{name}:2:18: energy_boundary: " in err
    assert document["specs"] == [{"file": name, "kind": "architecture", "ok": False}]


def test_check_goes_on_after_a_bad_spec(dse_at):
    code, out, err = dse_at("check", "tiny_edge", bad("name: [\n"), "tiny_moe")
    assert code == 2
    assert out == "tiny_edge: architecture, no problems\ntiny_moe: workload, no problems\n"
    assert err.startswith("spec.yaml:")


def test_verbose_shows_where_bad_input_was_noticed(dse_at):
    assert "Traceback" in dse_at("evaluate", "tiny_edg", "tiny_moe", "-v")[2]


SMALL = ("--set", "analog_cores.pcm.tiles_per_die=10")


def test_infeasible_exits_3_with_limit_need_and_have(dse_at):
    words = ("map", *PAIR, *SMALL, "--max-digital-experts", "0")
    code, out, err = dse_at(*words)
    assert code == 3
    assert "need" in out
    assert err == ""
    code, out, _ = dse_at(*words, "--json")
    document = strict(out)
    assert code == 3
    assert document["status"] == "infeasible"
    cause = document["causes"][0]
    assert cause["need"] == pytest.approx(384)  # by hand: 128 experts of 3 matrices, one crossbar each
    assert cause["have"] == pytest.approx(40)  # by hand: 10 tiles of 4 tiers
    assert cause["short_by"] == pytest.approx(344)


def test_a_memory_that_is_full_before_the_first_block_is_said_to_be(dse_at):
    # by hand: 1 GB of LPDDR, and OLMoE's keys and values alone take 4.29 GB at batch 32 and context 1024
    code, out, _ = dse_at("evaluate", "tiny_edge", "olmoe")
    assert code == 3
    assert "have none: what is kept there anyway (KV cache, activations) takes 3.5" in out


def test_areas_that_are_not_stated_have_no_table(dse_at):
    code, out, _ = dse_at("core", "yao_esserc_2024")
    assert code == 0
    assert "area_mm2        not stated" in out
    assert "area of the tile" not in out


def test_a_space_without_a_feasible_point_exits_3_with_the_reasons(dse_at):
    code, out, _ = dse_at("explore", *PAIR, "--set", FRACTIONS, "--limit", "max_power_mw=0.1", "-o", "run")
    assert code == 3
    assert "points: max_power_mw exceeded" in out
    assert Path("run/points.csv").is_file()


def test_accuracy_without_a_rule_is_that_of_the_best_mapping(dse_at):
    code, out, err = dse_at(*ACCURACY, "--draws", "4", "--tokens", "256")
    assert code == 0
    assert "mapping: least energy under capacity" in err
    assert "loss_nats" in out


def test_a_time_limit_exits_4(dse_at, monkeypatch):
    def late(*args, **kwargs):
        raise TimeLimitError("the time limit passed before any answer was found")

    monkeypatch.setattr(dse.commands.map, "solve_problem", late)
    code, out, err = dse_at("map", *PAIR, "--json")
    assert code == 4
    assert strict(out)["status"] == "time_limit"
    assert "time limit" in err


def test_an_answer_found_in_time_but_unproven_is_printed_with_4(dse_at, monkeypatch):
    solve = dse.commands.map.solve_problem
    monkeypatch.setattr(dse.commands.map, "solve_problem", lambda *a, **k: solve(*a, **k)._replace(bound=float("-inf")))
    code, out, _ = dse_at("map", *PAIR, "--json", "-o", "mapping.json")
    document = strict(out)
    assert code == 4
    assert document["status"] == "time_limit"
    assert document["bound"] is None
    assert Path("mapping.json").is_file()


def test_a_defect_exits_1_with_a_traceback(dse_at, monkeypatch):
    monkeypatch.setattr(dse.commands.map, "solve_problem", lambda *args, **kwargs: 1 / 0)
    code, out, err = dse_at("map", *PAIR, "--json")
    assert code == 1
    assert strict(out)["status"] == "defect"
    assert "ZeroDivisionError" in err
    assert "please report it" in err


def test_an_interrupted_command_exits_130(dse_at, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(dse.commands.map, "solve_problem", interrupt)
    code, out, err = dse_at("map", *PAIR, "--json")
    assert code == 130
    assert strict(out)["status"] == "interrupted"
    assert "interrupted" in err


MANY = ("explore", *PAIR, "--set", "scenario.context_tokens=1:60:1", "--set", FRACTIONS, "-o", "run")


def test_an_interrupted_exploration_keeps_its_points_and_goes_on(dse_at, monkeypatch):
    monkeypatch.setattr(dse.exploration.sweep, "CHUNK_POINTS", 7)
    whole = dse.commands.explore.progress_bars
    monkeypatch.setattr(dse.commands.explore, "progress_bars", lambda arguments: stop_after(30))
    code, out, err = dse_at(*MANY, "--json")
    assert code == 130
    assert strict(out)["finished_points"] == 35  # by hand: five chunks of 7
    assert "35 finished points kept in run" in err
    assert len(pd.read_csv("run/points.csv")) == 35
    monkeypatch.setattr(dse.commands.explore, "progress_bars", whole)
    code, out, _ = dse_at(*MANY, "--json")
    assert code == 0
    assert strict(out)["status_counts"]["ok"] == 120
    assert not Path("run/parts").exists()


def test_an_exploration_out_of_time_exits_4_with_its_points_and_goes_on(dse_at, monkeypatch):
    monkeypatch.setattr(dse.exploration.sweep, "CHUNK_POINTS", 7)
    clock = iter([0.0, 1.0, 2.0, 3.0])
    monkeypatch.setattr(dse.exploration.run.time, "monotonic", lambda: next(clock))
    code, out, err = dse_at(*MANY, "--time-limit-s", "2.5")
    assert code == 4
    assert "14 points" in out  # by hand: chunks of 7 begun at 1 and 2 of 2.5 s
    assert "time limit: 14 finished points kept in run; run the same command again" in err
    assert len(pd.read_csv("run/points.csv")) == 14
    events = [json.loads(line)["event"] for line in Path("run/log.jsonl").read_text().splitlines()]
    assert events == ["time limit"]


def stop_after(points):
    def step(stage, done, total):
        if done >= points:
            raise KeyboardInterrupt

    return step


def started(*words, folder):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[1])}
    return subprocess.Popen(
        [sys.executable, *words],
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_shipped_names_are_found_from_another_folder(tmp_path):
    process = started("-m", "dse", "evaluate", *PAIR, "--json", folder=tmp_path)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert strict(out)["energy_pj_per_token"] > 0


def test_help_names_every_command_and_exit_code(tmp_path):
    process = started("-m", "dse", "--help", folder=tmp_path)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert all(f"\n    {words[0]} " in out for words in COMMANDS.values())
    assert "130" in out


SLOW = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background inherits SIGINT ignored
import sys
import dse.exploration.sweep
dse.exploration.sweep.CHUNK_POINTS = 5
from dse.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_ctrl_c_during_an_exploration_exits_130_and_the_same_command_finishes_it(tmp_path):
    words = ("-c", SLOW, "explore", *PAIR, "--set", "scenario.context_tokens=1:1500:1", "-o", "run")
    process = started(*words, folder=tmp_path)
    waited = time.monotonic()
    while not list(tmp_path.glob("run/parts/*/000003.parquet")) and time.monotonic() - waited < 30:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "finished points kept in run" in err
    kept = len(pd.read_csv(tmp_path / "run" / "points.csv"))
    assert 0 < kept < 1500
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["status_counts"]["pending"] == 1500 - kept
    process = started(*words, folder=tmp_path)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert len(pd.read_csv(tmp_path / "run" / "points.csv")) == 1500
    events = [json.loads(line)["event"] for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert events == ["interrupted", "finished"]


def test_a_closed_pipe_is_no_error(tmp_path):
    process = started("-m", "dse", "show", "tiny_edge", folder=tmp_path)
    process.stdout.close()
    _, err = process.communicate(timeout=60)
    assert "Traceback" not in err
