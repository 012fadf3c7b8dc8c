"""A run folder carries what its designs rest on, so that it opens wherever it lies."""

import json
import shutil
from pathlib import Path

import pytest

from dse import Space, Study, explore, load_architecture, load_workload
from dse.errors import SpecError
from dse.exploration.opened import design_of_point, explanation_of_result
from dse.exploration.stored import run_point
from dse.report.html import write_report

SHIPPED = Path(__file__).resolve().parents[2] / "workloads"
METRIC = "energy_pj_per_token"


@pytest.fixture
def place(tmp_path):
    folder = tmp_path / "here"
    folder.mkdir()
    shutil.copytree(SHIPPED / "tiny_moe", folder / "tiny_moe")
    return folder


def run_of(place, *, routing="{kind: uniform}", architecture="tiny_edge", axes=None):
    """A run folder made in one place, after all of that place but the run is gone."""
    text = (SHIPPED / "tiny_moe.yaml").read_text().replace("{kind: uniform}", routing)
    (place / "own.yaml").write_text(text)
    arch = load_architecture(place / architecture if architecture.endswith(".yaml") else architecture)
    workload = load_workload(place / "own.yaml")
    explore(Space(architecture=arch, workload=workload, axes=axes or {"scenario.batch": [1, 8]}), folder=place / "run")
    moved = place.parent / "there" / "run"
    moved.parent.mkdir()
    (place / "run").rename(moved)
    shutil.rmtree(place)
    return moved


@pytest.mark.parametrize(("kind", "file"), [("measured", "routing.csv"), ("trace", "trace.csv")])
def test_a_run_with_a_routing_file_opens_where_its_files_are_gone(place, kind, file):
    moved = run_of(place, routing=f"{{kind: {kind}, file: tiny_moe/{file}}}")
    points = Study.load(moved).points
    for point in points.index:
        value = explanation_of_result(f"{moved}#{point}").tree(METRIC).value
        assert value == pytest.approx(points.loc[point, METRIC], rel=1e-12)
    assert write_report(moved).exists()
    assert (moved / "inputs" / "routing.csv").read_bytes() == (SHIPPED / "tiny_moe" / file).read_bytes()


def test_a_run_whose_busy_experts_follow_their_scores_is_explained(place):
    routing = "{kind: zipf, zipf_exponent: 1.0, norm_load_rank_correlation: 0.5}"
    moved = run_of(place, routing=routing)
    points = Study.load(moved).points
    value = explanation_of_result(f"{moved}#1").tree(METRIC).value
    assert value == pytest.approx(points.loc[1, METRIC], rel=1e-12)


def test_a_run_on_a_core_of_a_table_file_opens_where_the_file_is_gone(place):
    rows = "rows_used,cols_used,energy_pj,time_ns\n1,1,1,10\n1,256,2,10\n256,1,20,10\n256,256,900,20\n"
    (place / "points.csv").write_text(rows)
    cost = "{model: table, file: points.csv, tile_area_mm2: 0.6}"
    (place / "own_arch.yaml").write_text(
        f"extends: hermes_2d\nname: own\nanalog_cores:\n  - {{name: pcm, cost: {cost}}}\n"
    )
    moved = run_of(place, architecture="own_arch.yaml")
    points = Study.load(moved).points
    arch, _, _ = design_of_point(run_point(moved, "0"))
    assert len(arch.core("pcm").cost.points) == 4
    value = explanation_of_result(f"{moved}#0").tree(METRIC).value
    assert value == pytest.approx(points.loc[0, METRIC], rel=1e-12)


def test_data_that_stays_behind_is_named_with_size_and_digest(place):
    heldout = (place / "tiny_moe" / "heldout.npy").stat().st_size
    moved = run_of(place)
    files = json.loads((moved / "manifest.json").read_text())["workload"]["files"]
    assert list(files) == ["model", "checkpoint", "evaluation.tokens", "evaluation.multiple_choice",
                           "calibration.tokens"]  # fmt: skip
    assert files["evaluation.tokens"]["file"] == "tiny_moe/heldout.npy"
    assert files["evaluation.tokens"]["bytes"] == heldout
    assert len(files["evaluation.tokens"]["sha256"]) == 64
    # by hand: a folder is known by its config.json; its weights by their size
    assert files["checkpoint"]["sha256"] == files["model"]["sha256"]
    assert files["checkpoint"]["bytes"] >= (SHIPPED / "tiny_moe" / "model.safetensors").stat().st_size


@pytest.mark.parametrize("file", ["inputs/architecture.yaml", "inputs/workload.yaml", "mappings", "manifest.json"])
def test_a_run_folder_that_lacks_a_file_is_refused_with_its_name(place, file):
    moved = run_of(place)
    shutil.rmtree(moved / file) if file == "mappings" else (moved / file).unlink()
    with pytest.raises(SpecError, match=rf"not a complete run folder \(.*{file}.* is missing\)"):
        explanation_of_result(f"{moved}#0")


@pytest.mark.parametrize(
    ("manifest", "said"),
    [("{}", r"a run folder of version 1 is expected \(got None\)"), ("{", "manifest.json:1:2: not a JSON file")],
)
def test_a_manifest_of_something_else_is_refused(place, manifest, said):
    moved = run_of(place)
    (moved / "manifest.json").write_text(manifest)
    with pytest.raises(SpecError, match=said):
        explanation_of_result(str(moved))
