import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from dse.errors import SpecError
from dse.sensitivity.score import score_blocks
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


def test_load_follows_the_scores_as_much_as_asked():
    for wanted in (-0.9, -0.3, 0.4, 0.8):
        base = load_workload("kimi_k2", ["routing.kind=zipf", "routing.zipf_exponent=1.0",
                                         f"routing.norm_load_rank_correlation={wanted}"])  # fmt: skip
        scores = score_blocks(base)
        visits = expert_visits(base.with_score_order(scores))
        table = scores[scores["kind"] == "expert"]["score"].to_numpy().reshape(visits.shape)
        found = [spearmanr(v, s).statistic for v, s in zip(visits, table, strict=True)]
        # 60 layers of 384 experts: the mean of 60 coefficients of about 1/sqrt(384) spread
        assert np.mean(found) == pytest.approx(wanted, abs=0.03)


@pytest.mark.parametrize(("wanted", "order"), [(1.0, 1), (-1.0, -1)])
def test_the_highest_scores_are_the_busiest_or_the_idlest(wanted, order):
    base = load_workload("olmoe_zipf", [f"routing.norm_load_rank_correlation={wanted}"])
    scores = score_blocks(base)
    visits = expert_visits(base.with_score_order(scores))
    table = scores[scores["kind"] == "expert"]["score"].to_numpy().reshape(visits.shape)
    assert (np.diff(np.take_along_axis(visits, np.argsort(order * table, axis=1), axis=1)) >= 0).all()


def test_an_order_by_score_without_scores_is_refused_with_the_remedy():
    workload = load_workload("olmoe_zipf", ["routing.norm_load_rank_correlation=0.5"])
    with pytest.raises(SpecError, match=r"with_score_order\(score_blocks\(workload\)\)"):
        expert_visits(workload)


def test_another_routing_file_needs_another_load():
    with pytest.raises(SpecError, match="load it again"):
        load_workload("olmoe").with_values({"routing.file": "other.csv"})
