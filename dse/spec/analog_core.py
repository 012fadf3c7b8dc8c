"""Groups of identical analog tiles and their converters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, Literal

import numpy as np
from pydantic import Field

from dse.spec.array_effects import DriftCompensation, IrDrop, VOffset
from dse.spec.converter_range import Grid, OutputNoise, Range, ShortTermNoise, SShape
from dse.spec.core_cost import CoreCost
from dse.spec.device import Device
from dse.spec.quantity import CONFIG, Count, Number, Positive
from dse.spec.tile_upkeep import Idle, Program
from dse.units import Quantity

ROUNDING: Final = 1e-9
"""Tiles that count as none."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Weight:
    """How one weight is stored in devices."""

    __pydantic_config__ = CONFIG

    scheme: Literal["differential", "two_sided", "offset", "unit_column"]
    """``differential``: a positive and a negative side, one of them at g_min; ``two_sided``: both sides move about the
    middle, their sum is constant; ``offset``: one device about the middle, which is subtracted digitally;
    ``unit_column``: likewise, but a column of devices at the middle is read and subtracted."""
    devices: Count
    """Devices per weight, both sides together; a lumped core's cost does not depend on it."""
    bit_slices: Annotated[Quantity, Number(ge=1, le=32, integer=True)] = 1
    """Columns of cells that share the bits of a weight, each read on its own and added with its place value."""
    bits: Annotated[Quantity, Number(ge=2, le=24, integer=True)] | None = None
    """Bits of a stored weight, sign included; absent: a continuous value, which only one slice can hold."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Read:
    """The read mode that energy, time and noise belong to."""

    __pydantic_config__ = CONFIG

    phases: Count
    """Read phases of one matrix-vector product (each repeats drive and conversion; the one read mode of energy, time
    and read noise); a lumped core's cost does not depend on it."""
    pulse_ns: Positive
    """Longest input pulse [ns]; a lumped core's cost does not depend on it."""
    noise: ShortTermNoise | None = None
    """Noise of the devices while they are read; several phases average it; absent: none."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Dac:
    """Input converters of a tile."""

    __pydantic_config__ = CONFIG

    bits: Annotated[Quantity, Number(ge=1, le=24, integer=True)]
    """Resolution [bit]; 2^bits − 2 steps over the range, sign included; 1 bit has a cost, but no
    accuracy: a 1-bit converter that takes the bits of an input one after the other has the bits of the input here and
    ``encoding: bit_serial``."""
    encoding: Literal["pulse_width", "amplitude", "bit_serial", "pulse_count"] = "pulse_width"
    """How an input is applied: all bits as one pulse or level, its bits one after the other, or the magnitude as a
    number of equal pulses; a lumped core's cost does not depend on it."""
    bits_per_phase: Count | None = None
    """Bits of an input that are applied together, the rest in further input slices; absent: 1 for ``bit_serial``, else
    all; a lumped core's cost does not depend on it."""
    range: Range
    """Input range."""
    grid: Grid = "symmetric"
    """``symmetric`` (``sign_magnitude`` is the same): 2^bits − 2 steps, 0 is a code; ``full``: 2^bits levels that hold
    both ends of the range, none of them 0."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Adc:
    """Output converters of a tile."""

    __pydantic_config__ = CONFIG

    bits: Annotated[Quantity, Number(ge=2, le=24, integer=True)]
    """Resolution [bit]; 2^bits − 2 steps over the range; also the width of a partial sum on a link."""
    per_tile: Count
    """Converters of one tile; a lumped core's cost does not depend on it."""
    range: Range
    """Output range."""
    grid: Grid = "symmetric"
    """Levels, as of the input converters."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class AnalogCore:
    """A group of identical analog tiles."""

    __pydantic_config__ = CONFIG

    name: str
    """Name of the core group."""
    die: str
    """Die that holds it."""
    tiles_per_die: Count
    """Tiles on one die."""
    tiers_per_tile: Count
    """Crossbars behind one periphery; one of them works at a time."""
    rows: Count
    """Weights along the input of one crossbar."""
    cols: Count
    """Weights along the output of one crossbar."""
    device: Device
    """Memory device (in a file: the path of its YAML)."""
    weight: Weight | None = None
    """Devices per weight."""
    read: Read | None = None
    """Read mode."""
    dac: Dac
    """Input converters."""
    adc: Adc
    """Output converters."""
    ir_drop: IrDrop | None = None
    """Voltage lost in the wires; absent: none."""
    v_offset: VOffset | None = None
    """Offset voltage of the columns; absent: none."""
    output_noise: OutputNoise | None = None
    """Noise at the output converters; absent: none."""
    s_shape: SShape | None = None
    """Saturation of the output stage; absent: none."""
    drift_compensation: DriftCompensation | None = None
    """Digital correction of the mean drift; absent: none."""
    cost: Annotated[CoreCost, Field(discriminator="model")]
    """Energy, time and area."""
    copies: Annotated[tuple[Annotated[int, Number(ge=1, integer=True)], ...], Field(min_length=1)] = (1,)
    """Numbers of copies in which a mapping may store a block: every visit uses all of them and averages their outputs
    digitally, so that r copies take r times the crossbars and the energy and leave 1/r of the noise variance."""
    idle: Idle | None = None
    """Idle power and gating; left out: idle tiles cost nothing, which is said with the result."""
    program: Program | None = None
    """How weights are written; left out: programming costs nothing."""
    spare_fraction: Annotated[Quantity, Number(ge=0, le=0.9)] = 0.0
    """Share of the tiles of a die that is built but holds no weights: spares for broken ones."""

    @property
    def working_tiles_per_die(self) -> Quantity:
        """Tiles of one die that hold weights: all but the spares."""
        return self.tiles_per_die - np.ceil(self.tiles_per_die * np.asarray(self.spare_fraction) - ROUNDING)
