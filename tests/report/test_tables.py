from __future__ import annotations

import pytest

from dse.report.names import axis_value_text, metric_text
from dse.report.tables import align, arrow_text, interval_text, quantity_text, significant, versus_text
from dse.report.text import routing_text
from dse.workload.build import load_workload


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (41_600_000, "pj", "41.6 µJ"),  # 41.6e6 pJ
        (4.16e10, "pj", "41.6 mJ"),
        (999.9, "pj", "1.00 nJ"),  # rounds up into the next prefix, never "1000 pJ"
        (0.5, "pj", "0.500 pJ"),
        (1.93e6, "ns", "1.93 ms"),
        (2500, "ns", "2.50 µs"),
        (612.0, "mm2", "612 mm²"),
        (0.05, "mm2", "0.0500 mm²"),
        (0.005, "mm2", "5000 µm²"),
        (12345.0, "mm2", "12300 mm²"),
        (15_000, "mw", "15.0 W"),
        (36e9, "bytes", "36.0 GB"),
        (1200, "bytes_per_ns", "1.20 TB/s"),  # byte/ns = GB/s
        (5340, "tokens_per_s", "5.34 k tokens/s"),
        (0.125, "fraction", "12.5 %"),
        (1.0, "fraction", "100 %"),
        (2048, "tokens", "2048 tokens"),
        (1024, "", "1024"),
        (-0.0431, "nats", "−0.0431 nats"),
        (0.0, "pj", "0 pJ"),
        (float("nan"), "pj", "–"),
        (3.0, "furlong", "3.00 furlong"),
    ],
)
def test_quantities_have_three_digits_and_a_fitting_prefix(value: float, unit: str, text: str) -> None:
    assert quantity_text(value, unit) == text


def test_significant_keeps_trailing_zeros_and_shows_limits() -> None:
    assert [significant(x) for x in (36.0, 0.001, 0.0009994, 999_999, float("inf"))] == [
        "36.0", "0.00100", "9.99e-4", "1.00e6", "∞",
    ]  # fmt: skip


def test_interval_shares_the_unit_of_its_mean() -> None:
    assert interval_text(2e6, 0.9e6, 3e6, "pj") == "2.00 [0.900, 3.00] µJ"
    assert interval_text(2e6, float("nan"), float("nan"), "pj") == "2.00 µJ"


def test_comparison_says_which_way() -> None:
    assert versus_text(10, 25) == "2.50× lower"  # by hand: 25/10
    assert versus_text(109, 100) == "9.0 % higher"
    assert versus_text(0, 100) == ""
    assert arrow_text(10, 25) == "↓ 2.50×"


def test_aligned_columns_fit_eighty_characters() -> None:
    rows = [("layers.3.experts.17 with a very long remark that goes on and on and on", "41.6 µJ", "x" * 40)] * 2
    text = align(rows, ("what", "energy", "remark"))
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "…" in text
    assert "41.6 µJ" in text  # numbers are never cut


def test_numbers_are_flushed_right_and_words_left() -> None:
    lines = align([("a", "1.0"), ("bb", "–"), ("c", "22.0")], ("n", "v"), indent=0).splitlines()
    assert lines == ["n      v", "a    1.0", "bb     –", "c   22.0"]
    assert align([("a", "1")], right=(0, 1), indent=0) == "a  1"
    assert align([]) == ""


def test_metric_and_axis_names_carry_units() -> None:
    assert metric_text("latency_ns_per_step", 1.93e6) == "1.93 ms/step"
    assert metric_text("area_mm2", float("nan")) == "–"
    assert axis_value_text("analog_cores.pcm.cost.mvm.energy_pj", 13430) == "13.4 nJ"
    assert axis_value_text("analog_cores.pcm.device", "pcm_2023") == "pcm_2023"


@pytest.mark.parametrize(
    ("sets", "text"),
    [
        ([], "uniform routing (best case)"),
        (["routing.correlation=0.5"], "uniform routing, correlation 0.5 within the batch"),
        (["routing.kind=zipf", "routing.zipf_exponent=1"], "Zipf routing, s = 1"),
        (["routing.kind=measured", "routing.file=tiny_moe/routing.csv"], "measured routing (routing.csv)"),
        (["routing.kind=trace", "routing.file=tiny_moe/trace.csv"], "routing of a trace (trace.csv)"),
    ],
)
def test_the_first_line_says_how_tokens_choose(sets, text):
    assert routing_text(load_workload("tiny_moe", sets)) == text
