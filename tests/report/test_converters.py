"""Converters in words: codes and steps of both grids, every kind of range."""

import dataclasses
from typing import Any

import pytest

from dse.report.converters import converters_document, converters_text
from dse.spec.analog_core import AnalogCore
from dse.spec.converter_range import Range
from dse.spec.load import load_architecture


def core_with(dac: Range, adc: Range, **fields: Any) -> AnalogCore:
    core = load_architecture("server_pcm3d").analog_cores[0]
    return dataclasses.replace(
        core,
        dac=dataclasses.replace(core.dac, range=dac, **fields),
        adc=dataclasses.replace(core.adc, range=adc, **fields),
    )


@pytest.mark.parametrize(
    ("grid", "codes", "step"),
    [("symmetric", 255, 2 / 254), ("sign_magnitude", 255, 2 / 254), ("full", 256, 2 / 255)],  # by hand
)
def test_codes_and_step_follow_bits_and_grid(grid: str, codes: int, step: float) -> None:
    static = Range(mode="static", method="abs_max")
    for entry in converters_document(core_with(static, static, bits=8, grid=grid)):
        assert (entry["codes"], entry["step_fraction"]) == (codes, pytest.approx(step))


def test_every_range_is_said_in_words() -> None:
    std = Range(mode="static", method="std", kappa=4)
    share = Range(mode="static", method="percentile", percentile_fraction=0.999)
    first = converters_text(converters_document(core_with(std, share)))
    assert "calibrated: 4 x rms input" in first
    assert "calibrated: 0.999 of products" in first
    token = Range(mode="dynamic", method="abs_max")
    bound = Range(mode="dynamic", method="out_bound", out_bound=12)
    second = converters_text(converters_document(core_with(token, bound)))
    assert "per token: largest input" in second
    assert "12 x input range x weight at g_max" in second
    assert max(len(line) for line in f"{first}\n{second}".splitlines()) <= 80


def test_one_bit_has_no_step() -> None:
    static = Range(mode="static", method="abs_max")
    document = converters_document(core_with(static, static, bits=1))
    assert document[0]["step_fraction"] is None
    assert "no step" in converters_text(document)
