"""Shared memory: what the blocks leave, by hand and against one more sequence or token that must no longer fit."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dse import (
    cost_table,
    evaluate,
    load_architecture,
    load_workload,
    option_scores,
    score_blocks,
    solve_mapping,
)
from dse.cost.capacity import MemoryRoom, resident_bytes
from dse.errors import InfeasibleError
from dse.evaluation.all_digital import all_digital_mapping
from dse.evaluation.points import evaluate_points


def test_batch_and_context_of_olmoe_by_hand():
    arch, workload = load_architecture("h200_fp8"), load_workload("olmoe", ["scenario.precision.weights=fp16"])
    e = evaluate(arch, workload, all_digital_mapping(arch, workload))
    # by hand: 141e9 bytes - 6.92e9 parameters at 1 or 2 bytes; a sequence keeps 16 layers x 2 x 2048 x 2 bytes x 1025
    # tokens, and 2 x 2048 + 8 x 2 x 1024 activations at 2 bytes; the embedding takes 50 304 x 2048 x its bytes
    width = 2 if e.resident_bytes["embedding"] == 50304 * 2048 * 2 else 1
    blocks = float(e.units_needed["hbm"][0])
    free = 141e9 - blocks - 50304 * 2048 * width
    activations = (2 * 2048 + 8 * 2 * 1024) * 2
    per_token = 16 * 2 * 2048 * 2
    assert e.max_batch == free // (per_token * 1025 + activations)
    assert e.max_context_tokens == (free / 32 - activations) // per_token - 1
    # 131 kB a token: over 900 sequences of 1 k, or over 32 k tokens each at batch 32
    assert e.max_batch > 900
    assert e.max_context_tokens > 30_000


@pytest.mark.parametrize("name", ["gpt_oss_120b", "deepseek_v3", "olmoe", "olmoe_prefill"])
def test_what_is_reported_fits_and_one_more_does_not(name):
    arch = load_architecture("h200x8_fp8")
    workload = load_workload(name, ["scenario.precision.weights=fp8"])
    mapping = all_digital_mapping(arch, workload)
    e = evaluate(arch, workload, mapping)
    length = "prompt_tokens" if workload.scenario.phase == "prefill" else "context_tokens"
    for path, largest in (("batch", e.max_batch), (length, e.max_context_tokens)):
        evaluate(arch, workload.with_values({f"scenario.{path}": largest}), mapping)
        with pytest.raises(InfeasibleError, match="KV cache"):
            evaluate(arch, workload.with_values({f"scenario.{path}": largest + 1}), mapping)


@given(st.floats(1e3, 1e12), st.integers(1, 64), st.integers(0, 5000))
def test_room_is_used_to_the_last_sequence(free_bytes, batch, context):
    arch = load_architecture("h200_fp8")
    workload = load_workload("olmoe").with_values({"scenario.batch": batch, "scenario.context_tokens": context})
    room = MemoryRoom(arch=arch, workload=workload, free_bytes=free_bytes)
    largest = float(room.max_batch)
    if largest:
        at = workload.with_values({"scenario.batch": largest})
        assert sum(resident_bytes(arch, at).values()) <= free_bytes
    above = workload.with_values({"scenario.batch": largest + 1})
    assert sum(resident_bytes(arch, above).values()) > free_bytes


def test_windows_on_every_layer_set_no_limit_to_the_context():
    arch, workload = load_architecture("h200_fp8"), load_workload("gpt_oss_120b", ["scenario.precision.weights=fp8"])
    model = dataclasses.replace(workload.model, n_windowed_layers=workload.model.n_layers)
    changed = dataclasses.replace(workload, model=model)
    e = evaluate(arch, changed, all_digital_mapping(arch, changed))
    assert e.max_context_tokens == float("inf")
    assert e.to_dict()["capacity"]["hbm"]["max_context_tokens"] is None
    assert json.dumps(e.to_dict()["capacity"], allow_nan=False)


def test_every_design_point_has_its_own_room():
    arch, workload = load_architecture("h200_fp8"), load_workload("olmoe")
    mapping = all_digital_mapping(arch, workload)
    many = evaluate_points(arch, workload.with_values({"scenario.context_tokens": np.array([100.0, 9000.0])}), mapping)
    alone = [evaluate_points(arch, workload.with_values({"scenario.context_tokens": c}), mapping) for c in (100, 9000)]
    assert many.max_batch.tolist() == [e.max_batch for e in alone]
    assert many.max_context_tokens.tolist() == [e.max_context_tokens for e in alone]


def test_experts_on_tiles_leave_more_room_in_memory():
    arch, workload = load_architecture("server_pcm3d"), load_workload("olmoe")
    digital = all_digital_mapping(arch, workload)
    placement = {
        name: option._replace(group="pcm", precision="analog") if ".experts." in name else option
        for name, option in digital.placement.items()
    }
    before = evaluate_points(arch, workload, digital)
    after = evaluate_points(arch, workload, dataclasses.replace(digital, placement=placement))
    assert after.max_batch > before.max_batch
    assert after.max_context_tokens > before.max_context_tokens


def test_a_model_that_is_too_large_is_told_what_by_how_much_and_what_would_do():
    with pytest.raises(InfeasibleError) as caught:
        design_of("h200_fp8", "deepseek_v3")
    cause = caught.value.causes[0]
    assert cause.limit == "capacity[hbm]"
    # by hand: 671.03e9 parameters at 2 bytes, less the embedding of 129 280 x 7168, which is resident
    assert cause.need == pytest.approx((671.03e9 - 129280 * 7168) * 2, rel=1e-4)
    assert "layers.3.experts.0" in str(caught.value)  # the largest part first
    assert "store weights as fp8 or int4" in str(caught.value)


def design_of(architecture, name):
    arch, workload = load_architecture(architecture), load_workload(name)
    scores = option_scores(score_blocks(workload, "random"), workload, arch)
    return solve_mapping(cost_table(arch, workload), scores, workload, arch, objective="energy", limits={})
