import json
import pickle
import shutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from multiprocessing import get_context

import numpy as np
import pytest
import torch
from pandas.testing import assert_frame_equal

from dse.cost.option import Option
from dse.errors import SpecError, TimeLimitError
from dse.noise import AccuracyInterrupted, bench, check_accuracy, measure
from dse.noise.chip import ChipJob
from dse.noise.keep import Place
from dse.spec.array_effects import DriftCompensation
from dse.spec.load import load_device
from dse.spec.scenario import WeightedScenario

from .small import (
    CONTEXT,
    EXPERTS,
    LAYERS,
    TOP_K,
    block_names,
    make_architecture,
    make_core,
    make_device,
    make_mapping,
    make_model,
    make_workload,
    write_tokens,
)

ALL = make_mapping(lambda block: True)
FEW = {"draws": 4, "n_tokens": 10 * CONTEXT}


@pytest.fixture(scope="module")
def workload(checkpoint):
    return make_workload(checkpoint)


@pytest.fixture(scope="module")
def report(workload):
    return check_accuracy(make_architecture(), workload, ALL, n_items=None, **FEW)


def test_the_report_holds_one_row_per_chip_and_one_per_metric(report):
    metrics = ["loss_nats", "perplexity", "top1_fraction", "multiple_choice_fraction"]
    assert report.draws[["pair", "sign"]].to_numpy().tolist() == [[0, 1], [0, -1], [1, 1], [1, -1]]
    assert list(report.draws)[2:] == metrics
    assert report.summary["metric"].tolist() == list(report.digital) == metrics
    assert report.n_tokens == 10 * CONTEXT
    assert report.n_items == 5
    assert report.analog_blocks == len(block_names())
    assert report.draws["loss_nats"].nunique() == 4
    assert "conductance drift" in report.unmodelled


def test_means_are_those_of_the_chips(report):
    for metric in report.digital:
        row = report.metric(metric)
        assert row["mean"] == pytest.approx(report.draws[metric].mean())
        assert row["increase"] == pytest.approx(row["mean"] - report.digital[metric])
    assert report.loss_increase_nats == report.metric("loss_nats")["increase"]
    np.testing.assert_allclose(report.draws["perplexity"], np.exp(report.draws["loss_nats"]))


def test_the_report_is_plain_json(report):
    record = json.loads(json.dumps(report.to_dict()))
    assert record["schema_version"] == 1
    assert len(record["draws"]) == 4
    assert set(record["digests"]) >= {"architecture", "workload", "mapping", "checkpoint", "evaluation", "calibration"}


def test_equal_settings_give_equal_chips(workload, report):
    again = check_accuracy(make_architecture(), workload, ALL, n_items=None, **FEW)
    assert_frame_equal(again.draws, report.draws, check_exact=True)


def test_another_seed_gives_other_chips(workload, report):
    other = check_accuracy(make_architecture(), workload, ALL, seed=1, **FEW)
    assert not set(other.draws["loss_nats"]) & set(report.draws["loss_nats"])


def test_without_analog_blocks_nothing_increases(workload):
    found = check_accuracy(make_architecture(), workload, make_mapping(()), **FEW)
    assert found.analog_blocks == 0
    assert found.effects == ()
    assert (found.summary[["increase", "increase_low", "increase_high"]] == 0).all(axis=None)
    assert (found.draws["loss_nats"] == found.digital["loss_nats"]).all()


def test_digital_blocks_of_few_bits_are_measured_with_rounded_weights(workload):
    mapping = make_mapping(())
    mapping.placement.update({block: Option("npu", "int4") for block in block_names() if ".experts." in block})
    found = check_accuracy(make_architecture(), workload, mapping, **FEW)
    assert (found.analog_blocks, found.rounded_blocks) == (0, LAYERS * EXPERTS)
    assert found.effects == ("int4 weights of digital units",)
    assert found.draws["loss_nats"].nunique() == 1  # nothing is drawn
    assert found.loss_increase_nats != 0


def test_the_report_says_what_computed_and_what_drew(report):
    assert report.torch_device == "cpu"
    assert report.generator.startswith("weights: NumPy SFC64")
    assert report.unplaced == ("model.embed_tokens.weight",)


def test_a_model_without_room_for_its_chip_gives_the_same_chips(workload, report, monkeypatch):
    monkeypatch.setattr(bench, "fits", lambda n_bytes, free: False)
    bench.load_bench.cache_clear()
    tight = check_accuracy(make_architecture(), workload, ALL, n_items=None, **FEW)
    bench.load_bench.cache_clear()
    assert_frame_equal(tight.draws, report.draws, check_exact=True)


@pytest.mark.parametrize(
    ("name", "told"), [("tpu", "expected cpu, cuda or cuda:N"), ("meta", "expected cpu"), ("cuda:99", "is not here")]
)
def test_unknown_and_absent_devices_are_refused(workload, name, told):
    with pytest.raises(SpecError, match=f"torch_device: .*{told}"):
        check_accuracy(make_architecture(), workload, ALL, torch_device=name, **FEW)


def test_an_all_digital_mapping_needs_no_calibration_text(checkpoint):
    workload = make_workload(checkpoint, calibration_tokens=None)
    assert check_accuracy(make_architecture(), workload, make_mapping(()), **FEW).loss_increase_nats == 0


def test_without_noise_only_the_converters_count(workload):
    silent = make_architecture(make_core(make_device(noise=0.0)))
    zero, off = (
        check_accuracy(arch, workload, ALL, scale=scale, **FEW)
        for arch, scale in ((silent, 1.0), (make_architecture(), 0.0))
    )
    assert_frame_equal(zero.draws, off.draws, check_exact=True)
    assert zero.draws["loss_nats"].nunique() == 1
    assert abs(zero.loss_increase_nats) < 0.01


def test_more_noise_moves_the_loss_further(workload):
    spread = [
        check_accuracy(make_architecture(), workload, ALL, scale=scale, **FEW).draws["loss_nats"].std()
        for scale in (0.5, 2.0)
    ]
    assert spread[0] < spread[1]


def test_executors_give_the_same_chips_in_the_same_order(workload, report):
    with ThreadPoolExecutor(2) as executor:
        found = check_accuracy(make_architecture(), workload, ALL, n_items=None, executor=executor, **FEW)
    assert_frame_equal(found.draws, report.draws, check_exact=True)


def test_progress_is_told_after_every_chip(workload):
    told = []
    check_accuracy(make_architecture(), workload, ALL, progress=lambda *done: told.append(done), **FEW)
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_a_job_can_go_to_another_process():
    job = ChipJob(arch=make_architecture(), mapping=ALL, bench=None, place=Place(0, 1), seed=1, time_s=0.0,
                  scale=1.0, width=16)  # fmt: skip
    assert pickle.loads(pickle.dumps(job)).mapping.placement == ALL.placement


def test_the_layers_and_experts_of_the_chips_are_reported(report):
    layers, loads = report.layers, report.expert_loads
    assert layers["layer"].tolist() == [0, 1]
    assert (layers["snr_db"] > 0).all()
    assert (layers["snr_low_db"] < layers["snr_db"]).all()
    assert (layers["routing_changed_fraction"] > 0).all()
    assert len(loads) == 2 * EXPERTS
    assert loads.groupby("layer")["digital_load_fraction"].sum().tolist() == pytest.approx([TOP_K, TOP_K])
    assert loads.groupby("layer")["load_change_fraction"].sum().tolist() == pytest.approx([0, 0], abs=1e-9)


def test_a_wanted_half_width_draws_as_many_chips_as_the_first_stage_asks_for(workload, report):
    """The first stage is the study of the same draws; what it asks for is Stein's number of pairs."""
    fixed = report.metric("loss_nats")
    half = (fixed["increase_high"] - fixed["increase_low"]) / 2
    found = check_accuracy(make_architecture(), workload, ALL, n_items=None, half_width_nats=half / 1.5, **FEW)
    assert len(found.draws) == found.planned_draws == 2 * 5  # by hand: 2 pairs x 1.5^2 = 4.5
    assert found.first_draws == 4
    assert found.status == "complete"
    assert_frame_equal(found.draws.head(4), report.draws, check_exact=True)
    loss = found.metric("loss_nats")
    assert (loss["increase_high"] - loss["increase_low"]) / 2 <= half / 1.5
    most = check_accuracy(
        make_architecture(), workload, ALL, n_items=None, half_width_nats=half / 1.5, max_draws=6, **FEW
    )
    assert (len(most.draws), most.status) == (6, "draws_limit")


def test_yield_and_equivalence_are_reported_where_asked_for(workload, report):
    assert report.chip_yield is report.equivalence is None
    found = check_accuracy(make_architecture(), workload, ALL, yield_limit_nats=1e3, margin_nats=1e3, **FEW)
    assert found.chip_yield.passing_chips == found.chip_yield.chips == 2
    assert found.equivalence.is_equivalent
    assert json.loads(json.dumps(found.to_dict()))["chip_yield"]["limit_nats"] == 1e3


def test_a_stopped_study_goes_on_from_its_chips(workload, report, tmp_path, monkeypatch):
    def stop(done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(AccuracyInterrupted) as stopped:
        check_accuracy(make_architecture(), workload, ALL, n_items=None, folder=tmp_path, progress=stop, **FEW)
    assert (stopped.value.done, stopped.value.planned) == (3, 4)
    assert len(list(tmp_path.glob("chip_*.json"))) == 3
    asked = []
    evaluate = measure.evaluate_chip
    monkeypatch.setattr(measure, "evaluate_chip", lambda job: asked.append(job.place) or evaluate(job))
    found = check_accuracy(make_architecture(), workload, ALL, n_items=None, folder=tmp_path, **FEW)
    assert asked == [Place(1, -1)]
    assert_frame_equal(found.draws, report.draws, check_exact=True)
    assert_frame_equal(found.layers, report.layers, check_exact=True)


def test_a_damaged_chip_is_measured_again(workload, report, tmp_path):
    check_accuracy(make_architecture(), workload, ALL, n_items=None, folder=tmp_path, **FEW)
    (tmp_path / "chip_00001_plus.json").write_text('{"study": "')
    found = check_accuracy(make_architecture(), workload, ALL, n_items=None, folder=tmp_path, **FEW)
    assert_frame_equal(found.draws, report.draws, check_exact=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scale": 2.0}, r"holds the chips of another study \(other scale\); give another folder"),
        ({"seed": 1, "n_tokens": CONTEXT}, r"another study \(other seed, tokens\)"),
    ],
)
def test_a_folder_of_another_study_is_refused(workload, tmp_path, changes, message):
    check_accuracy(make_architecture(), workload, make_mapping(["head"]), folder=tmp_path, **FEW)
    with pytest.raises(SpecError, match=message):
        check_accuracy(make_architecture(), workload, make_mapping(["head"]), folder=tmp_path, **FEW | changes)


def test_what_only_costs_does_not_make_another_study(workload, tmp_path):
    check_accuracy(make_architecture(), workload, ALL, folder=tmp_path, **FEW)
    larger = replace(make_architecture(make_core(tiles_per_die=7)), digest="other")
    check_accuracy(larger, workload, ALL, folder=tmp_path, **FEW)
    finer = make_architecture(make_core(bits=10))
    with pytest.raises(SpecError, match=r"another study \(other cores\)"):
        check_accuracy(finer, workload, ALL, folder=tmp_path, **FEW)


def test_a_folder_of_other_files_is_refused(workload, tmp_path):
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(SpecError, match=r"holds other files and no study\.json"):
        check_accuracy(make_architecture(), workload, ALL, folder=tmp_path, **FEW)
    with pytest.raises(SpecError, match="is a file; chips are kept in a folder"):
        check_accuracy(make_architecture(), workload, ALL, folder=tmp_path / "notes.txt", **FEW)


def test_at_the_time_limit_the_complete_pairs_are_reported(workload, report, tmp_path, monkeypatch):
    clock = count()  # every look at the clock takes a second
    monkeypatch.setattr("time.monotonic", lambda: float(next(clock)))
    settings = {"n_items": None, "draws": 8, "n_tokens": 10 * CONTEXT, "folder": tmp_path}
    with pytest.raises(TimeLimitError, match="time is over after 2 of 8 chips; an interval needs two whole pairs"):
        check_accuracy(make_architecture(), workload, ALL, time_limit_s=3.0, **settings)
    found = check_accuracy(make_architecture(), workload, ALL, time_limit_s=4.0, **settings)
    assert (found.status, found.planned_draws, found.first_draws) == ("time_limit", 8, 4)
    assert_frame_equal(found.draws, report.draws, check_exact=True)


@pytest.mark.slow
def test_processes_give_the_same_chips(workload, report):
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
        found = check_accuracy(make_architecture(), workload, ALL, n_items=None, executor=executor, **FEW)
    assert_frame_equal(found.draws, report.draws, check_exact=True)
    assert_frame_equal(found.expert_loads, report.expert_loads, check_exact=True)


def test_cores_of_other_sizes_have_ranges_of_their_own(workload):
    arch = make_architecture(make_core(rows=10, cols=10), make_core(name="wide"))
    placement = dict(ALL.placement) | make_mapping(["head"], group="wide").placement
    mapping = replace(ALL, placement=placement | {b: o for b, o in ALL.placement.items() if b != "head"})
    assert check_accuracy(arch, workload, mapping, **FEW).draws["loss_nats"].notna().all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"draws": 5}, r"draws: chips come in antithetic pairs: expected an even number >= 4 \(got 5\)"),
        ({"draws": 2}, r"expected an even number >= 4 \(got 2\)"),
        ({"time_s": 3600.0}, r"time_s: test device has no drift model, so only 0 is possible \(got 3600\)"),
        ({"scale": -0.5}, r"scale: expected a finite number >= 0"),
        ({"n_tokens": 0}, r"n_tokens: expected a number > 0"),
        ({"n_items": -1}, r"n_items: expected a number >= 0"),
        ({"half_width_nats": 0.0}, r"half_width_nats: expected a finite number > 0 \(got 0\)"),
        ({"half_width_nats": 0.1, "max_draws": 3}, r"max_draws: chips come in antithetic pairs"),
        ({"draws": 8, "half_width_nats": 0.1, "max_draws": 6}, r"max_draws: is below draws, the first stage \(6 < 8\)"),
        ({"margin_nats": -0.1}, r"margin_nats: expected a finite number > 0 \(got -0\.1\)"),
        ({"yield_limit_nats": float("nan")}, r"yield_limit_nats: expected a finite number \(got nan\)"),
        ({"task_path": "."}, "task_path: names a folder, but no task of it is asked for"),
        ({"task_path": "nowhere", "tasks": ["a"]}, "task_path: no such folder of task files: nowhere"),
        ({"task_items": 0, "tasks": ["a"]}, r"task_items: expected a number >= 1, or None for all \(got 0\)"),
        ({"tasks": ["a", "a"]}, "tasks: a task is named twice: a, a"),
    ],
)
def test_impossible_settings_are_refused(workload, options, message):
    with pytest.raises(SpecError, match=message):
        check_accuracy(make_architecture(), workload, ALL, **FEW | options)


def test_weights_are_as_old_as_the_scenario_says(workload):
    aged = workload.with_values({"scenario.time_since_programming_s": 60.0})
    arch = make_architecture(make_core(load_device("pcm_generic")))
    report = check_accuracy(arch, aged, ALL, **FEW)
    assert report.time_s == 60.0
    told = check_accuracy(arch, workload, ALL, time_s=60.0, **FEW)
    assert_frame_equal(report.draws, told.draws)
    assert check_accuracy(arch, aged, ALL, time_s=0.0, **FEW).time_s == 0.0


def test_a_model_of_16_bits_is_measured_in_its_own_format(tmp_path, workload):
    folder = shutil.copytree(workload.checkpoint, tmp_path / "half")
    make_model().bfloat16().save_pretrained(folder)
    half = replace(workload, checkpoint=folder)
    whole, own = (
        check_accuracy(make_architecture(), replace(half, number_format=name), ALL, **FEW)
        for name in ("float32", "as_stored")
    )
    assert {p.dtype for p in bench.load_checkpoint(folder, "as_stored").model.parameters()} == {torch.bfloat16}
    # bfloat16 rounds with 2^-9; the same weights, text and chips
    assert own.digital["loss_nats"] == pytest.approx(whole.digital["loss_nats"], rel=0.01)
    assert own.digital["loss_nats"] != whole.digital["loss_nats"]
    for report in (whole, own):
        assert report.layers["snr_db"].min() > 5
    assert own.layers["snr_db"].mean() == pytest.approx(whole.layers["snr_db"].mean(), abs=1.5)


def test_chips_that_read_themselves_are_about_as_good_as_known_ones(workload):
    def snr(read):
        core = make_core(load_device("pcm_generic"), drift_compensation=read)
        report = check_accuracy(make_architecture(core), workload, ALL, time_s=86_400.0, **FEW)
        return report.layers["snr_db"].mean()

    drifted = snr(None)
    known, own = (snr(DriftCompensation(scope="tile", read=read)) for read in ("exact", "read_out"))
    assert own > drifted + 3
    assert own == pytest.approx(known, abs=0.5)


def test_a_device_without_drift_has_no_later_state(workload):
    aged = workload.with_values({"scenario.time_since_programming_s": 60.0})
    with pytest.raises(SpecError, match="has no drift model, so only 0 is possible"):
        check_accuracy(make_architecture(), aged, ALL, **FEW)


def test_scenarios_of_different_ages_need_one(workload):
    entries = (("new", 0.0), ("old", 60.0))
    mix = tuple(
        WeightedScenario(name=name, phase="decode", batch=1, time_since_programming_s=age) for name, age in entries
    )
    with pytest.raises(SpecError, match="accuracy is measured at one age, here are 0, 60; give time_s"):
        check_accuracy(make_architecture(), replace(workload, mix=mix), ALL, **FEW)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"checkpoint": None}, "workload tiny: checkpoint: no weights, so accuracy cannot be measured; add"),
        ({"evaluation_tokens": None}, "workload tiny: evaluation: no held-out text; add"),
        ({"calibration_tokens": None}, "workload tiny: calibration: no training text for converter ranges; add"),
        ({"multiple_choice": None}, r"workload tiny: evaluation\.multiple_choice: no items; add"),
    ],
)
def test_what_a_workload_lacks_is_named(checkpoint, changes, message):
    with pytest.raises(SpecError, match=message):
        check_accuracy(make_architecture(), make_workload(checkpoint, **changes), ALL, n_items=3, **FEW)


def test_a_checkpoint_of_another_shape_is_refused(workload):
    wide = replace(workload, model=replace(workload.model, d_expert=13))
    with pytest.raises(SpecError, match=r"layers\.0\.experts\.0: checkpoint has .*workload says"):
        check_accuracy(make_architecture(), wide, ALL, **FEW)


def test_text_of_another_tokenizer_is_refused(checkpoint, tmp_path):
    (tmp_path / "tokenizer.json").write_text("other")
    foreign = write_tokens(tmp_path, "foreign", np.zeros(1000, np.uint16))
    with pytest.raises(SpecError, match=r"foreign\.json: tokenizer_sha256"):
        check_accuracy(make_architecture(), make_workload(checkpoint, evaluation_tokens=foreign), ALL, **FEW)


def test_the_package_imports_without_torch_and_names_the_missing_part():
    program = """
import sys
sys.modules["torch"] = None
import dse.noise
from dse.errors import MissingExtraError
assert dse.noise.AccuracyReport and "check_accuracy" in dir(dse.noise)
for name, part in (("check_accuracy", "hf"), ("simulate_linear", "noise")):
    try:
        getattr(dse.noise, name)
    except MissingExtraError as error:
        assert f"[{part}]" in str(error), error
    else:
        raise AssertionError(name)
"""
    subprocess.run([sys.executable, "-c", program], check=True)
