"""Table 2 of arXiv 2603.02633: what of it follows from its own parts, and what is called unexplained."""

import pytest

from dse.validation.table2 import compare_table2, rebuild_table2


@pytest.fixture(scope="module")
def table():
    return {row.case: row for row in rebuild_table2()}


def test_digital_shares_are_exact_to_the_printed_digits(table):
    # paper: 0, 5.37, 28.65, 100 %
    assert [round(row.digital_percent, 2) for row in table.values()] == [0, 5.37, 28.65, 100]


def test_the_two_published_columns_imply_a_flat_power_of_400_w_in_every_row_with_a_digital_part(table):
    # by hand: 49 781 / 123.92 = 401.7 W, 14 513 / 36.25 = 400.4 W, 4 220 / 10.55 = 400.0 W
    for row in table.values():
        if row.digital_percent > 0:
            assert row.stated_power_w == pytest.approx(400, rel=0.005)


def test_hybrid_throughput_is_the_digital_time_alone(table):
    row = table["and 25 % of the experts"]
    assert row.explained_by == "digital only"
    assert row.role == "held out"
    assert row.tokens_per_s["digital only"] == pytest.approx(14_513, rel=0.01)
    assert row.tokens_per_s["digital only"] >= row.tokens_per_s["overlapped"] >= row.tokens_per_s["serial"]


def test_all_analog_and_all_digital_throughput_are_called_unexplained(table):
    unexplained = [case for case, row in table.items() if row.explained_by is None]
    assert unexplained == ["all analog", "all digital"]
    said = " ".join(f"{e.case} {e.reason}" for e in compare_table2().excluded)
    assert "768 tokens/s unexplained" in said
    assert "4220 tokens/s unexplained" in said


def test_what_is_claimed_of_the_table_holds():
    comparison = compare_table2()
    assert comparison.is_kept
    assert len(comparison.with_role("calibrated")) == 1
