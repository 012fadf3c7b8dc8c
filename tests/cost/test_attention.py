"""Work and traffic of attention: latent, windowed, and both against sums written out."""

import dataclasses
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dse import cost_table, evaluate, load_architecture, load_workload, option_scores, score_blocks, solve_mapping
from dse.cost.attention import attention_cost, attention_ops, kv_traffic_bytes
from dse.cost.capacity import resident_bytes
from dse.evaluation.all_digital import all_digital_mapping
from dse.spec.model import Model
from dse.spec.scenario import Precisions, Scenario
from dse.workload.build import kv_cache_bytes, kv_cache_bytes_per_token

PLAIN = Model(
    name="plain", d_model=8, n_layers=4, n_heads=4, n_kv_heads=2, head_dim=2, vocab_size=16, n_experts=2, top_k=1,
    d_expert=4,
)  # fmt: skip
LATENT = dataclasses.replace(
    PLAIN, attention="mla", head_dim=5, q_lora_rank=6, kv_lora_rank=7, qk_nope_head_dim=3, qk_rope_head_dim=2,
    v_head_dim=4,
)  # fmt: skip
PRECISION = Precisions(kv_cache="int8")


def decode(context, batch=3):
    return Scenario(phase="decode", batch=batch, context_tokens=context, precision=PRECISION)


def prefill(prompt, batch=3):
    return Scenario(phase="prefill", batch=batch, prompt_tokens=prompt, precision=PRECISION)


def windowed(model, layers, tokens):
    return dataclasses.replace(model, n_windowed_layers=layers, window_tokens=tokens)


def test_latent_decode_is_absorbed():
    # by hand: 4 heads x (7 + 2 for keys, 7 for values) multiply-accumulates x 2 operations x 3 sequences x 11 positions
    assert attention_ops(LATENT, decode(10)) == 4 * (9 + 7) * 2 * 3 * 11


def test_latent_prefill_is_expanded():
    # by hand: 4 heads x (3 + 2 for keys, 4 for values) x 2 operations x 3 prompts x 10 * 11 / 2 pairs
    assert attention_ops(LATENT, prefill(10)) == 4 * (5 + 4) * 2 * 3 * 55


def test_the_latent_cache_keeps_the_compressed_width_and_the_rotary_key():
    # by hand: 4 layers x (7 + 2) x 1 byte; a layer moves (10 + 1) tokens of 3 sequences, or 2 x 10 in prefill
    assert kv_cache_bytes_per_token(LATENT, bits=8) == 36
    assert kv_traffic_bytes(LATENT, decode(10)) == 3 * 11 * 9
    assert kv_traffic_bytes(LATENT, prefill(10)) == 3 * 20 * 9


def pairs_of_layers(n_windowed, window, prompt):
    """Causal pairs counted one by one, mean over the layers."""
    pairs = [
        sum(j <= i and (layer >= n_windowed or i - j < window) for i, j in product(range(prompt), repeat=2))
        for layer in range(4)
    ]
    return sum(pairs) / 4


@given(st.integers(0, 4), st.integers(1, 12), st.integers(1, 10))
def test_windowed_pairs_are_those_counted_one_by_one(n_windowed, window, prompt):
    model = windowed(PLAIN, n_windowed, window) if n_windowed else PLAIN
    expected = pairs_of_layers(n_windowed, window, prompt) * 3 * 4 * 2 * (2 + 2)
    assert attention_ops(model, prefill(prompt)) == pytest.approx(expected)


@pytest.mark.parametrize("model", [PLAIN, LATENT])
def test_a_window_that_is_not_full_changes_nothing(model):
    wide = windowed(model, 2, 100)
    for scenario in (decode(99), prefill(100)):
        assert attention_ops(wide, scenario) == attention_ops(model, scenario)
        assert kv_traffic_bytes(wide, scenario) == kv_traffic_bytes(model, scenario)
    assert kv_cache_bytes(wide, tokens=100, bits=8) == kv_cache_bytes(model, tokens=100, bits=8)


def test_a_full_window_bounds_work_traffic_and_cache():
    # by hand: 2 layers see 1001 tokens, 2 see 8: (1001 + 8) / 2 on average
    model = windowed(PLAIN, 2, 8)
    assert attention_ops(model, decode(1000)) == 4 * 4 * 2 * 3 * (1001 + 8) / 2
    assert kv_traffic_bytes(model, decode(1000)) == 3 * 8 * (1001 + 8) / 2
    assert kv_cache_bytes(model, tokens=1001, bits=8) == 8 * 2 * (1001 + 8)


def test_windows_pass_arrays_of_contexts():
    model, contexts = windowed(PLAIN, 2, 8), np.array([3.0, 1000.0])
    both = attention_ops(model, decode(contexts))
    assert both.tolist() == [attention_ops(model, decode(c)) for c in (3, 1000)]


def test_long_contexts_of_gpt_oss_fit_into_less_memory_than_without_windows():
    arch, workload = load_architecture("h200_fp8"), load_workload("gpt_oss_120b", ["scenario.context_tokens=100000"])
    full = dataclasses.replace(workload, model=windowed(workload.model, 0, 0))
    share = resident_bytes(arch, workload)["KV cache"] / resident_bytes(arch, full)["KV cache"]
    assert share == pytest.approx((100_001 + 128) / 2 / 100_001)


@pytest.mark.parametrize("layers", [(0, 1, 2, 3), (1, 3), (2,)])
def test_energy_of_interleaved_layers_adds_up(layers):
    # the sum over the layers with experts, whichever they are, is linear in their number
    arch, workload = load_architecture("tiny_edge"), load_workload("tiny_moe")
    energies = {}
    for chosen in (layers, tuple(range(len(layers)))):
        model = dataclasses.replace(workload.model, moe_layers=chosen, d_dense_ffn=64)
        other = dataclasses.replace(workload, model=model)
        mapping = all_digital_mapping(arch, other)
        energies[chosen] = evaluate(arch, other, mapping).energy_pj_per_token
    assert len({round(float(e), 3) for e in energies.values()}) == 1


def test_the_program_and_the_evaluation_agree_on_a_latent_model_with_windows():
    arch, workload = load_architecture("tiny_edge"), load_workload("tiny_moe", ["sensitivity.rule=random"])
    model = dataclasses.replace(
        workload.model, attention="mla", q_lora_rank=32, kv_lora_rank=64, qk_nope_head_dim=16, qk_rope_head_dim=8,
        head_dim=24, v_head_dim=16, moe_layers=(0, 2), d_dense_ffn=64, n_windowed_layers=2, window_tokens=32,
    )  # fmt: skip
    changed = dataclasses.replace(workload, model=model, checkpoint=None)
    costs = cost_table(arch, changed)
    scores = option_scores(score_blocks(changed), changed, arch)
    mapping = solve_mapping(
        costs, scores, changed, arch, objective="energy", limits={"max_sensitivity_share": 0.5}
    )  # fmt: skip
    assert mapping.bound <= mapping.value * (1 + 1e-9)
    assert evaluate(arch, changed, mapping).energy_pj_per_token == pytest.approx(mapping.value, rel=1e-3)


@pytest.mark.parametrize("n_kv_heads", [4, 2, 1])
def test_grouped_heads_share_keys_but_not_work(n_kv_heads):
    # by hand: 4 query heads x 2 products x 2 operations x 2 elements x 3 sequences x 11 positions, whoever shares keys;
    # 2 x key/value heads x 2 elements x 1 byte are read for each of the 11 positions
    model = dataclasses.replace(PLAIN, n_kv_heads=n_kv_heads)
    assert attention_ops(model, decode(10)) == 4 * 2 * 2 * 2 * 3 * 11
    assert kv_traffic_bytes(model, decode(10)) == 3 * 11 * 2 * n_kv_heads * 2
    assert attention_ops(model, prefill(10)) == 4 * 2 * 2 * 2 * 3 * 55
    assert kv_traffic_bytes(model, prefill(10)) == 3 * 20 * 2 * n_kv_heads * 2


@pytest.mark.parametrize(("kv_cache", "n_bytes"), [("fp16", 2.0), ("fp8", 1.0), ("int8", 1.0), ("int4", 0.5)])
def test_the_cache_takes_the_bytes_of_its_format(kv_cache, n_bytes):
    scenario = dataclasses.replace(decode(10), precision=Precisions(kv_cache=kv_cache))
    for model in (PLAIN, LATENT, windowed(PLAIN, 4, 100)):
        assert kv_traffic_bytes(model, scenario) == 3 * 11 * model.kv_elements_per_layer * n_bytes
        assert kv_cache_bytes(model, tokens=11, bits=8 * n_bytes) == 4 * 11 * model.kv_elements_per_layer * n_bytes


def test_a_cache_narrower_than_activations_is_computed_as_wide_as_they_are():
    arch = load_architecture("h200_fp8")
    wide = "scenario.precision.activations=fp16"
    ns = {
        kv: attention_cost(arch, load_workload("olmoe", [wide, f"scenario.precision.kv_cache={kv}"])).compute_ns
        for kv in ("fp16", "fp8", "int4")
    }
    assert ns["fp8"] == ns["fp16"] == ns["int4"]


def test_the_cache_of_a_65_billion_model_is_two_widths_a_layer_and_token():
    # closed form 2·L·h_kv·d_h·n·B of AttAcc (ASPLOS 2024): LLaMA-65B, 80 layers of 64 heads x 128, 2 bytes
    model = dataclasses.replace(PLAIN, n_layers=80, n_heads=64, n_kv_heads=64, head_dim=128)
    assert kv_cache_bytes(model, tokens=2048, bits=16) == 2 * 80 * 64 * 128 * 2048 * 2
