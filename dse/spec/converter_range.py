"""Ranges of converters, and the noise and shape of what arrives at them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from dse.spec.quantity import CONFIG, Fraction, NonNegative, Number, Positive
from dse.spec.violation import Violation
from dse.units import Quantity

if TYPE_CHECKING:
    from dse.spec.analog_core import AnalogCore

Grid = Literal["symmetric", "sign_magnitude", "full"]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Range:
    """How the range of a converter is set."""

    __pydantic_config__ = CONFIG

    mode: Literal["static", "dynamic"]
    """``static``: fixed after calibration on training text; ``dynamic``: set anew for every token."""
    method: Literal["abs_max", "std", "percentile", "out_bound"]
    """``abs_max``: the largest absolute value; ``std``: kappa standard deviations about zero; ``percentile``: the share
    of absolute values within it; ``out_bound`` (output converters): a multiple of the largest product of one device,
    lambda · input range · weight at g_max of the column."""
    kappa: Positive | None = None
    """Standard deviations of ``std`` [-]."""
    percentile_fraction: Fraction | None = None
    """Share of ``percentile`` [-]."""
    out_bound: Positive | None = None
    """Factor lambda of ``out_bound``: 12 in aihwkit, 10 in its presets [-]."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class OutputNoise:
    """Additive noise at the input of the output converters, drawn anew for every product."""

    __pydantic_config__ = CONFIG

    std_fraction: NonNegative
    """Standard deviation over input range · weight at g_max of the column, for every tile [-]."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ShortTermNoise:
    """Noise of the devices while they are read, drawn anew for every product; referred to the output."""

    __pydantic_config__ = CONFIG

    model: Literal["additive", "conductance"]
    """``additive``: std · ‖x‖₂; ``conductance``: std · sqrt(Σ_j |w_j| x_j²), as of PCM: noise power grows with the
    conductance; x over the input range, w over the weight at g_max."""
    std_fraction: NonNegative
    """Standard deviation of a device at g_max over g_max, in one read phase [-]."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SShape:
    """An output stage that saturates: y → f · y / (1 + n_i |y|), y over input range · weight at g_max."""

    __pydantic_config__ = CONFIG

    nonlinearity: NonNegative
    """n at the end of the output range [-]; n_i = |n / out_bound · (1 + spread · normal)|, once per column."""
    out_bound: Positive
    """Output range that n is stated for [-]."""
    spread_fraction: NonNegative = 0.0
    """Spread of n over the columns [-]."""
    series_resistance: NonNegative = 0.0
    """Series term r of the slope calibration [-]."""
    slope_calibration: Annotated[Quantity, Number(ge=0, le=1)] = 0.0
    """Share p of the output range at which the slope is calibrated: f = (1 + (mean n_i + r) · p · out_bound)²; 0: 1."""


PARAMETER_OF = {"std": "kappa", "percentile": "percentile_fraction", "out_bound": "out_bound"}
"""Method → the number it needs."""


def range_violations(core: AnalogCore) -> Iterator[Violation]:
    """Every broken rule of the converter ranges of a core."""
    for converter, own in (("dac", core.dac.range), ("adc", core.adc.range)):
        steps = ("analog_cores", core.name, converter, "range")
        wanted = PARAMETER_OF.get(own.method)
        if wanted is not None and getattr(own, wanted) is None:
            yield Violation((*steps, "method"), f"{own.method} needs {wanted}, e.g. {wanted}: {EXAMPLE[wanted]}")
        for method, name in PARAMETER_OF.items():
            if method != own.method and getattr(own, name) is not None:
                yield Violation((*steps, name), f"belongs to method: {method}; the method here is {own.method}")
    is_in_parts = core.dac.encoding == "bit_serial" or core.dac.bits_per_phase is not None
    if is_in_parts and core.dac.grid == "full":
        message = "the bits of an input are applied with its sign, so that 0 is a code; write symmetric"
        yield Violation(("analog_cores", core.name, "dac", "grid"), message)
    dac, adc = core.dac.range, core.adc.range
    if dac.method == "out_bound":
        message = "out_bound is for output converters; write abs_max, std or percentile"
        yield Violation(("analog_cores", core.name, "dac", "range", "method"), message)
    if dac.mode == "dynamic" and dac.method in ("std", "percentile"):
        message = (
            f"a range for every token is its largest input; write method: abs_max, or mode: static for {dac.method}"
        )
        yield Violation(("analog_cores", core.name, "dac", "range", "method"), message)
    if adc.mode == "dynamic" and adc.method != "out_bound":
        message = "an output range for every token follows the input range; write method: out_bound with a factor"
        yield Violation(("analog_cores", core.name, "adc", "range", "method"), message)
    if adc.method == "out_bound" and adc.mode != dac.mode:
        message = f"out_bound follows the range of the inputs, which is {dac.mode}; write mode: {dac.mode}"
        yield Violation(("analog_cores", core.name, "adc", "range", "mode"), message)


EXAMPLE = {"kappa": "4", "percentile_fraction": "0.99995", "out_bound": "12"}
"""Number of a method → a usual value."""
