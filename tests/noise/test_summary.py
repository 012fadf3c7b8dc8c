import math

import numpy as np
import pandas as pd
import pytest

from dse.noise.intervals import lower_bound, mean_interval
from dse.noise.summary import chip_yield, equivalence, summarise, summarise_layers, summarise_loads


def chips(values):
    """A table of chips from [[plus, minus], ...]."""
    rows = [
        {"pair": p, "sign": s, "loss_nats": v}
        for p, pair in enumerate(values)
        for s, v in zip((1, -1), pair, strict=True)
    ]
    return pd.DataFrame(rows)


def test_intervals_are_over_pair_means():
    table = summarise(chips([[2.0, 4.0], [3.0, 5.0], [5.0, 5.0]]), {"loss_nats": 2.5}, n_first=3).iloc[0]
    expected = mean_interval(np.array([3.0, 4.0, 5.0]), 3)
    assert [table[name] for name in ("mean", "low", "high")] == pytest.approx(list(expected))
    increase = [table[name] for name in ("increase", "increase_low", "increase_high")]
    assert increase == pytest.approx([value - 2.5 for value in expected])
    assert table["n_pairs"] == 3


def test_equal_chips_have_no_interval_and_no_increase():
    digital = 2.2201698
    table = summarise(chips([[digital, digital]] * 4), {"loss_nats": digital}, n_first=4).iloc[0]
    assert table["increase"] == table["increase_low"] == table["increase_high"] == 0.0
    assert table["mean"] == table["low"] == table["high"] == digital


def test_antithetic_differences_within_pairs_do_not_widen_the_interval():
    wide = summarise(chips([[0.0, 2.0], [-5.0, 7.2]]), {"loss_nats": 0.0}, n_first=2).iloc[0]
    narrow = summarise(chips([[1.0, 1.0], [1.1, 1.1]]), {"loss_nats": 0.0}, n_first=2).iloc[0]
    assert [wide["low"], wide["high"]] == pytest.approx([narrow["low"], narrow["high"]])


def test_pairs_that_agree_by_chance_leave_the_interval_open():
    table = summarise(chips([[0.50, 0.52], [0.52, 0.50]]), {"loss_nats": 0.4}, n_first=2).iloc[0]
    assert table["increase"] == pytest.approx(0.11)
    assert math.isnan(table["increase_low"])
    assert math.isnan(table["high"])


def test_yield_counts_one_chip_of_each_pair_of_the_first_stage():
    table = chips([[1.0, 9.0], [1.2, 9.0], [9.0, 1.0], [1.0, 1.0], [9.0, 9.0]])
    found = chip_yield(table, {"loss_nats": 1.0}, limit_nats=0.2, n_first=4)
    assert (found.passing_chips, found.chips, found.fraction) == (3, 4, 0.75)  # by hand: 1.0, 1.2 and 1.0 pass
    assert found.low_fraction == lower_bound(3, 4)


def test_equivalence_needs_an_interval_inside_the_margin():
    table = chips([[1.0, 1.2], [1.1, 1.1], [1.0, 1.3]])  # increases 0.1, 0.1, 0.15; 90 % interval 0.068 to 0.165
    assert equivalence(table, {"loss_nats": 1.0}, margin_nats=0.2, n_first=3).is_equivalent
    assert not equivalence(table, {"loss_nats": 1.0}, margin_nats=0.16, n_first=3).is_equivalent


def test_layers_and_loads_are_summed_up_over_pairs():
    rows = [(0, 1, 0, 0.1, 20.0), (0, -1, 0, 0.3, 22.0), (1, 1, 0, 0.2, 21.0), (1, -1, 0, 0.2, 21.0)]
    rows += [(pair, sign, 1, 0.0, math.inf) for pair in (0, 1) for sign in (1, -1)]
    table = summarise_layers(
        pd.DataFrame(rows, columns=["pair", "sign", "layer", "routing_changed_fraction", "snr_db"]), n_first=2
    )
    assert table["layer"].tolist() == [0, 1]
    assert table["routing_changed_fraction"].tolist() == pytest.approx([0.2, 0.0])
    assert table["snr_db"].tolist() == [21.0, math.inf]
    assert table["snr_low_db"].tolist() == [21.0, math.inf]
    loads = pd.DataFrame(
        [(p, s, 0, e, 0.5, 0.5 + 0.01 * e) for p in (0, 1) for s in (1, -1) for e in (0, 1)],
        columns=["pair", "sign", "layer", "expert", "digital", "load"],
    )
    moved = summarise_loads(loads, n_first=2)
    assert moved["load_change_fraction"].tolist() == pytest.approx([0.0, 0.01])
    assert moved["digital_load_fraction"].tolist() == [0.5, 0.5]
