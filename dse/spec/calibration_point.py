"""Published operating points of a chip, and what they determine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from dse.spec.quantity import CONFIG, Count, NonNegative, Number, Positive
from dse.units import Quantity

FreeEnergy = Literal["row", "cell", "column", "adc", "post", "fixed", "leak"]
FreeTime = Literal["settle", "conversion", "post"]
FreeArea = Literal["fixed", "column", "cell"]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class FreeParameters:
    """What calibration determines; it adds to what formula and file give, and is never negative."""

    __pydantic_config__ = CONFIG

    energy: tuple[FreeEnergy, ...] | None = None
    """Energies of a driven ``row``, a ``cell``, a ``column``, a conversion (``adc``), a column after all phases
    (``post``), a product (``fixed``), or power over its time (``leak``); absent: ``[fixed]`` with one point,
    ``[row, fixed]`` with more."""
    time: tuple[FreeTime, ...] = ("settle",)
    """``settle``: time before conversion; ``conversion``: of one conversion (of one step of per_step); ``post``: after
    all phases."""
    area: tuple[FreeArea, ...] = ("fixed",)
    """Area of the tile (``fixed``), of a ``column``, of a ``cell``."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class CalibrationPoint:
    """One published operating point of the chip; what it does not state is that of the file itself."""

    __pydantic_config__ = CONFIG

    rows_driven: Count | None = None
    """Rows driven in the product; absent: all."""
    cols_used: Count | None = None
    """Columns read in the product; absent: all."""
    energy_pj: NonNegative | None = None
    """Energy of the product [pJ]; or power_mw, or tops_per_w."""
    power_mw: Positive | None = None
    """Power of one tile [mW]; energy is power times time."""
    tops_per_w: Positive | None = None
    """Operations per energy [TOPS/W]; a multiply-accumulate counts as two."""
    time_ns: Positive | None = None
    """Time of the product [ns]; or tops."""
    tops: Positive | None = None
    """Operations of one tile per time [TOPS]."""
    area_mm2: Positive | None = None
    """Area of the tile [mm²]."""
    phases: Count | None = None
    """Read phases of the product."""
    pulse_ns: Positive | None = None
    """Longest input pulse [ns]."""
    dac_bits: Annotated[Quantity, Number(ge=1, le=24, integer=True)] | None = None
    """Resolution of the inputs [bit]."""
    adc_bits: Annotated[Quantity, Number(ge=2, le=24, integer=True)] | None = None
    """Resolution of the output converters [bit]."""
    adc_per_tile: Count | None = None
    """Output converters."""
    bits_per_phase: Count | None = None
    """Bits of an input that are applied together."""
    bit_slices: Count | None = None
    """Columns of cells that share the bits of a weight."""
    supply_v: Positive | None = None
    """Supply voltage [V]."""
    node_nm: Positive | None = None
    """Technology node of the periphery [nm]."""
    rows: Count | None = None
    """Rows of the array."""
    cols: Count | None = None
    """Columns of the array."""
    tiers_per_tile: Count | None = None
    """Crossbars behind one periphery."""
