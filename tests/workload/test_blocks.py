import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dse.spec.model import Model
from dse.workload.blocks import block_classes, blocks_per_class, class_numbers, make_blocks
from dse.workload.build import kv_cache_bytes_per_token, load_workload
from dse.workload.parameters import n_parameters


@pytest.fixture(scope="module")
def olmoe():
    return load_workload("olmoe")


def weights(workload, *kinds):
    return sum(b.block_class.n_weights for b in workload.blocks if b.kind in kinds)


def test_olmoe_has_the_parameters_of_its_released_checkpoint(olmoe):
    # transformers 5.23: OlmoeForCausalLM of allenai/OLMoE-1B-7B-0924 has 6 919 161 856 parameters
    assert n_parameters(olmoe.model) == 6_919_161_856


def test_olmoe_parameter_shares_are_those_of_the_published_table(olmoe):
    # paper: arXiv 2603.02633, table 2: 5.37 % digital is attention + head;
    # with 12.5 % and 25 % of the experts 17.01 and 28.65 %
    total = n_parameters(olmoe.model)
    dense = weights(olmoe, "attention", "head")
    experts = weights(olmoe, "expert")
    shares = [dense, dense + experts / 8, dense + experts / 4, experts]
    assert [round(100 * share / total, 2) for share in shares] == [5.37, 17.01, 28.65, 93.11]


def test_olmoe_needs_the_known_numbers_of_crossbars(olmoe):
    # by hand: 3 matrices of 2048 x 1024 in 512 x 512 arrays = 3 * 4 * 2 = 24; 16 layers x 64 experts
    arrays = {"rows": 512, "cols": 512}
    count = {k: sum(float(b.block_class.n_crossbars(**arrays)) for b in olmoe.blocks if b.kind == k)
             for k in ("expert", "attention", "router", "head")}  # fmt: skip
    assert count == {"expert": 24_576, "attention": 16 * 64, "router": 16 * 4, "head": 396}


def test_block_names_follow_the_glossary(olmoe):
    names = [block.name for block in olmoe.blocks]
    assert names[0] == "embedding"
    assert names[-1] == "head"
    assert {"layers.3.experts.17", "layers.3.attention", "layers.3.router"} <= set(names)
    assert len(names) == len(set(names)) == 2 + 16 * (1 + 1 + 64)


def test_dense_first_layers_and_shared_experts_become_blocks():
    shape = dict(d_model=8, n_layers=3, n_heads=2, n_kv_heads=1, head_dim=4, vocab_size=16)
    experts = dict(n_experts=4, top_k=2, d_expert=4, n_shared_experts=2, d_shared_expert=8)
    model = Model(name="m", **shape, **experts, n_dense_layers=1, d_dense_ffn=12)
    kinds = [block.kind for block in make_blocks(model)]
    assert kinds.count("ffn") == 1
    assert kinds.count("shared") == 2
    assert kinds.count("expert") == 8
    attention = next(b for b in make_blocks(model) if b.kind == "attention").block_class
    assert attention.n_weights == 8 * 8 + 2 * 8 * 4 + 8 * 8  # by hand: q, k and v of one key head, o


def test_kv_cache_bytes_of_olmoe(olmoe):
    # by hand: 2 * 16 layers * 2048 * 2 bytes
    assert kv_cache_bytes_per_token(olmoe.model, bits=16) == 131_072


@given(st.integers(1, 4000), st.integers(1, 4000), st.integers(1, 1024), st.integers(1, 1024))
def test_crossbars_hold_all_weights_and_never_one_row_or_column_too_many(n_in, n_out, rows, cols):
    from dse.workload.blocks import Matrix

    slices = float(Matrix("m", n_in, n_out, 0).n_slices(rows=rows, cols=cols))
    assert slices * rows * cols >= n_in * n_out
    assert np.ceil(n_in / rows) <= slices
    assert (np.ceil(n_in / rows) - 1) * rows < n_in


def test_blocks_per_class_do_not_depend_on_other_models_in_use():
    model = load_workload("olmoe").model
    before = block_classes(model), blocks_per_class(model)
    make_blocks.cache_clear()  # as many other models do: blocks are made anew, their classes are not
    class_numbers.cache_clear()
    blocks_per_class.cache_clear()
    assert (block_classes(model), blocks_per_class(model)) == before
    # by hand: 16 layers of an attention, a router and 64 experts, embedding and head
    assert sorted(before[1]) == [1, 1, 16, 16, 1024]
