"""What a file says about energy, time and area of an analog tile: its totals, or its components."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from dse.spec.quantity import CONFIG, Count, Fraction, NonNegative, Positive

FreeEnergy = Literal["row", "fixed", "row_and_fixed"]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Mvm:
    """Cost of one matrix-vector product of one crossbar, whatever its fill."""

    __pydantic_config__ = CONFIG

    latency_ns: Positive
    """Time from input vector to output vector [ns]."""
    energy_pj: NonNegative
    """Energy of crossbar, converters and drivers [pJ]."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LumpedCost:
    """A core known by its totals only."""

    __pydantic_config__ = CONFIG

    model: Literal["lumped"]
    """``lumped``: one energy and one time per product, one area per tile."""
    mvm: Mvm
    """One matrix-vector product."""
    tile_area_mm2: Positive
    """Area of one tile: all its tiers and its periphery [mm²]."""


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
class FixedDriver:
    """A row driver known by its totals."""

    __pydantic_config__ = CONFIG

    model: Literal["fixed"]
    """``fixed``: energy and area as given."""
    drive_pj: NonNegative
    """Energy to drive one row in one read phase [pJ]."""
    area_mm2: NonNegative
    """Area of one driver [mm²]."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class CapacitiveDriver:
    """A row driver with a converter of switched capacitors."""

    __pydantic_config__ = CONFIG

    model: Literal["capacitive"]
    """``capacitive``: capacitance per bit, times bits and supply voltage squared; nothing for one bit."""
    per_bit_ff: NonNegative = 50.0
    """Capacitance per bit [fF]."""
    area_mm2: NonNegative
    """Area of one driver [mm²]."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class FixedCell:
    """A cell known by its totals."""

    __pydantic_config__ = CONFIG

    model: Literal["fixed"]
    """``fixed``: energy and area as given."""
    read_pj: NonNegative
    """Energy of one cell (one weight) in one read phase [pJ]."""
    area_mm2: NonNegative
    """Area of one cell [mm²]."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ResistiveCell:
    """A cell that conducts while the input pulse lasts."""

    __pydantic_config__ = CONFIG

    model: Literal["resistive"]
    """``resistive``: voltage squared, times mean conductance, times mean length of the pulse."""
    read_v: NonNegative
    """Read voltage [V]."""
    mean_conductance_usiemens: NonNegative
    """Mean conductance of one weight, all its devices together [µS]."""
    mean_pulse_fraction: Fraction = 1.0
    """Mean length of an input pulse over the longest one [-]."""
    area_mm2: NonNegative
    """Area of one cell [mm²]."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ScaledFrom:
    """Technology at which the values of the periphery hold."""

    __pydantic_config__ = CONFIG

    node_nm: Positive
    """Technology node [nm], 7 to 130."""
    supply_v: Positive
    """Supply voltage [V]."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class FreeParameters:
    """What calibration determines; it adds to what formula and file give."""

    __pydantic_config__ = CONFIG

    energy: FreeEnergy | None = None
    """``row``, ``fixed`` or ``row_and_fixed``; absent: ``fixed`` with one point, ``row_and_fixed`` with more."""
    time: Literal["settle", "conversion"] = "settle"
    """``settle``: time before conversion; ``conversion``: time of one conversion."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class CalibrationPoint:
    """One published operating point of the chip; with the settings it was measured at."""

    __pydantic_config__ = CONFIG

    rows_driven: Count
    """Rows driven in the product."""
    cols_used: Count
    """Columns read in the product."""
    phases: Count
    """Read phases of the product."""
    energy_pj: NonNegative
    """Energy of the product [pJ]."""
    time_ns: Positive
    """Time of the product [ns]."""
    dac_bits: Count
    """Resolution of the input converters at this point [bit]."""
    adc_bits: Count
    """Resolution of the output converters at this point [bit]."""
    adc_per_tile: Count
    """Output converters at this point."""
    pulse_ns: Positive
    """Longest input pulse at this point [ns]."""
    area_mm2: Positive | None = None
    """Area of the tile [mm²]; with rows, cols and tiers_per_tile."""
    rows: Count | None = None
    """Rows of the array."""
    cols: Count | None = None
    """Columns of the array."""
    tiers_per_tile: Count | None = None
    """Crossbars behind one periphery."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ComponentsCost:
    """A core as the sum of its converters, drivers, cells and periphery, calibrated on published points."""

    __pydantic_config__ = CONFIG

    model: Literal["components"]
    """``components``: energy, time and area from the parts of the tile."""
    node_nm: Positive
    """Technology node of the periphery [nm]."""
    supply_v: Positive
    """Supply voltage [V]."""
    dac: Annotated[FixedDriver | CapacitiveDriver, Field(discriminator="model")]
    """Input converter and driver of one row."""
    cell: Annotated[FixedCell | ResistiveCell, Field(discriminator="model")]
    """One weight of the array."""
    adc: Annotated[FixedAdc | SurveyAdc | SarColumnAdc, Field(discriminator="model")]
    """One output converter."""
    row_pj: NonNegative = 0.0
    """Energy of one driven row and read phase beside its driver [pJ]."""
    column_pj: NonNegative = 0.0
    """Energy of one column and read phase beside its conversion [pJ]."""
    post_pj: NonNegative = 0.0
    """Energy of one column after all read phases: scaling, addition, registers [pJ]."""
    fixed_pj: NonNegative = 0.0
    """Energy of one product that depends on nothing else: control, clock [pJ]."""
    settle_ns: NonNegative = 0.0
    """Time of a read phase before the first conversion [ns]."""
    post_ns: NonNegative = 0.0
    """Time after all read phases [ns]."""
    column_area_mm2: NonNegative = 0.0
    """Area of the periphery of one column [mm²]."""
    fixed_area_mm2: NonNegative = 0.0
    """Area of the tile that depends on nothing else [mm²]."""
    scaled_from: ScaledFrom | None = None
    """Technology at which row, column, post and fixed values and the calibration hold; absent: the core's own."""
    free: FreeParameters = field(default_factory=FreeParameters)
    """What calibration determines."""
    calibration: tuple[CalibrationPoint, ...] = ()
    """Published operating points."""
