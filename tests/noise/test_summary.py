import numpy as np
import pandas as pd
import pytest
from scipy import stats

from dse.noise.summary import half_width, summarise


def chips(values):
    """A table of chips from [[plus, minus], ...]."""
    rows = [
        {"pair": p, "sign": s, "loss_nats": v}
        for p, pair in enumerate(values)
        for s, v in zip((1, -1), pair, strict=True)
    ]
    return pd.DataFrame(rows)


def test_intervals_are_of_student_over_pair_means():
    table = summarise(chips([[2.0, 4.0], [3.0, 5.0], [5.0, 5.0]]), {"loss_nats": 2.5}).iloc[0]
    means = [3.0, 4.0, 5.0]
    half = stats.t.ppf(0.975, 2) * 1.0 / 3**0.5  # other program: scipy.stats; by hand: std of 3, 4, 5 is 1
    assert table["mean"] == pytest.approx(np.mean(means))
    assert table["low"] == pytest.approx(4 - half)
    assert table["high"] == pytest.approx(4 + half)
    assert table["increase"] == pytest.approx(1.5)
    assert table["increase_low"] == pytest.approx(1.5 - half)
    assert table["increase_high"] == pytest.approx(1.5 + half)
    assert table["n_pairs"] == 3


def test_equal_chips_have_no_interval_and_no_increase():
    digital = 2.2201698
    table = summarise(chips([[digital, digital]] * 4), {"loss_nats": digital}).iloc[0]
    assert table["increase"] == table["increase_low"] == table["increase_high"] == 0.0
    assert table["mean"] == table["low"] == table["high"] == digital


def test_antithetic_differences_within_pairs_do_not_widen_the_interval():
    assert half_width(pd.Series([1.0, 1.0, 1.0])) == 0
    table = summarise(chips([[0.0, 2.0], [-5.0, 7.0]]), {"loss_nats": 0.0}).iloc[0]
    assert table["low"] == table["high"] == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("n_pairs", [2, 6])
def test_intervals_cover_the_mean_as_often_as_they_say(n_pairs):
    rng = np.random.default_rng(0)
    repeats = 4000
    covered = 0
    for _ in range(repeats):
        means = pd.Series(rng.normal(1.0, 0.3, n_pairs))
        covered += abs(means.mean() - 1.0) <= half_width(means)
    assert covered / repeats == pytest.approx(0.95, abs=4 * (0.95 * 0.05 / repeats) ** 0.5)
