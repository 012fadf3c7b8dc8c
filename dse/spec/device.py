"""A memory device: how a weight becomes conductances and how far programming misses its target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from dse.spec.quantity import CONFIG, NonNegative, Number, Positive
from dse.units import Quantity

ScaleScope = Literal["matrix", "slice", "row", "row_slice"]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Programming:
    """Programming noise: Gaussian error of the conductance with a state-dependent standard deviation."""

    __pydantic_config__ = CONFIG

    model: Literal["polynomial"]
    """``polynomial``: sigma [µS] = Σ coefficients[i] · r^i, r = target conductance / g_max in [0, 1]."""
    coefficients: Annotated[tuple[Annotated[float, Number()], ...], Field(min_length=1)]
    """Coefficients of r^0, r^1, … [µS]."""
    scale: NonNegative = 1.0
    """Factor on sigma: 1 = the measured chip, 0 = no noise (the paper's c)."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Device:
    """One kind of memory device and how weights are written into it."""

    __pydantic_config__ = CONFIG

    name: str
    """Name shown in reports."""
    g_max_usiemens: Positive
    """Conductance of the largest weight [µS]."""
    g_min_usiemens: NonNegative
    """Conductance of a zero weight [µS]."""
    pair: Literal["both_devices", "single_signed"]
    """``both_devices``: a differential pair, noise on both, clamped at 0. ``single_signed``: one signed device."""
    scale_scope: ScaleScope
    """Weights that share one scale factor: the whole matrix, a crossbar slice, an output row, a row of a slice."""
    clip_std: Positive | None = None
    """Weights beyond this many standard deviations of their scope are clipped before mapping; absent: none."""
    dead_zone_fraction: NonNegative = 0.0
    """Weights below this share of the scale become exactly 0 and get no noise."""
    programming: Programming
    """Programming noise."""


def sigma_coefficients(device: Device) -> tuple[Quantity, ...]:
    """Coefficients of sigma(r) as a share of g_max, scale included [-]."""
    return tuple(c * device.programming.scale / device.g_max_usiemens for c in device.programming.coefficients)
