import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

import dse.exploration.optimal
from dse import Space, Study, evaluate, explore, load_architecture, load_workload
from dse.cli import main
from dse.errors import SpecError
from dse.exploration.certify import certify
from dse.exploration.optimal import optimal_mappings
from dse.exploration.run import ExplorationInterrupted
from dse.sensitivity.score import score_blocks
from dse.spec.space import MappingPolicy, load_space

AXES = {
    "scenario.batch": [1, 8],
    "dies.analog.count": [2, 4],
    "memories.hbm.bandwidth_bytes_per_ns": [800.0, 1200.0],
    "composition": ["serial", "overlapped"],
}


def space_of(axes=AXES, **policy):
    return Space(
        architecture=load_architecture("server_pcm3d"),
        workload=load_workload("olmoe"),
        axes=axes,
        mapping=MappingPolicy(policy="optimal", certify=0, **policy),
    )


@pytest.fixture(scope="module")
def study():
    return explore(space_of(limits={"max_sensitivity_share": 0.6}))


def test_every_point_equals_its_design_evaluated_alone(study):
    assert (study.points["status"] == "ok").all()
    assert len(study.front)
    for point in study.front.index[:3]:
        row = study.points.loc[point]
        changes = {"composition": row["composition"], "dies.analog.count": int(row["dies.analog.count"])}
        changes["memories.hbm.bandwidth_bytes_per_ns"] = float(row["memories.hbm.bandwidth_bytes_per_ns"])
        arch = load_architecture("server_pcm3d", changes)
        workload = load_workload("olmoe", [f"scenario.batch={int(row['scenario.batch'])}"])
        alone = evaluate(arch, workload, study.mappings[row["mapping_id"]])
        for name in ("energy_pj_per_token", "latency_ns_per_step", "tokens_per_s", "area_mm2"):
            assert row[name] == pytest.approx(getattr(alone, name), rel=1e-12), name


def test_every_point_keeps_the_limit_and_states_its_gap(study):
    assert (study.points["sensitivity_share"] <= 0.6 + 1e-12).all()
    assert study.points["mapping_gap"].between(0, 0.05).all()
    proof = study.manifest["mapping_proof"]
    assert proof["largest_gap"] == study.points["mapping_gap"].max()
    assert proof["n_certified"] == 0
    assert "max_sensitivity_share 0.6; largest gap on the front" in study.manifest["remarks"][-1]


@pytest.mark.parametrize("ranking", ["per_layer", "global"])
def test_no_ranking_leaves_less_sensitivity_at_the_same_number_of_digital_experts(ranking):
    axes = {"mapping.digital_fraction": [0.1, 0.3], "scenario.batch": [1, 8]}
    best = explore(space_of(axes, objective="sensitivity")).points
    ranked = explore(dataclasses.replace(space_of(axes), mapping=MappingPolicy(ranking=ranking))).points
    assert (best["sensitivity_share"] <= ranked["sensitivity_share"] + 1e-12).all()
    # closed form: without other limits the global order by score is the best choice
    if ranking == "global":
        assert np.allclose(best["sensitivity_share"], ranked["sensitivity_share"], rtol=1e-9)
    assert (best["mapping_gap"] < 1e-9).all()


def test_points_without_a_mapping_name_the_limit():
    points = explore(space_of(AXES | {"mapping.digital_fraction": [0.0, 0.5]})).points
    # by hand: 24 576 crossbars for all experts, 2 dies hold 12 800 of them, half of the experts need 12 288
    small = points[(points["dies.analog.count"] == 2) & (points["mapping.digital_fraction"] == 0.0)]
    assert (small["status"] == "infeasible").all()
    assert (small["reason"] == "capacity[pcm] and digital_fraction: no mapping keeps both").all()
    assert (points.drop(small.index)["status"] == "ok").all()


def test_a_space_without_any_mapping_is_reported():
    study = explore(space_of(limits={"max_energy_pj_per_token": 1.0}))
    assert study.manifest["status_counts"] == {"ok": 0, "infeasible": 16}
    assert study.manifest["remarks"][-1].endswith("no point has one that keeps all limits")


@pytest.fixture
def small():
    return Space(
        architecture=load_architecture("server_pcm3d"),
        workload=load_workload("tiny_moe"),
        axes={"scenario.batch": [1, 8], "memories.hbm.bandwidth_bytes_per_ns": [800.0, 1200.0]},
        mapping=MappingPolicy(policy="optimal", certify=2, limits={"max_sensitivity_share": 0.5}),
    )


def test_the_front_is_certified_by_the_solver(small):
    study = explore(small)
    proof = study.manifest["mapping_proof"]
    assert proof["n_certified"] == min(2, proof["n_front"]) > 0
    assert proof["largest_gap_of_certified"] <= 1e-3
    assert f"solver: {proof['n_certified']} points, largest gap" in study.manifest["remarks"][-1]


def test_a_better_mapping_of_the_solver_replaces_that_of_the_point(small):
    scores = score_blocks(small.workload)
    optimal = optimal_mappings(small, scores)
    points = explore(dataclasses.replace(small, mapping=dataclasses.replace(small.mapping, certify=0))).points
    worse = points.assign(mapping_value=1.1 * points["mapping_value"], mapping_id="worse")
    found = certify(optimal, worse, lambda *_: None)
    improved = found.summary["improved_points"]
    assert improved == found.summary["certified_points"]
    for point in improved:
        row = found.points.loc[point]
        assert row["mapping_found_by"] == "solver"
        assert row["mapping_id"] in found.mappings
        assert row["mapping_value"] == pytest.approx(points["mapping_value"][point], rel=1e-2)
        assert row["energy_pj_per_token"] == pytest.approx(points["energy_pj_per_token"][point], rel=1e-2)


def test_an_interrupted_run_continues_to_the_same_table(tmp_path, small):
    class Stop:
        calls = 0

        def __call__(self, stage, done, total):
            if stage == "certified":
                raise KeyboardInterrupt

    whole = explore(small)
    with pytest.raises(ExplorationInterrupted) as stopped:
        explore(small, folder=tmp_path, progress=Stop())
    assert len(stopped.value.study.points) == len(whole.points)
    again = explore(small, folder=tmp_path)
    pd.testing.assert_frame_equal(again.points, whole.points)
    assert set(Study.load(tmp_path).mappings) == set(whole.mappings)


def test_mapping_in_small_chunks_changes_nothing(study, monkeypatch):
    monkeypatch.setattr(dse.exploration.optimal, "MOST_DESIGNS", 3)
    again = explore(space_of(limits={"max_sensitivity_share": 0.6}))
    pd.testing.assert_frame_equal(again.points, study.points)


def test_the_command_maps_every_point_and_says_how_good(tmp_path, capsys):
    options = ["--policy", "optimal", "--objective", "sensitivity", "--certify", "0", "--mapping-limit"]
    sets = ["--set", "scenario.batch=1,8", "-o", str(tmp_path / "run"), "--json"]
    assert main(["explore", "server_pcm3d", "olmoe", *options, "max_digital_experts=100", *sets]) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert document["mapping_proof"]["objective"] == "sensitivity"
    assert " ".join(options) + " max_digital_experts=100" in document["command"]
    assert "mappings minimise sensitivity, max_digital_experts 100" in err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_sensitivity_shar=0.3", "unknown limit, did you mean 'max_sensitivity_share'?"),
        ("max_sensitivity_share=-1", "expected NAME=NUMBER with a number >= 0"),
    ],
)
def test_a_limit_that_is_none_is_refused(text, message, tmp_path, capsys):
    assert main(["explore", "server_pcm3d", "olmoe", "--mapping-limit", text, "-o", str(tmp_path / "run")]) == 2
    assert message in capsys.readouterr().err


def test_a_space_file_says_objective_and_limits(tmp_path):
    text = (
        "name: best\nbase: {architecture: server_pcm3d, workload: olmoe}\naxes: {scenario.batch: [1, 8]}\n"
        "metrics: {energy_pj_per_token: min}\n"
        "mapping: {policy: optimal, objective: energy, limits: {max_sensitivity_share: 0.3}, certify: 1}\n"
    )
    path = tmp_path / "space.yaml"
    path.write_text(text)
    policy = load_space(path).spec.mapping
    assert (policy.policy, policy.objective, dict(policy.limits), policy.certify) == (
        "optimal", "energy", {"max_sensitivity_share": 0.3}, 1,
    )  # fmt: skip
    path.write_text(text.replace("max_sensitivity_share", "max_area_mm2"))
    with pytest.raises(SpecError, match="max_area_mm2"):
        load_space(path)
