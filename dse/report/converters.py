"""The converters of a core in words: codes, step and range, each in units of an activation or of a product."""

from __future__ import annotations

from typing import Any

from dse.report.tables import align
from dse.spec.analog_core import Adc, AnalogCore, Dac
from dse.spec.converter_range import Range
from dse.units import Quantity, at_point


def converters_document(core: AnalogCore) -> list[dict[str, Any]]:
    """DAC and ADC: number of codes, step over the range, what the range is."""
    return [converter("DAC", core.dac, "input"), converter("ADC", core.adc, "product")]


def converter(name: str, own: Dac | Adc, what: str) -> dict[str, Any]:
    """One converter; its step is 2 / (2^bits − 2) of the range ±1, on the full grid 2 / (2^bits − 1)."""
    levels = 2 ** int(at_point(own.bits))
    steps = levels - 1 if own.grid == "full" else levels - 2
    return {
        "converter": name,
        "bits": int(at_point(own.bits)),
        "codes": steps + 1,
        "step_fraction": 2 / steps if steps else None,
        "range": range_text(own.range, what),
    }


def range_text(own: Range, what: str) -> str:
    """The bound of a range, in words."""

    def number(value: Quantity | None) -> str:
        return "" if value is None else f"{at_point(value):g}"

    if own.method == "out_bound":
        return f"{number(own.out_bound)} x input range x weight at g_max"
    if own.mode == "dynamic":
        return f"per token: largest {what}"
    seen = {
        "abs_max": f"largest {what}",
        "std": f"{number(own.kappa)} x rms {what}",
        "percentile": f"{number(own.percentile_fraction)} of {what}s",
    }
    return f"calibrated: {seen[own.method]}"


def converters_text(document: list[dict[str, Any]]) -> str:
    """The converters as a table."""
    rows = [
        [
            entry["converter"],
            f"{entry['bits']} bit",
            f"{entry['codes']} codes",
            "no step" if entry["step_fraction"] is None else f"step {entry['step_fraction']:.3g}",
            entry["range"],
        ]
        for entry in document
    ]
    return "converters (step as a share of half their range)\n" + align(rows, right={1, 2})
