"""A run folder stands alone: what its inputs name lies in it."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from dse.cli import main
from dse.exploration.study import Study
from dse.workload.build import load_workload


@pytest.fixture
def measured_run(tmp_path: Path) -> Path:
    """A run of a workload with measured loads, moved away from everything that it was made of."""
    source = tmp_path / "source"
    source.mkdir()
    random = np.random.default_rng(0)
    rows = ["layer,expert,probability"]
    for layer in range(4):
        share = random.dirichlet(np.full(32, 5.0))
        rows += [f"{layer},{expert},{value:.12f}" for expert, value in enumerate(share)]
    (source / "loads.csv").write_text("\n".join(rows) + "\n")
    text = "extends: tiny_moe\nrouting: {kind: measured, file: loads.csv}\n"
    (source / "workload.yaml").write_text(text)
    words = ["explore", "tiny_edge", str(source / "workload.yaml"), "--set", "scenario.batch=4,8", "-q"]
    assert main([*words, "-o", str(source / "run")]) == 0
    shutil.move(source / "run", tmp_path / "moved")
    shutil.rmtree(source)
    return tmp_path / "moved"


def test_measured_loads_lie_in_the_run_folder(measured_run: Path) -> None:
    workload = load_workload(measured_run / "inputs" / "workload.yaml")
    assert workload.routing.kind == "measured"
    assert workload.routing.file == "routing.csv"
    assert (measured_run / "inputs" / "routing.csv").read_text().startswith("layer,expert,probability")


def test_a_point_of_a_moved_run_can_be_explained(measured_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["explain", f"{measured_run}#1", "energy_pj_per_token", "--depth", "1"]) == 0
    assert "energy_pj_per_token" in capsys.readouterr().out


def test_a_study_saved_again_keeps_the_loads(measured_run: Path, tmp_path: Path) -> None:
    Study.load(measured_run).save(tmp_path / "again")
    assert (tmp_path / "again" / "inputs" / "routing.csv").is_file()
