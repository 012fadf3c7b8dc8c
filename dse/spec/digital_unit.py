"""Digital units and the memories that feed them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from dse.spec.quantity import CONFIG, Count, Fraction, NonNegative, Positive
from dse.units import Precision


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Utilisation:
    """Shares of the peak that are reached."""

    __pydantic_config__ = CONFIG

    compute_fraction: Fraction
    """Share of the peak operation rate [-]."""
    bandwidth_fraction: Fraction
    """Share of the memory bandwidth [-]."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PerOperationEnergy:
    """Energy counted per operation, plus idle power."""

    __pydantic_config__ = CONFIG

    model: Literal["per_operation"]
    """``per_operation``: operations, memory traffic and idle power are counted apart."""
    op_pj: Mapping[Precision, NonNegative]
    """Energy of one operation (a multiply-accumulate is two) [pJ], by precision."""
    idle_mw: NonNegative
    """Idle power of one unit [mW]."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class FlatPower:
    """One power for the whole unit, its memory and its links."""

    __pydantic_config__ = CONFIG

    model: Literal["flat_power"]
    """``flat_power``: full power for the whole step while anything is placed on the unit."""
    power_mw: Positive
    """Power of one unit [mW]; covers its memory, links and vector work."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class VectorUnit:
    """Lanes for norms, softmax, activation functions, rotary positions, routing and residual additions."""

    __pydantic_config__ = CONFIG

    peak_ops_per_ns: Positive
    """Peak rate of the lanes of one unit [operations/ns]; an exponential, root or division is one operation."""
    op_pj: NonNegative
    """Energy of one operation [pJ]; a flat-power unit's power covers it."""
    launch_ns: NonNegative = 0.0
    """Time before each vector kernel [ns]; 0: fused with the matrix product before it."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Buffer:
    """On-chip memory of a unit, which the activations of its matrix products pass."""

    __pydantic_config__ = CONFIG

    capacity_bytes: Positive
    """Capacity of one unit's buffer [byte]."""
    bandwidth_bytes_per_ns: Positive
    """Bandwidth of one unit's buffer, reads and writes together [byte/ns]."""
    read_pj_per_bit: NonNegative
    """Energy of reading [pJ/bit]; a flat-power unit's power covers it."""
    write_pj_per_bit: NonNegative
    """Energy of writing [pJ/bit]; a flat-power unit's power covers it."""
    holds: Literal["none", "dense"] = "none"
    """``dense``: what the activations leave keeps dense weights from step to step, the same share of every block."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DigitalUnit:
    """A group of identical digital units that share one memory."""

    __pydantic_config__ = CONFIG

    name: str
    """Name of the core group."""
    die: str
    """Die that holds it."""
    units_per_die: Count
    """Units on one die."""
    peak_ops_per_ns: Annotated[Mapping[Precision, Positive], Field(min_length=1)]
    """Peak rate of one unit [operations/ns] (a multiply-accumulate is two), by precision."""
    utilisation: Utilisation
    """Shares of the peaks that are reached."""
    launch_ns: NonNegative
    """Time before each kernel [ns]."""
    kernels: Literal["grouped", "per_expert"] = "grouped"
    """``grouped``: one kernel serves all experts of a stage; ``per_expert``: each active expert launches its own."""
    precisions: Annotated[tuple[Precision, ...], Field(min_length=1)]
    """Formats in which experts may be stored on this unit."""
    memory: str
    """Memory that holds its weights."""
    energy: Annotated[PerOperationEnergy | FlatPower, Field(discriminator="model")]
    """How energy is counted."""
    area_mm2: NonNegative
    """Area of one unit [mm²]."""
    int4_group: Count | None = None
    """int4 weights that share one 16-bit scale; unset: scales take no bytes."""
    buffer: Buffer | None = None
    """On-chip buffer; unset: activations pass at no cost, and all weights come from memory."""
    vector: VectorUnit | None = None
    """Vector lanes; unset: work without weights costs nothing. The first unit of the file does all of it."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Memory:
    """A memory of the package."""

    __pydantic_config__ = CONFIG

    name: str
    """Name that digital units refer to."""
    capacity_bytes: Positive
    """Capacity [byte]."""
    bandwidth_bytes_per_ns: Positive
    """Peak bandwidth [byte/ns]."""
    energy_pj_per_bit: NonNegative
    """Access energy [pJ/bit]."""
