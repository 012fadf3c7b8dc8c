import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import dse.exploration.sweep
from dse import Space, Study, evaluate, explore, load_architecture, load_workload
from dse.errors import SpecError
from dse.exploration.points import grid
from dse.exploration.run import ChunkStore, ExplorationInterrupted
from dse.spec.examples import copy_shipped

AXES = {
    "mapping.digital_fraction": [0.0, 0.25, 0.5],
    "scenario.batch": [1, 8, 32],
    "dies.analog.count": [2, 3, 4],
    "memories.hbm.bandwidth_bytes_per_ns": [800.0, 1200.0],
}


@pytest.fixture(scope="module")
def space():
    return Space(architecture=load_architecture("server_pcm3d"), workload=load_workload("olmoe"), axes=AXES)


@pytest.fixture(scope="module")
def study(space):
    return explore(space)


def test_grid_holds_every_combination_once():
    points = grid({"dies.a.count": [1, 2], "composition": ["serial", "overlapped"]})
    assert len(points) == 4
    assert len(points.drop_duplicates()) == 4


def test_a_space_without_axes_is_one_design():
    found = explore(Space(architecture=load_architecture("tiny_edge"), workload=load_workload("tiny_moe"), axes={}))
    assert list(found.points["status"]) == ["ok"]
    assert len(grid({})) == 1


def test_every_point_equals_the_design_evaluated_alone(space, study):
    for point in study.points[study.points["status"] == "ok"].sample(6, random_state=1).index:
        row = study.points.loc[point]
        arch = load_architecture(
            "server_pcm3d",
            {
                "dies.analog.count": int(row["dies.analog.count"]),
                "memories.hbm.bandwidth_bytes_per_ns": float(row["memories.hbm.bandwidth_bytes_per_ns"]),
            },
        )
        workload = load_workload("olmoe", [f"scenario.batch={int(row['scenario.batch'])}"])
        alone = evaluate(arch, workload, study.mappings[row["mapping_id"]])
        for name in ("energy_pj_per_token", "latency_ns_per_step", "tokens_per_s", "area_mm2", "power_mw"):
            assert row[name] == pytest.approx(getattr(alone, name), rel=1e-12), name
        assert row["binding"] == alone.binding


def test_designs_whose_experts_do_not_fit_are_rows_with_a_reason(study):
    points = study.points
    small = points[(points["dies.analog.count"] == 2) & (points["mapping.digital_fraction"] == 0.0)]
    assert (small["status"] == "infeasible").all()
    assert small["reason"].str.contains("capacity of pcm exceeded 1.92-fold").all()  # by hand: 24 576 / 12 800
    assert not small["on_front"].any()
    assert study.manifest["status_counts"] == {"ok": 36, "infeasible": 18}  # by hand: 3, 2 and 1 die counts too small


def test_no_feasible_point_dominates_one_on_the_front(study):
    signs = {"tokens_per_s": -1, "energy_pj_per_token": 1, "area_mm2": 1, "sensitivity_share": 1}
    table = study.points.loc[study.points["status"] == "ok", list(signs)] * list(signs.values())
    for point in study.front.index:
        as_good = (table <= table.loc[point]).all(axis=1)
        better = as_good & (table < table.loc[point]).any(axis=1)
        assert not better.any()


def test_limits_make_points_infeasible(space):
    limited = explore(dataclasses.replace(space, limits={"max_power_mw": 52_000.0}))
    over = limited.points[limited.points["power_mw"] > 52_000.0]
    assert len(over)
    assert over["reason"].str.contains("max_power_mw exceeded").all()


def test_a_study_survives_saving_and_loading(tmp_path, study):
    loaded = Study.load(study.save(tmp_path / "run"))
    pd.testing.assert_frame_equal(loaded.points, study.points, check_dtype=False)
    assert loaded.manifest == study.manifest
    assert loaded.front.index.tolist() == study.front.index.tolist()
    assert set(loaded.mappings) == set(study.mappings)


def test_equal_runs_write_equal_files(tmp_path, space):
    folders = [explore(space, folder=tmp_path / name) and tmp_path / name for name in ("a", "b")]
    files = sorted(p.relative_to(folders[0]) for p in folders[0].rglob("*") if p.is_file() and p.name != "log.jsonl")
    assert files
    for file in files:
        assert (folders[0] / file).read_bytes() == (folders[1] / file).read_bytes(), file


def test_an_interrupted_run_keeps_its_points_and_goes_on(tmp_path, space, study, monkeypatch):
    monkeypatch.setattr(dse.exploration.sweep, "CHUNK_POINTS", 5)

    def stop_after_twenty(stage, done, total):
        if done >= 20:
            raise KeyboardInterrupt

    with pytest.raises(ExplorationInterrupted) as caught:
        explore(space, folder=tmp_path, progress=stop_after_twenty)
    kept = caught.value.study
    assert 20 <= len(kept.points) < len(study.points)
    assert Study.load(tmp_path).manifest["status_counts"]["pending"] == len(study.points) - len(kept.points)
    evaluated = []
    original = ChunkStore.put
    monkeypatch.setattr(ChunkStore, "put", lambda *a: evaluated.append(len(a[2])) or original(*a))
    finished = explore(space, folder=tmp_path)
    assert sum(evaluated) == len(study.points) - len(kept.points)
    pd.testing.assert_frame_equal(finished.points, study.points, check_dtype=False, check_categorical=False)
    assert not (tmp_path / "parts").exists()


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"analog_cores.pcm.cost.mvm.energy": [1.0]}, "unknown path"),
        ({"mapping.digital_fraction": [1.5]}, "shares in"),
        ({"scenario.batch": [0]}, "must be greater than 0"),
        ({"scenario.batch": []}, "at least one value"),
        ({"weather": [1]}, "not an axis"),
        ({"scenario.batch": list(range(1, 3000)), "scenario.context_tokens": list(range(3000))}, "at most"),
    ],
)
def test_a_wrong_axis_is_refused(space, axes, message):
    with pytest.raises(SpecError, match=message):
        explore(dataclasses.replace(space, axes=axes))


def test_texts_can_be_an_axis(space):
    study = explore(dataclasses.replace(space, axes={"composition": ["serial", "overlapped"]}))
    times = study.points.set_index("composition")["latency_ns_per_step"]
    assert times["overlapped"] < times["serial"]


def test_score_only_workloads_are_marked(study):
    assert study.manifest["accuracy_status"] == "score_only"
    assert study.manifest["score"]["status"] == "score_only"
    assert np.isnan(study.points["loss_increase_nats"]).all()


def test_an_axis_may_be_an_array():
    arch, workload = load_architecture("tiny_edge"), load_workload("tiny_moe")
    found = [
        explore(Space(architecture=arch, workload=workload, axes={"scenario.batch": batches}))
        for batches in (np.array([1, 8]), [np.int64(1), np.int64(8)], [1, 8])
    ]
    assert found[0].points.equals(found[2].points)
    assert found[0].manifest == found[1].manifest == found[2].manifest


def test_no_file_of_a_run_names_a_folder_of_the_machine(tmp_path):
    copy_shipped(tmp_path / "mine")
    arch = load_architecture(tmp_path / "mine" / "arch_specs" / "tiny_edge.yaml")
    workload = load_workload(tmp_path / "mine" / "workloads" / "tiny_moe.yaml")
    folder = tmp_path / "run"
    explore(Space(architecture=arch, workload=workload, axes={"scenario.batch": [1, 8]}), folder=folder)
    texts = {p.name: p.read_text() for p in folder.rglob("*") if p.suffix in {".csv", ".json", ".yaml", ".jsonl"}}
    root = str(Path(dse.__file__).resolve().parents[1])
    assert "log.jsonl" in texts
    assert [name for name, text in texts.items() if root in text or str(tmp_path) in text] == []
