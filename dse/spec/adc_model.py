"""Output converters of a tile: the models a file may choose from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dse.spec.quantity import CONFIG, Count, NonNegative, Positive


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class FixedAdc:
    """A converter known by its totals; nothing depends on its bits."""

    __pydantic_config__ = CONFIG

    model: Literal["fixed"]
    """``fixed``: energy, time and area as given."""
    conversion_pj: NonNegative
    """Energy of one conversion [pJ]."""
    conversion_ns: NonNegative
    """Time of one conversion [ns]."""
    area_mm2: NonNegative
    """Area of one converter [mm²]."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SurveyAdc:
    """A converter as good as the best of a survey of published ones."""

    __pydantic_config__ = CONFIG

    model: Literal["survey"]
    """``survey``: regression over published converters; at least 4 bits."""
    conversion_ns: Positive
    """Time of one conversion [ns]; its inverse is the sample rate of the regression."""
    steps: Literal["raw", "smooth"] = "smooth"
    """``raw``: as published, bits rounded up; ``smooth``: the same without the jumps."""
    energy_scale: NonNegative = 1.0
    """Factor on the energy: converters inside macros spend 0.25 to 10 times the regression."""
    area_scale: NonNegative = 1.0
    """Factor on the area."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SarColumnAdc:
    """A low-power successive-approximation converter per column; 22, 14 or 7 nm."""

    __pydantic_config__ = CONFIG

    model: Literal["sar_column"]
    """``sar_column``: power by bits and column resistance, one cycle of 1 ns per bit and one more."""
    column_ohm: Positive
    """Resistance of the column that is read [ohm]."""
    temperature_k: Positive = 300.0
    """Temperature [K]."""
    area_mm2: NonNegative
    """Area of one converter [mm²]."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SwitchedCapacitorAdc:
    """A successive-approximation converter by its capacitors and logic; 28 nm."""

    __pydantic_config__ = CONFIG

    model: Literal["switched_capacitor"]
    """``switched_capacitor``: energy by bits and supply voltage, time by bits and rows, area by bits."""
    per_bit_ff: NonNegative = 100.0
    """Capacitance that grows with the bits [fF]; 100 fF is the fit of zigzag-imc to three 28 nm macros."""
    per_level_ff: NonNegative = 0.001
    """Capacitance that grows with the square of the levels [fF]; 0.001 fF is the fit of zigzag-imc, as above."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PerStepAdc:
    """A converter that works in steps, one for each bit of the output."""

    __pydantic_config__ = CONFIG

    model: Literal["per_step"]
    """``per_step``: energy and time of a step, times the bits; later segments of pulse_count inputs need fewer."""
    step_pj: NonNegative
    """Energy of one step [pJ]."""
    step_ns: NonNegative
    """Time of one step [ns]."""
    area_mm2: NonNegative
    """Area of one converter [mm²]."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ConverterPoint:
    """One converter of a table."""

    __pydantic_config__ = CONFIG

    bits: Count
    """Resolution [bit]."""
    conversion_pj: NonNegative
    """Energy of one conversion [pJ]."""
    conversion_ns: NonNegative
    """Time of one conversion [ns]."""
    area_mm2: NonNegative
    """Area of one converter [mm²]."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TableAdc:
    """A converter read from a table by its bits."""

    __pydantic_config__ = CONFIG

    model: Literal["table"]
    """``table``: linear between the bits of the points; refused outside."""
    file: str | None = None
    """CSV with the columns bits, conversion_pj, conversion_ns, area_mm2; its rows become ``points``."""
    points: tuple[ConverterPoint, ...] = ()
    """The converters, or the rows of ``file``."""


AdcModel = FixedAdc | SurveyAdc | SarColumnAdc | SwitchedCapacitorAdc | PerStepAdc | TableAdc
"""Models of an output converter."""
