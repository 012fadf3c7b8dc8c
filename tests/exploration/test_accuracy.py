"""Accuracy of the candidates of an exploration, on the shipped trained model."""

import numpy as np
import pytest

from dse import AccuracyPlan, Space, check_accuracy, explore, load_architecture, load_workload
from dse.exploration.run import ExplorationInterrupted
from dse.noise import measure as chips

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def study():
    space = Space(
        architecture=load_architecture("tiny_edge"),
        workload=load_workload("tiny_moe"),
        axes={"mapping.digital_fraction": [0.0, 0.5, 1.0], "scenario.batch": [1, 8]},
        accuracy=AccuracyPlan(draws=4, candidates=3, scales=(2.5, 1.0), n_tokens=2048),
        seed=5,
    )
    return explore(space)


def test_points_that_share_a_mapping_share_its_measured_loss(study):
    points = study.points
    for _, same in points.groupby("mapping_id"):
        assert same["loss_increase_nats"].nunique() == 1
    assert study.manifest["accuracy_status"] == "measured"


def test_loss_falls_with_digital_experts_and_is_zero_without_analog_ones(study):
    loss = study.points.groupby("mapping.digital_fraction")["loss_increase_nats"].first()
    assert loss[0.0] > loss[0.5] > loss[1.0] == 0.0


def test_a_measurement_inside_a_study_equals_one_alone(study):
    alone = check_accuracy(
        load_architecture("tiny_edge"), load_workload("tiny_moe"), study.mappings["per_layer_0.0000"],
        draws=4, seed=5, scale=2.5, n_tokens=2048,
    )  # fmt: skip
    inside = study.frames["accuracy"].query("digital_fraction == 0 and scale == 2.5")
    assert np.array_equal(inside["loss_nats"], alone.draws["loss_nats"])


def test_an_interrupted_study_keeps_its_chips_and_goes_on(tmp_path, monkeypatch):
    space = Space(
        architecture=load_architecture("tiny_edge"),
        workload=load_workload("tiny_moe"),
        axes={"mapping.digital_fraction": [0.0, 0.5]},
        accuracy=AccuracyPlan(draws=4, candidates=2, n_tokens=256),
    )
    evaluate, begun = chips.evaluate_chip, []

    def stopped_in_the_second_candidate(job):
        begun.append(job)
        if len(begun) == 6:
            raise KeyboardInterrupt
        return evaluate(job)

    monkeypatch.setattr(chips, "evaluate_chip", stopped_in_the_second_candidate)
    with pytest.raises(ExplorationInterrupted):
        explore(space, folder=tmp_path)
    resumed = explore(space, folder=tmp_path)
    assert len(begun) == 6 + 3  # the one that was stopped and the two after it
    assert not (tmp_path / "parts").exists()
    assert resumed.frames["accuracy"].equals(explore(space).frames["accuracy"])
