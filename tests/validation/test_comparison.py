"""Errors, bands and claims of comparisons."""

import math

import pytest

from dse.validation.comparison import Claim, Comparison, Row, errors_of


def row(stated, found, **kwargs):
    return Row(case="x", quantity="energy_pj", stated=stated, found=found, **kwargs)


def test_an_error_counts_beyond_the_rounding_of_the_stated_figure():
    assert row(0.195, 0.19525, rounding=0.0005).error_fraction == 0
    assert row(10.0, 8.0).error_fraction == pytest.approx(-0.2)
    assert row(10.0, 12.0, rounding=1.0).error_fraction == pytest.approx(0.1)
    assert row(0.0, 0.0).error_fraction == 0
    assert row(1.0, math.nan).error_fraction == math.inf


def test_a_band_is_a_factor_either_way():
    # by hand: 1.2 either way of 100 is 83.3 to 120
    assert [row(s, 100.0, band_fraction=0.2).in_band for s in (83.0, 84.0, 119.0, 121.0)] == [False, True, True, False]
    assert row(1.0, 2.0).in_band is None


def test_errors_are_summed_up_without_sign():
    found = errors_of([row(10, 9), row(10, 12), row(10, 10.5, band_fraction=0.1), row(10, 20, band_fraction=0.1)])
    # by hand: 0.1, 0.2, 0.05 and 1.0
    assert found == pytest.approx((4, 0.3375, 0.15, 1.0, 0.5))
    assert errors_of([]) is None


def test_a_claim_is_held_against_the_rows_that_were_not_calibrated_on():
    rows = (row(10, 50, role="calibrated"), row(10, 10.5), row(10, 9))

    def kept(claim, some=rows):
        said = {"name": "n", "what": "w", "truth": "closed form", "source": "s"}
        return Comparison(**said, rows=some, claim=claim).is_kept

    assert kept(Claim(mean_fraction=0.08, median_fraction=0.08, max_fraction=0.11))
    assert not kept(Claim(max_fraction=0.09))
    assert not kept(Claim(in_band_fraction=0.85))
    assert not kept(Claim(max_fraction=1.0), rows[:1])
    assert kept(None) is None
