"""The same workload on the shipped digital machines: what evaluating them gives, and what does not fit."""

import dataclasses
import json

import numpy as np
import pytest

from dse import evaluate, load_architecture, load_workload, rule_mapping, score_blocks
from dse.evaluation.all_digital import FORMATS, MACHINES, digital_baselines
from dse.report.all_digital import baselines_table, headline


@pytest.fixture(scope="module")
def olmoe():
    return load_workload("olmoe")


@pytest.fixture(scope="module")
def evaluation(olmoe):
    server = load_architecture("server_pcm3d")
    return evaluate(server, olmoe, rule_mapping(server, olmoe, score_blocks(olmoe), rule="all_analog"))


def test_every_machine_and_format_is_evaluated(evaluation):
    assert [(b.architecture, b.weights) for b in evaluation.baselines] == [(m, f) for m in MACHINES for f in FORMATS]


@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize("weights", FORMATS)
def test_a_baseline_is_what_evaluating_that_machine_by_the_rule_all_digital_gives(olmoe, name, weights):
    arch, workload = load_architecture(name), load_workload("olmoe", [f"scenario.precision.weights={weights}"])
    own = evaluate(arch, workload, rule_mapping(arch, workload, score_blocks(workload), rule="all_digital"))
    found = next(b for b in digital_baselines(olmoe) if (b.architecture, b.weights) == (name, weights))
    assert found.tokens_per_s == pytest.approx(own.tokens_per_s, rel=1e-12)
    assert found.tokens_per_j == pytest.approx(own.tokens_per_j, rel=1e-12)
    need = [*own.units_needed.values(), *own.resident_bytes.values()]
    assert found.need_bytes == pytest.approx(sum(np.sum(n) for n in need), rel=1e-12)


def test_the_best_digital_run_has_the_most_tokens_per_joule(evaluation):
    best = evaluation.best_digital
    assert best.tokens_per_j == max(b.tokens_per_j for b in evaluation.baselines if b.fits)
    assert f"best all-digital: {best.name}" in headline(evaluation)


def test_narrower_weights_are_never_slower(evaluation):
    for name in MACHINES:
        speeds = [b.tokens_per_s for b in evaluation.baselines if b.architecture == name]
        assert speeds == sorted(speeds)


def test_a_machine_without_the_memory_is_said_not_to_fit():
    # by hand: 1.026 T parameters are 2.05 TB at fp16, 1.03 TB at fp8; eight H200 have 1.128 TB, one has 141 GB
    runs = {b.name: b for b in digital_baselines(load_workload("kimi_k2"))}
    assert not runs["h200x8_fp8 at fp16"].fits
    assert not runs["h200_fp8 at int4"].fits
    assert runs["h200x8_fp8 at fp8"].fits
    assert runs["h200x8_fp8 at fp8"].need_bytes == pytest.approx(1.03e12, rel=0.01)
    assert runs["h200x8_fp8 at fp16"].to_dict()["tokens_per_s"] is None


def test_other_boundaries_and_accounts_are_flagged_in_the_same_line(evaluation):
    other = dataclasses.replace(evaluation, energy_boundary="die", digital_energy_model="flat_power")
    assert "NOTE" not in headline(evaluation)
    assert "energy boundaries differ, die here and package there" in headline(other)
    assert "counted by flat power here and per operation there" in headline(other)


def test_the_document_carries_the_runs_and_the_best_over_this_design(evaluation):
    document = json.loads(json.dumps(evaluation.to_dict(), default=float))
    assert len(document["baselines"]) == len(MACHINES) * len(FORMATS)
    best = document["best_digital"]
    assert best["tokens_per_j_over_this_design"] == pytest.approx(best["tokens_per_j"] / document["tokens_per_j"])
    assert best["same_energy_boundary"]


def test_bytes_per_token_stand_before_and_after(evaluation):
    frame = evaluation.bytes_per_token.set_index("what")
    assert frame.loc["digital experts", "bytes_per_token"] == 0
    assert frame["all_digital_bytes_per_token"].sum() == pytest.approx(
        evaluation.ceiling["bytes_per_token_all_digital"]
    )


def test_a_workload_that_no_machine_holds_is_said_so(evaluation):
    empty = tuple(dataclasses.replace(b, tokens_per_s=None, tokens_per_j=None) for b in evaluation.baselines)
    without = dataclasses.replace(evaluation, baselines=empty)
    assert without.best_digital is None
    assert "no shipped digital machine has the memory" in headline(without)
    assert baselines_table(without).count(">") == len(empty)
    assert without.to_dict()["best_digital"] is None
