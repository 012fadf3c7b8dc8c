"""Drivers, cells and small periphery of a tile: the models a file may choose from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from dse.spec.quantity import CONFIG, Fraction, NonNegative, Number, Positive
from dse.units import Quantity


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
    """``capacitive``: capacitance per bit (none for one bit) and of the row line, times supply voltage squared."""
    per_bit_ff: NonNegative = 50.0
    """Capacitance per bit [fF]; 50 fF is the fit of zigzag-imc to 28 nm macros."""
    per_column_ff: NonNegative = 0.0
    """Capacitance of the row line per column [fF]; charged whatever the bits."""
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
class StatisticalCell:
    """A conducting cell whose energy is expected from the statistics of inputs and weights."""

    __pydantic_config__ = CONFIG

    model: Literal["statistical"]
    """``statistical``: expected voltage squared, times expected conductance, times the pulse."""
    read_v: NonNegative
    """Voltage of the largest input [V]."""
    input_mean_square_fraction: Annotated[Quantity, Number(ge=0, le=1)]
    """Mean of the squared input over the square of the largest one [-]; for pulse-width inputs the mean length."""
    weight_mean_abs_fraction: Annotated[Quantity, Number(ge=0, le=1)]
    """Mean absolute weight over the largest one [-]."""
    area_mm2: NonNegative
    """Area of one cell [mm²]."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class CapacitiveCell:
    """A cell that charges a capacitor of the bit line."""

    __pydantic_config__ = CONFIG

    model: Literal["capacitive"]
    """``capacitive``: capacitance times supply voltage squared."""
    cell_ff: NonNegative
    """Capacitance switched by one weight in one read phase [fF]."""
    area_mm2: NonNegative
    """Area of one cell [mm²]."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class FixedShiftAdd:
    """Addition of the slices of a product, known by its totals."""

    __pydantic_config__ = CONFIG

    model: Literal["fixed"]
    """``fixed``: energy and area as given."""
    add_pj: NonNegative
    """Energy of one addition of one column [pJ]."""
    area_mm2: NonNegative
    """Area of the adder of one column [mm²]."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class FullAdderShiftAdd:
    """Addition of the slices of a product by a chain of full adders."""

    __pydantic_config__ = CONFIG

    model: Literal["full_adders"]
    """``full_adders``: full adders of 28 nm, scaled to the node, one for each bit."""
    width_bits: Positive
    """Width of the sum [bit]."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PerBitBuffer:
    """Buffers of input and output, known by their energy for a bit."""

    __pydantic_config__ = CONFIG

    model: Literal["per_bit"]
    """``per_bit``: energy of a bit, read or written, and area as given."""
    bit_pj: NonNegative
    """Energy of one bit of input or output [pJ/bit]."""
    area_mm2: NonNegative
    """Area of the buffers of one tile [mm²]."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SramBuffer:
    """Buffers of input and output as SRAM."""

    __pydantic_config__ = CONFIG

    model: Literal["sram"]
    """``sram``: power laws fitted to CACTI points of 2 to 256 KB; one write and one read of every bit."""
    capacity_bytes: Positive
    """Capacity [byte]."""
    width_bits: Positive
    """Bits of one access [bit]."""


DriverModel = FixedDriver | CapacitiveDriver
CellModel = FixedCell | ResistiveCell | StatisticalCell | CapacitiveCell
ShiftAddModel = FixedShiftAdd | FullAdderShiftAdd
BufferModel = PerBitBuffer | SramBuffer
