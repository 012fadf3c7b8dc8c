import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dse import load_workload
from dse.spec.model import Model
from dse.spec.model_checks import model_contradictions
from dse.spec.shipped import shipped_names
from dse.workload.blocks import make_blocks
from dse.workload.parameters import crossbar_counts, parameter_counts

TINY = Model(
    name="tiny", d_model=8, n_layers=3, n_heads=4, n_kv_heads=2, head_dim=2, vocab_size=16, n_experts=4, top_k=2,
    d_expert=6, n_shared_experts=1, d_shared_expert=5, n_dense_layers=1, d_dense_ffn=7,
)  # fmt: skip


def with_changes(**changes):
    return parameter_counts(dataclasses.replace(TINY, **changes)).total - parameter_counts(TINY).total


def test_vectors_are_counted_once_each():
    # by hand, from the shapes of TINY: 3 layers, 2 of them with experts
    assert with_changes(biases=("q", "o")) == 3 * (8 + 8)
    assert with_changes(biases=("k", "v")) == 3 * (4 + 4)
    assert with_changes(biases=("router",)) == 2 * 4
    assert with_changes(biases=("expert",)) == 2 * 4 * (6 + 6 + 8)
    assert with_changes(biases=("shared",)) == 2 * (5 + 5 + 8)
    assert with_changes(biases=("ffn",)) == 7 + 7 + 8
    assert with_changes(biases=("head",)) == 16
    assert with_changes(attention_sinks=True) == 3 * 4
    assert with_changes(shared_expert_gate=True) == 2 * 8
    assert with_changes(norm="layer_norm") == (2 * 3 + 1) * 8
    assert with_changes(qk_norm_parameters_per_layer=4) == 3 * 4
    assert with_changes(tied_head=True) == -16 * 8


@st.composite
def models(draw):
    size, n_layers = st.integers(1, 9), draw(st.integers(1, 4))
    heads, groups, n_experts = draw(size), draw(st.integers(1, 3)), draw(size)
    rank, nope, rope = draw(size), draw(size), draw(size)
    is_latent = draw(st.booleans())
    latent = {
        "attention": "mla", "q_lora_rank": draw(st.integers(0, 5)), "kv_lora_rank": rank, "qk_nope_head_dim": nope,
        "qk_rope_head_dim": rope, "v_head_dim": draw(size),
    }  # fmt: skip
    layers = draw(st.sets(st.integers(0, n_layers - 1), min_size=1))
    n_shared = draw(st.integers(0, 2))
    return Model(
        name="any", d_model=draw(size), n_layers=n_layers, n_heads=heads * groups, n_kv_heads=heads,
        head_dim=nope + rope if is_latent else draw(size), vocab_size=draw(size), n_experts=n_experts,
        top_k=draw(st.integers(1, n_experts)), d_expert=draw(size), n_shared_experts=n_shared,
        d_shared_expert=n_shared * draw(size), moe_layers=tuple(sorted(layers)), d_dense_ffn=draw(size),
        ffn=draw(st.sampled_from(["gated", "two_matrix"])), **(latent if is_latent else {}),
    )  # fmt: skip


@given(models())
def test_parameters_are_the_weights_of_the_blocks_and_the_vectors(model):
    assert not list(model_contradictions(model))
    weights = sum(block.block_class.n_weights for block in make_blocks(model))
    norms = (2 * model.n_layers + 1) * model.d_model
    norms += model.n_layers * (model.q_lora_rank + model.kv_lora_rank)
    assert parameter_counts(model).total == weights + norms


@given(models(), st.integers(1, 8))
def test_crossbars_are_those_of_the_blocks(model, array):
    counts, found = crossbar_counts(model, array), {}
    for block in make_blocks(model):
        n = int(block.block_class.n_crossbars(rows=array, cols=array))
        found[block.kind] = found.get(block.kind, 0) + n
    assert counts.all_routed_experts == found["expert"]
    assert counts.attention_per_layer * model.n_layers == found["attention"]
    assert counts.lm_head == found["head"]
    always = sum(n for kind, n in found.items() if kind in {"attention", "router", "shared", "ffn"})
    active = always + model.n_moe_layers * model.top_k * counts.one_expert
    assert counts.active_per_token == active


@pytest.mark.parametrize("name", shipped_names("workload"))
def test_shipped_models_keep_the_rules_of_a_model(name):
    assert list(model_contradictions(load_workload(name).model)) == []


def test_latent_attention_is_three_products_deep():
    matrices = next(b for b in make_blocks(load_workload("deepseek_v3").model) if b.kind == "attention").block_class
    depths = {m.name: (m.n_in, m.n_out, m.depth) for m in matrices.matrices}
    # released: DeepSeek-V3 config.json: 128 heads of 128 + 64, ranks 1536 and 512
    assert depths == {
        "q_a": (7168, 1536, 0), "q_b": (1536, 24_576, 1), "kv_a": (7168, 576, 0), "kv_b": (512, 32_768, 1),
        "o": (16_384, 7168, 2),
    }  # fmt: skip
    assert matrices.path_length == 3


def test_visits_follow_the_layers_with_experts():
    from dse.workload.routing import expert_visits, visits_per_token

    workload = load_workload("tiny_moe", ["routing.kind=zipf", "routing.zipf_exponent=1.0"])
    model = dataclasses.replace(workload.model, moe_layers=(1, 3), d_dense_ffn=64)
    other = dataclasses.replace(workload, model=model)
    visits = expert_visits(other)
    assert visits.shape == (2, 32)
    of_block = dict(zip([b.name for b in other.blocks], visits_per_token(other), strict=True))
    assert of_block["layers.1.experts.5"] == visits[0, 5]
    assert of_block["layers.3.experts.5"] == visits[1, 5]
    assert of_block["layers.2.ffn"] == 1
