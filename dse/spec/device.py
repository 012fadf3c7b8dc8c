"""A memory device: how a weight becomes conductances, how far programming misses them, how they age and fail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from dse.spec.aging import Drift, ReadNoise
from dse.spec.programming_noise import Programming, ProgrammingNoise
from dse.spec.quantity import CONFIG, NonNegative, Number, Positive
from dse.units import Quantity

__all__ = ["Clip", "Device", "Faults", "Pair", "Programming", "ScaleScope"]

ScaleScope = Literal["matrix", "slice", "row", "row_slice"]
Pair = Literal["both_devices", "single_signed"]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Clip:
    """Weights beyond a limit are set to it before they are mapped; give one of the two."""

    __pydantic_config__ = CONFIG

    std: Positive | None = None
    """Limit in standard deviations of the scale scope, taken about zero [-]."""
    percentile: Annotated[Quantity, Number(gt=0, le=100)] | None = None
    """Limit as percentile of the absolute weights of the scale scope [%]."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Faults:
    """Devices that hold one conductance whatever is written."""

    __pydantic_config__ = CONFIG

    stuck_at_g_min_fraction: Annotated[Quantity, Number(ge=0, le=1)] = 0.0
    """Share of the devices that are stuck at g_min."""
    stuck_at_g_max_fraction: Annotated[Quantity, Number(ge=0, le=1)] = 0.0
    """Share of the devices that are stuck at g_max."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Device:
    """One kind of memory device and how weights are written into it."""

    __pydantic_config__ = CONFIG

    name: str
    """Name shown in reports."""
    g_max_usiemens: Positive
    """Conductance of the largest weight [µS]."""
    g_min_usiemens: NonNegative
    """Smallest conductance: that of a zero weight where the weight is a pair [µS]."""
    pair: Pair
    """``both_devices``: noise on both devices of a pair, clamped at 0. ``single_signed``: one signed device."""
    scale_scope: ScaleScope
    """Weights that share one scale factor: the whole matrix, a crossbar slice, an output row, a row of a slice."""
    clip: Clip | None = None
    """Limit of the weights before mapping; absent: none."""
    dead_zone: NonNegative = 0.0
    """Weights below this share of the scale become exactly 0 and get no noise."""
    programming: Annotated[ProgrammingNoise, Field(discriminator="model")]
    """Programming noise."""
    drift: Annotated[Drift, Field(discriminator="model")] | None = None
    """Change with time; absent: nothing is known, and only the moment after programming can be asked for."""
    read_noise: ReadNoise | None = None
    """Low-frequency noise of the read that an evaluation stands for; absent: none."""
    faults: Faults | None = None
    """Stuck devices; absent: none."""
