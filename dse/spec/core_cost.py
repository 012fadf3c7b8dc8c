"""What a file says about energy, time and area of an analog tile: its totals, its components, or a table."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from dse.spec.adc_model import AdcModel
from dse.spec.calibration_point import CalibrationPoint, FreeParameters
from dse.spec.quantity import CONFIG, Count, Fraction, NonNegative, Number, Positive
from dse.spec.tile_parts import BufferModel, CellModel, DriverModel, ShiftAddModel
from dse.units import Quantity


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
class ScaledFrom:
    """Technology at which the values of the periphery hold."""

    __pydantic_config__ = CONFIG

    node_nm: Positive
    """Technology node [nm], 7 to 130."""
    supply_v: Positive
    """Supply voltage [V]."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class VoltageScaling:
    """Change with the supply voltage, from 0.5 to 1.5 times the voltage at which the values hold."""

    __pydantic_config__ = CONFIG

    energy_exponent: Annotated[Quantity, Number(ge=0, le=10)] = 2.0
    """Energy of array, drivers and converters: (V/V0) to this power."""
    delay_exponent: Annotated[Quantity, Number(ge=0, le=10)] = 0.0
    """Time of settling, conversion and the rest: (V0/V) to this power; 0: not modelled."""
    delay_fraction: Fraction = 1.0
    """Share of the time that follows the exponent; the rest does not change."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ComponentsCost:
    """A core as the sum of its converters, drivers, cells and periphery, calibrated on published points."""

    __pydantic_config__ = CONFIG

    model: Literal["components"]
    """``components``: energy, time and area from the parts of the tile."""
    node_nm: Positive | None = None
    """Technology node of the periphery [nm]; absent: that of the die."""
    supply_v: Positive | None = None
    """Supply voltage [V]; absent: nothing depends on it."""
    dac: Annotated[DriverModel | None, Field(discriminator="model")] = None
    """Input converter and driver of one row; absent: no cost of its own."""
    cell: Annotated[CellModel | None, Field(discriminator="model")] = None
    """One weight of the array; absent: no cost of its own."""
    adc: Annotated[AdcModel | None, Field(discriminator="model")] = None
    """One output converter; absent: no cost of its own."""
    shift_add: Annotated[ShiftAddModel | None, Field(discriminator="model")] = None
    """Addition of input slices, weight slices and phases, in every column; absent: none."""
    buffer: Annotated[BufferModel | None, Field(discriminator="model")] = None
    """Buffers of inputs and outputs; absent: none."""
    row_pj: NonNegative = 0.0
    """Energy of one driven row and read phase beside its driver [pJ]."""
    column_pj: NonNegative = 0.0
    """Energy of one column and read phase beside its conversion [pJ]."""
    sample_pj: NonNegative = 0.0
    """Energy to sample and hold one column in one read phase and input slice [pJ]."""
    integrate_pj: NonNegative = 0.0
    """Energy to integrate one input pulse on one column [pJ]."""
    post_pj: NonNegative = 0.0
    """Energy of one column after all read phases: scaling, addition, registers [pJ]."""
    fixed_pj: NonNegative = 0.0
    """Energy of one product that depends on nothing else: control, clock [pJ]."""
    leak_mw: NonNegative = 0.0
    """Leakage of one tile while it works [mW]; a tile that waits draws ``idle.on_mw``."""
    settle_ns: NonNegative = 0.0
    """Time of a read phase before the first conversion [ns]."""
    post_ns: NonNegative = 0.0
    """Time after all read phases [ns]."""
    overlap: bool = True
    """Whether conversion runs while the input pulse lasts; otherwise after it."""
    column_area_mm2: NonNegative = 0.0
    """Area of the periphery of one column [mm²]."""
    fixed_area_mm2: NonNegative = 0.0
    """Area of the tile that depends on nothing else [mm²]."""
    scaled_from: ScaledFrom | None = None
    """Technology at which the values of the file and its calibration hold; absent: that of the file itself."""
    voltage: VoltageScaling = field(default_factory=VoltageScaling)
    """How energy and time change with the supply voltage."""
    band_factor: Annotated[Quantity, Number(ge=1)] | None = None
    """Factor either way within which energy, time and area lie, each for itself; absent: 10, 3, 5
    for what no calibration point states, else by the distance to the points that state it."""
    energy_factor: Positive = 1.0
    """Factor on the energy of a product, after calibration: how far a what-if or the band takes it off."""
    time_factor: Positive = 1.0
    """Factor on the time of a product, after calibration."""
    area_factor: Positive = 1.0
    """Factor on the area of the tile, after calibration."""
    free: FreeParameters = field(default_factory=FreeParameters)
    """What calibration determines."""
    calibration: tuple[CalibrationPoint, ...] = ()
    """Published operating points."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TablePoint:
    """One operating point of a table."""

    __pydantic_config__ = CONFIG

    rows_used: Count
    """Rows driven."""
    cols_used: Count
    """Columns read."""
    energy_pj: NonNegative
    """Energy of the product [pJ]."""
    time_ns: Positive
    """Time of the product [ns]."""
    phases: Count | None = None
    """Read phases; absent: whatever the core says."""
    dac_bits: Count | None = None
    """Resolution of the inputs [bit]; absent: whatever the core says."""
    adc_bits: Count | None = None
    """Resolution of the output converters [bit]; absent: whatever the core says."""
    supply_v: Positive | None = None
    """Supply voltage [V]; absent: whatever the core says."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TableCost:
    """A core known by a table of operating points, somebody's measurement or simulation."""

    __pydantic_config__ = CONFIG

    model: Literal["table"]
    """``table``: linear between the points in every column that varies; refused outside, and where one is missing."""
    file: str | None = None
    """CSV with the columns rows_used, cols_used, energy_pj, time_ns and, where they vary, phases, dac_bits, adc_bits,
    supply_v; its rows become ``points``."""
    points: tuple[TablePoint, ...] = ()
    """The operating points, or the rows of ``file``."""
    supply_v: Positive | None = None
    """Supply voltage [V], where the table has that column."""
    tile_area_mm2: Positive
    """Area of one tile: all its tiers and its periphery [mm²]."""


CoreCost = LumpedCost | ComponentsCost | TableCost
"""A core is one of the three."""
