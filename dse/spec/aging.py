"""How a programmed conductance changes with time: drift, and the 1/f noise that a read finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from dse.spec.programming_noise import ProgrammingNoise
from dse.spec.quantity import CONFIG, NonNegative, Number, Positive
from dse.units import Quantity


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LogCurve:
    """A property of a device that follows the logarithm of its conductance."""

    __pydantic_config__ = CONFIG

    model: Literal["log"]
    """``log``: clip(slope · ln r + offset, lowest, highest), r = target conductance / g_max; from ``upper_r`` on, where
    given, Σ coefficients[i] · r^i instead."""
    slope: Annotated[Quantity, Number()] = 0.0
    """Factor on ln r [-]; 0: the same for every conductance."""
    offset: Annotated[Quantity, Number()]
    """Value at r = 1, before it is clipped [-]."""
    lowest: NonNegative = 0.0
    """Smallest value [-]."""
    highest: NonNegative | None = None
    """Largest value [-]; absent: none."""
    upper_r: Annotated[Quantity, Number(gt=0, le=1)] | None = None
    """Relative conductance from which the polynomial holds; absent: nowhere."""
    coefficients: tuple[Annotated[float, Number()], ...] = ()
    """Coefficients of r^0, r^1, … from ``upper_r`` on [-]."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PowerCurve:
    """A property of a device that follows a power of its conductance."""

    __pydantic_config__ = CONFIG

    model: Literal["power"]
    """``power``: min(factor · r^exponent, highest), r = target conductance / g_max."""
    factor: NonNegative
    """Value at r = 1 [-]."""
    exponent: Annotated[Quantity, Number()]
    """Exponent of r [-]."""
    highest: NonNegative
    """Largest value [-]."""


StateCurve = Annotated[LogCurve | PowerCurve, Field(discriminator="model")]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class NoDrift:
    """A device that keeps its state."""

    __pydantic_config__ = CONFIG

    model: Literal["none"]
    """``none``: the conductance at any time is the programmed one."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PowerLawDrift:
    """Drift of phase-change memory."""

    __pydantic_config__ = CONFIG

    model: Literal["power_law"]
    """``power_law``: g(t) = g · (1 + t / t0)^(−ν), ν = |mean + std · normal| drawn once per device at programming."""
    t0_s: Positive
    """Time from programming to the first read of the fit [s]."""
    exponent_mean: StateCurve
    """Mean of ν [-]."""
    exponent_std: StateCurve
    """Standard deviation of ν from device to device [-]."""
    scale: NonNegative = 1.0
    """Factor on ν: 1 = the measured devices, 0 = no drift."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LogarithmicDrift:
    """Relaxation of a conductance by the same amount whatever the state."""

    __pydantic_config__ = CONFIG

    model: Literal["logarithmic"]
    """``logarithmic``: g(t) = g − mean_slope · ln t + (std_slope · ln t + std_offset) · normal, t in seconds, from 1 s
    on."""
    mean_slope_usiemens: NonNegative
    """Loss of conductance per unit of ln t [µS]."""
    std_slope_usiemens: NonNegative
    """Growth of the standard deviation per unit of ln t [µS]."""
    std_offset_usiemens: NonNegative
    """Standard deviation at 1 s, beside that of programming [µS]."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class StateAtTime:
    """The distribution of conductances at one time after programming."""

    __pydantic_config__ = CONFIG

    time_s: Positive
    """Time after programming [s]."""
    programming: Annotated[ProgrammingNoise, Field(discriminator="model")]
    """Distance from the target at that time; multiplied by the ``scale`` of the device's ``programming`` as well."""
    shift_coefficients: tuple[Annotated[float, Number()], ...] = ()
    """Mean shift of the target as Σ coefficients[i] · r^i [µS]; left out: none."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TabulatedDrift:
    """Distributions measured at some times, with nothing known between them."""

    __pydantic_config__ = CONFIG

    model: Literal["tables"]
    """``tables``: at each listed time the distance from the target follows that time's own law; a device keeps its
    place in the distribution. ``programming`` of the device holds until ``valid_from_s``."""
    valid_from_s: NonNegative = 0.0
    """Time at which the device's ``programming`` was measured [s]; 0 may be asked for as well and means the same."""
    at: Annotated[tuple[StateAtTime, ...], Field(min_length=1)]
    """Later times."""


Drift = NoDrift | PowerLawDrift | LogarithmicDrift | TabulatedDrift


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ReadNoise:
    """Low-frequency noise of a device, frozen at the time of reading."""

    __pydantic_config__ = CONFIG

    model: Literal["one_over_f"]
    """``one_over_f``: standard deviation = g(t) · Q · sqrt(ln((t + t0 + t_read) / (2 · t_read))); present at t = 0
    already."""
    read_ns: Positive
    """Duration of one read [ns]."""
    t0_s: NonNegative
    """Time from programming to t = 0 [s]."""
    q: StateCurve
    """Q of the relative conductance [-]."""
    q_of: Literal["programmed", "target"] = "programmed"
    """Conductance that Q is taken at: the programmed one, as aihwkit computes it, or the target, as its manual says."""
    scale: NonNegative = 1.0
    """Factor on the standard deviation: 1 = the measured devices, 0 = none."""
