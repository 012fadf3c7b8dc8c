import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dse.workload.batch import active_probability, distinct_active_experts
from dse.workload.build import load_workload
from dse.workload.routing import (
    cap_at_one,
    expert_visits,
    visits_per_token,
)


@pytest.mark.parametrize(("batch", "expected"), [(1, 6.0), (4, 20.8), (16, 50.75), (64, 63.9)])
def test_distinct_active_experts_of_uniform_routing(batch, expected):
    # by hand: 64 (1 - (1 - 6/64)^B)
    assert distinct_active_experts(np.full(64, 6 / 64), batch) == pytest.approx(expected, abs=0.06)


def test_zipf_visits_add_up_to_top_k_and_stay_below_one():
    workload = load_workload("olmoe_zipf", ["routing.zipf_exponent=2.5"])
    visits = expert_visits(workload)
    assert visits.shape == (16, 64)
    assert visits.sum(axis=1) == pytest.approx(8.0)
    assert visits.max() == pytest.approx(1.0)
    assert (np.sort(visits[0]) == np.sort(visits[1])).all()
    assert (visits[0] != visits[1]).any()


@given(st.lists(st.floats(1e-3, 1e3), min_size=2, max_size=30), st.data())
def test_capping_conserves_the_total(popularity, data):
    total = data.draw(st.integers(1, len(popularity)))
    visits = cap_at_one(np.array(popularity), float(total))
    assert visits.sum() == pytest.approx(total)
    assert visits.max() <= 1 + 1e-9


def test_visits_of_dense_blocks_and_of_the_head():
    decode, prefill = load_workload("olmoe"), load_workload("olmoe_prefill")
    by_name = dict(zip([b.name for b in decode.blocks], visits_per_token(decode), strict=True))
    assert by_name["layers.0.attention"] == by_name["head"] == 1.0
    assert by_name["layers.0.experts.0"] == 8 / 64
    assert by_name["embedding"] == 0.0
    assert dict(zip([b.name for b in prefill.blocks], visits_per_token(prefill), strict=True))["head"] == 1 / 512


def test_probability_of_use_grows_with_tokens():
    active = np.asarray(active_probability(np.array(0.125), np.array([1.0, 2.0, 1000.0]), 0.0))
    assert active.tolist() == pytest.approx([0.125, 1 - 0.875**2, 1.0])
