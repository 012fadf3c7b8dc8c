"""The trace of a step: what its tracks show adds up to the evaluation."""

import itertools
import json
from collections import defaultdict

import pytest

from dse import evaluate, load_architecture, load_workload, rule_mapping, score_blocks
from dse.report.trace import chrome_trace


@pytest.mark.parametrize(("arch", "workload"), [("server_pcm3d_lumped", "olmoe"), ("rack_pcm3d_1t", "kimi_k2")])
@pytest.mark.parametrize("composition", ["serial", "overlapped"])
def test_tracks_do_not_overlap_and_add_up_to_the_step(arch, workload, composition):
    arch, workload = load_architecture(arch, {"composition": composition}), load_workload(workload)
    mapping = rule_mapping(arch, workload, score_blocks(workload), digital_fraction=0.02)
    evaluation = evaluate(arch, workload, mapping)
    events = chrome_trace(evaluation.to_dict()["timeline"], "a step")["traceEvents"]
    names = {e["tid"]: e["args"]["name"] for e in events if e["name"] == "thread_name"}
    spans = [e for e in events if e["ph"] == "X"]
    frame, n_stages = evaluation.stage_frame(), len(spans)
    busy = frame.groupby("group")["time_ns_per_step"].sum() / 1000
    assert max(e["ts"] + e["dur"] for e in spans) == pytest.approx(evaluation.latency_ns_per_step / 1000, abs=1e-3)
    by_track = defaultdict(list)
    for event in spans:
        by_track[names[event["tid"]]].append(event)
    assert set(by_track) == {"step", *busy.index}
    for track, found in by_track.items():
        found.sort(key=lambda e: e["ts"])
        assert all(a["ts"] + a["dur"] <= b["ts"] + 1e-9 for a, b in itertools.pairwise(found)), track
        if track != "step":  # every end is rounded to a nanosecond
            assert sum(e["dur"] for e in found) == pytest.approx(busy[track], abs=1e-3 * n_stages)
    layers = {e["name"].rpartition(" ")[2] for e in by_track["step"] if e["name"].startswith("attention")}
    assert layers == {str(i) for i in range(workload.model.n_layers)}


def test_the_command_takes_evaluations_and_points_of_runs(dse_at):
    pair = ("tiny_edge", "tiny_moe")
    assert dse_at("evaluate", *pair, "--rule", "all_analog", "-o", "evaluation.json")[0] == 0
    assert dse_at("explore", *pair, "--set", "scenario.batch=8", "-o", "run")[0] == 0
    code, out, _ = dse_at("export", "trace", "evaluation.json", "--json")
    first = json.loads(out)
    assert code == 0
    assert first["schema_version"] == 1
    again = json.loads(dse_at("export", "trace", "run#0")[1])
    assert [e for e in first["traceEvents"] if e["ph"] == "X"] == [e for e in again["traceEvents"] if e["ph"] == "X"]
    assert dse_at("export", "trace", "run#0", "-o", "trace.json")[0] == 0
    whole = ("--set", "scenario.phase=generate", "--set", "scenario.prompt_tokens=8", "--set", "scenario.new_tokens=2")
    assert dse_at("evaluate", *pair, "--rule", "all_analog", *whole, "-o", "request.json")[0] == 0
    code, _, err = dse_at("export", "trace", "request.json")
    assert code == 2
    assert "has no fixed order, because it is a sum of several steps" in err
