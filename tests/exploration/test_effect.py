"""Axes that change nothing are refused before the sweep; those that change accuracy only are kept with it."""

import dataclasses

import pytest

import dse.exploration.run
from dse import AccuracyPlan, Space, explore, load_architecture, load_workload, score_blocks
from dse.errors import SpecError
from dse.exploration.accuracy import is_noise_path
from dse.exploration.effect import SETTINGS, idle_axes, require_effects, settings, spread_values
from dse.exploration.mappings import ranked_mappings
from dse.exploration.space import load_space_file

PER_TILE, PULSE = "analog_cores.pcm.adc.per_tile", "analog_cores.pcm.read.pulse_ns"
DAC, NOISE = "analog_cores.pcm.dac.bits", "analog_cores.pcm.device.programming.scale"
BATCH, FRACTION = "scenario.batch", "mapping.digital_fraction"


@pytest.fixture(scope="module")
def base():
    return Space(architecture=load_architecture("tiny_edge"), workload=load_workload("tiny_moe"), axes={})


def idle(base, **fields):
    space = dataclasses.replace(base, **fields)
    return idle_axes(space, ranked_mappings(space, score_blocks(space.workload)))


@pytest.mark.parametrize("path", [PER_TILE, PULSE])
def test_an_axis_that_nothing_depends_on_is_refused_with_the_reason(base, path):
    space = dataclasses.replace(base, axes={path: [64, 128], BATCH: [1, 8]}, accuracy=AccuracyPlan(draws=4))
    with pytest.raises(SpecError, match=f"{path}: changes none of the metrics .cost unchanged: lumped core."):
        explore(space)


@pytest.mark.parametrize(("path", "values"), [(DAC, [6, 8]), (NOISE, [1.0, 2.0])])
def test_an_axis_of_accuracy_only_is_refused_where_accuracy_is_not_measured(base, path, values):
    with pytest.raises(SpecError, match=r"changes accuracy only .*; add --accuracy"):
        explore(dataclasses.replace(base, axes={path: values}))


@pytest.mark.parametrize(("path", "values"), [(DAC, [6, 8]), (NOISE, [1.0, 2.0])])
def test_an_axis_of_accuracy_only_is_kept_with_a_remark_where_it_is_measured(base, path, values):
    space = dataclasses.replace(base, axes={path: values, BATCH: [1, 8]}, accuracy=AccuracyPlan(draws=4))
    remarks = require_effects(space, ranked_mappings(space, score_blocks(space.workload)))
    assert remarks == [f"{path}: cost unchanged: lumped core"]


def test_a_kept_axis_changes_the_measured_loss_and_stands_in_the_manifest(base):
    plan = AccuracyPlan(draws=4, n_tokens=256)
    study = explore(dataclasses.replace(base, axes={NOISE: [0.0, 4.0]}, accuracy=plan))
    quiet, noisy = study.points.set_index(NOISE)["loss_increase_nats"]
    assert noisy > quiet
    assert study.manifest["remarks"] == [f"{NOISE}: cost unchanged: lumped core"]


def test_an_axis_that_changes_none_of_the_requested_metrics_is_refused(base):
    space = dataclasses.replace(base, axes={BATCH: [1, 8]}, metrics={"area_mm2": "min"})
    said = r"batch: changes none of the requested metrics \(area_mm2\); leave it out, or add another metric, such as e"
    with pytest.raises(SpecError, match=said):
        explore(space)
    assert idle(base, axes={BATCH: [1, 8]}, metrics={"area_mm2": "min"}, limits={"max_power_mw": 1e9}) == []
    measured = AccuracyPlan(draws=4)
    assert idle(base, axes={FRACTION: [0, 1]}, metrics={"area_mm2": "min"}, accuracy=measured) == []


def test_what_is_wrong_with_an_axis_stands_in_the_space_file(tmp_path):
    text = "name: s\nbase: {architecture: tiny_edge, workload: tiny_moe}\nmetrics: {area_mm2: min}\naxes:\n"
    for axis, said in (
        ("scenario.batch: [1, 8]", "changes none of the requested metrics"),
        ("scenario.batch: [1, .nan]", "must be finite (got nan)"),
        ("mapping.digital_fraction: [0, 3]", "must be shares in [0, 1] (got 3)"),
        ("scenario.batch: [1, [2]]", "takes single values (got [2])"),
    ):
        file = tmp_path / "space.yaml"
        file.write_text(f"{text}  {axis}\n")
        with pytest.raises(SpecError) as caught:
            explore(load_space_file(file))
        (problem,) = caught.value.problems
        assert (problem.file, problem.line) == (str(file), 5)
        assert said in problem.message


def test_all_useless_axes_are_named_at_once(base):
    with pytest.raises(SpecError) as caught:
        explore(dataclasses.replace(base, axes={PER_TILE: [64, 128], DAC: [6, 8], PULSE: [64, 128]}))
    assert [problem.path for problem in caught.value.problems] == [PER_TILE, DAC, PULSE]


def test_an_axis_that_matters_under_some_settings_only_is_kept(base):
    # side by side equals one after the other unless both technologies hold experts
    assert idle(base, axes={"composition": ["serial", "overlapped"], FRACTION: [1.0, 0.5]}) == []
    assert idle(base, axes={"composition": ["serial", "overlapped"], FRACTION: [1.0]}) == ["composition"]


def test_an_axis_that_only_decides_feasibility_is_kept(base):
    assert idle(base, axes={"limits.power_mw": [1.0, 3000.0]}) == []


def test_area_alone_can_be_an_axis(base):
    points = explore(dataclasses.replace(base, axes={"dies.soc.fixed_area_mm2": [1.0, 2.0, 3.0]})).points
    assert points["area_mm2"].diff().iloc[1:].tolist() == pytest.approx([1.0, 1.0])
    assert points["energy_pj_per_token"].nunique() == 1


def test_one_value_or_equal_values_need_no_effect(base):
    assert idle(base, axes={PER_TILE: [64]}) == []
    assert idle(base, axes={PER_TILE: [64, 64]}) == []


def test_shares_that_give_the_same_mapping_are_refused(base):
    assert idle(base, axes={FRACTION: [0.2, 0.2001]}) == [FRACTION]  # by hand: 6 of 32 experts in each layer, twice


@pytest.mark.parametrize("path", ["memories.lpddr.energy_pj_per_bit", "analog_cores.pcm.cost.tile_area_mm2", BATCH])
def test_axes_of_cost_have_an_effect(base, path):
    assert idle(base, axes={path: [1, 2, 3]}) == []


def test_nothing_is_swept_before_the_axes_are_judged(base, monkeypatch):
    monkeypatch.setattr(dse.exploration.run, "chunks", lambda *args: pytest.fail("swept"))
    with pytest.raises(SpecError, match="changes none"):
        explore(dataclasses.replace(base, axes={PER_TILE: [64, 128]}))


def test_noise_is_told_from_what_the_simulator_does_not_read():
    assert all(map(is_noise_path, [DAC, NOISE, "analog_cores.a.adc.bits", "analog_cores.a.rows"]))
    assert not any(map(is_noise_path, [PER_TILE, PULSE, BATCH, "analog_cores.a.cost.mvm.energy_pj", "dies.rows.count"]))


def test_few_values_and_settings_are_tried(base):
    values = spread_values(list(range(100)))
    assert (values[0], values[-1], len(values)) == (0, 99, 5)
    space = dataclasses.replace(base, axes={BATCH: [1, 2], "dies.soc.count": list(range(1, 50)), PULSE: list(range(9))})
    tried = list(settings(space, BATCH))
    assert len(tried) <= SETTINGS
    assert {"dies.soc.count": 1, PULSE: 0} in tried
    assert {"dies.soc.count": 49, PULSE: 8} in tried
