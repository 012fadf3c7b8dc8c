"""Intervals hold what they promise: many studies drawn from known laws, no model."""

import math

import numpy as np
import pytest
from scipy import stats

from dse.noise.intervals import is_within, lower_bound, mean_interval, pairs_needed

STUDIES = 6000
TOLERANCE = 0.02


def normal(rng, n):
    return rng.normal(1.0, 0.3, n)


def skewed(rng, n):
    """A sum of 24 squared normals, as a loss that is quadratic in the noise gives it; mean 1, std 0.29."""
    return rng.chisquare(24, n) / 24


def study(rng, law, *, n_first, half_width, most):
    """Pairs of a two-stage study."""
    first = law(rng, n_first)
    return np.concatenate([first, law(rng, pairs_needed(first, half_width=half_width, most=most) - n_first)])


def coverage(law, **plan):
    rng = np.random.default_rng(1)
    found = [mean_interval(study(rng, law, **plan), plan["n_first"]) for _ in range(STUDIES)]
    return sum(low <= 1.0 <= high for _, low, high in found) / STUDIES


@pytest.mark.parametrize("law", [normal, skewed])
@pytest.mark.parametrize(
    "plan",
    [
        {"n_first": 6, "half_width": 1e9, "most": 6},  # the number of chips is given
        {"n_first": 6, "half_width": 0.1, "most": 10_000},
        {"n_first": 6, "half_width": 0.1, "most": 40},  # most studies end at the maximum
        {"n_first": 3, "half_width": 0.3, "most": 10_000},
        {"n_first": 12, "half_width": 0.15, "most": 10_000},
    ],
    ids=["fixed", "wanted width", "at most 40", "three pairs first", "twelve pairs first"],
)
def test_intervals_cover_the_mean_as_often_as_they_say(law, plan):
    assert coverage(law, **plan) == pytest.approx(0.95, abs=TOLERANCE)


def test_stopping_at_the_first_narrow_interval_would_cover_less():
    rng, covered = np.random.default_rng(2), 0
    for _ in range(1500):
        pairs = normal(rng, 3)
        while True:
            interval = mean_interval(pairs, len(pairs))
            if interval.high - interval.low <= 0.3 or len(pairs) >= 60:
                break
            pairs = np.append(pairs, normal(rng, 1))
        covered += interval.low <= 1.0 <= interval.high
    assert covered / 1500 < 0.95 - TOLERANCE


def test_the_wanted_half_width_is_reached_unless_the_maximum_is():
    rng = np.random.default_rng(3)
    for _ in range(200):
        pairs = study(rng, normal, n_first=6, half_width=0.12, most=60)
        interval = mean_interval(pairs, 6)
        assert (interval.high - interval.low) / 2 <= 0.12 or len(pairs) == 60


def test_one_stage_is_the_interval_of_student():
    pairs = np.array([3.0, 4.0, 5.0])
    half = stats.t.ppf(0.975, 2) / math.sqrt(3)  # other program: scipy.stats; by hand: std of 3, 4, 5 is 1
    assert mean_interval(pairs, 3) == pytest.approx((4.0, 4.0 - half, 4.0 + half))


def test_equal_pairs_have_no_interval_and_need_no_more():
    assert mean_interval(np.full(4, 2.2201698), 4) == (2.2201698,) * 3
    assert pairs_needed(np.full(4, 2.0), half_width=1e-9, most=100) == 4
    assert is_within(np.zeros(4), 4, margin=1e-9)


def test_what_cannot_be_reached_takes_the_most_pairs():
    assert pairs_needed(np.array([1.0, 2.0]), half_width=1e-200, most=50) == 50
    assert pairs_needed(np.array([1.0, math.nan]), half_width=1.0, most=50) == 50


def test_infinite_pairs_have_no_interval():
    mean, low, high = mean_interval(np.array([1.0, math.inf]), 2)
    assert mean == math.inf
    assert math.isnan(low)
    assert math.isnan(high)


def test_first_pairs_that_agree_say_nothing_about_later_ones():
    assert math.isnan(mean_interval(np.array([0.5, 0.5, 0.7]), 2).low)


@pytest.mark.parametrize("chips", [1, 6, 20, 59, 200])
@pytest.mark.parametrize("share", [0.3, 0.8, 0.95, 0.99])
def test_the_yield_bound_is_below_the_yield_in_95_percent_of_studies_or_more(chips, share):
    bounds = np.array([lower_bound(k, chips) for k in range(chips + 1)])
    chance = stats.binom.pmf(np.arange(chips + 1), chips, share)  # exact: all possible studies
    assert chance[bounds <= share].sum() >= 0.95 - 1e-12


def test_the_yield_bound_is_the_exact_one():
    assert lower_bound(59, 59) == pytest.approx(0.05 ** (1 / 59))  # closed form: p^n = 0.05
    assert lower_bound(59, 59) > 0.95 > lower_bound(58, 58)
    assert lower_bound(0, 10) == 0.0
    # other program: scipy.stats, Clopper-Pearson, one-sided
    exact = stats.binomtest(17, 20, alternative="greater").proportion_ci(0.95, method="exact")
    assert lower_bound(17, 20) == pytest.approx(exact.low)


@pytest.mark.parametrize("n_first", [3, 6])
@pytest.mark.parametrize("mean", [0.1, -0.1])
def test_a_mapping_at_the_margin_is_called_equivalent_in_5_percent_of_studies_at_most(n_first, mean):
    rng = np.random.default_rng(4)

    def law(rng, n):
        return rng.normal(mean, 0.05, n)

    plan = {"n_first": n_first, "half_width": 0.03, "most": 500}
    wrong = sum(is_within(study(rng, law, **plan), n_first, margin=0.1) for _ in range(STUDIES)) / STUDIES
    assert wrong <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / STUDIES)
    assert wrong > 0.03  # the level is used


def test_a_mapping_without_loss_is_found_equivalent():
    rng = np.random.default_rng(5)
    found = [is_within(rng.normal(0.0, 0.02, 6), 6, margin=0.1) for _ in range(500)]
    assert np.mean(found) > 0.99
