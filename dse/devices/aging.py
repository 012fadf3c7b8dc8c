"""What time does to a programmed conductance: drift factors, read noise, and the times a device is known at."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from dse.devices.sigma import polynomial, switched
from dse.spec.aging import (
    LogarithmicDrift,
    LogCurve,
    PowerCurve,
    PowerLawDrift,
    ReadNoise,
    TabulatedDrift,
)
from dse.spec.device import Device
from dse.spec.programming_noise import ProgrammingNoise
from dse.units import NS_PER_S

SMALLEST_R = 1e-7
"""Relative conductance below which logarithms and powers take that value, as the published fits do."""


class State(NamedTuple):
    """The law of programmed conductances at some time."""

    noise: ProgrammingNoise
    scale: float
    """Factor on its sigma beside its own: that of the device, where the law is another one."""
    shift: tuple[float, ...]
    """Coefficients in r of the mean shift of the target, as a share of g_max."""


def log_share(r: Any) -> Any:
    """``ln r``, a number or an array (whose type is kept); very small r count as ``SMALLEST_R``."""
    return np.log(np.maximum(r, SMALLEST_R))


def curve_value(curve: LogCurve | PowerCurve, r: Any, log_r: Any) -> Any:
    """A property of a device at relative conductance r, whose ``log_share`` is at hand."""
    if isinstance(curve, PowerCurve):
        return np.minimum(float(curve.factor) * np.exp(float(curve.exponent) * log_r), float(curve.highest))
    value = np.maximum(float(curve.slope) * log_r + float(curve.offset), float(curve.lowest))
    if curve.highest is not None:
        value = np.minimum(value, float(curve.highest))
    if curve.upper_r is None:
        return value
    return switched(value, polynomial(curve.coefficients, r), r >= float(curve.upper_r))


def time_problem(device: Device, time_s: float) -> str | None:
    """Why a device has no state at a time after programming [s], or None where it has one."""
    if not 0 <= time_s < float("inf"):
        return f"expected a finite number >= 0 (got {time_s:g})"
    drift = device.drift
    if drift is None and time_s > 0:
        return f"{device.name} has no drift model, so only 0 is possible (got {time_s:g}); add drift to the device"
    if isinstance(drift, LogarithmicDrift) and 0 < time_s < 1:
        return f"the drift of {device.name} is known at 0 and from 1 s on (got {time_s:g})"
    if isinstance(drift, TabulatedDrift):
        known = (0.0, *(float(t) for t in (drift.valid_from_s, *(state.time_s for state in drift.at))))
        if time_s not in known:
            said = ", ".join(f"{t:g}" for t in dict.fromkeys(known))
            return f"{device.name} was measured at {said} s only, with nothing known between (got {time_s:g})"
    return None


def state_at(device: Device, time_s: float) -> State:
    """The law of programming that holds at a time; only tabulated devices change it."""
    if isinstance(device.drift, TabulatedDrift):
        for state in device.drift.at:
            if state.time_s == time_s:
                g_max = float(device.g_max_usiemens)
                shift = tuple(c / g_max for c in state.shift_coefficients)
                return State(state.programming, float(device.programming.scale), shift)
    return State(device.programming, 1.0, ())


def power_law_age(device: Device, time_s: float) -> float:
    """``ln(1 + t / t0)`` times the scale of the exponent; 0 where a power law does not drift [-]."""
    drift = device.drift
    if not isinstance(drift, PowerLawDrift):
        return 0.0
    return float(np.log1p(time_s / float(drift.t0_s)) * float(drift.scale))


def relaxation(device: Device, time_s: float) -> tuple[float, float]:
    """Mean loss and standard deviation of a logarithmic drift, as shares of g_max [-]."""
    drift = device.drift
    if not isinstance(drift, LogarithmicDrift) or time_s == 0:
        return 0.0, 0.0
    age, g_max = float(np.log(time_s)), float(device.g_max_usiemens)
    std = float(drift.std_slope_usiemens) * age + float(drift.std_offset_usiemens)
    return float(drift.mean_slope_usiemens) * age / g_max, std / g_max


def read_spread(noise: ReadNoise | None, time_s: float) -> float:
    """Factor on Q: ``scale · sqrt(ln((t + t0 + t_read) / (2 t_read)))``, 0 without read noise [-].

    Source: V. Joshi et al., Nat. Commun. 11, 2473 (2020).
    """
    if noise is None:
        return 0.0
    read_s = float(noise.read_ns) / NS_PER_S
    ratio = (time_s + float(noise.t0_s) + read_s) / (2 * read_s)
    return float(noise.scale) * float(np.sqrt(max(np.log(ratio), 0.0)))


class FactorMoments(NamedTuple):
    """Mean and second moment of a factor."""

    first: NDArray[np.float64]
    second: NDArray[np.float64]


def drift_factor_moments(r: ArrayLike, device: Device, time_s: float) -> FactorMoments:
    """Mean and second moment of ``(1 + t / t0)^(−ν)``, ν = |normal|.

    ``E exp(−kL|X|) = exp(−kLμ + (kLσ)²/2) Φ(μ/σ − kLσ) + exp(kLμ + (kLσ)²/2) Φ(−μ/σ − kLσ)``
    """
    r = np.asarray(r, np.float64)
    age = power_law_age(device, time_s)
    if age == 0 or not isinstance(device.drift, PowerLawDrift):
        return FactorMoments(np.ones_like(r), np.ones_like(r))
    log_r = log_share(r)
    mean, std = (curve_value(c, r, log_r) for c in (device.drift.exponent_mean, device.drift.exponent_std))
    return FactorMoments(_folded(mean, std, age), _folded(mean, std, 2 * age))


def _folded(mean: Any, std: Any, age: float) -> NDArray[np.float64]:
    """``E exp(−age · |X|)`` with X normal."""
    mean, std = np.broadcast_arrays(np.asarray(mean, np.float64), np.asarray(std, np.float64))
    a = np.divide(mean, std, out=np.full(mean.shape, np.inf), where=std > 0)
    half = np.square(age * std) / 2
    upper = np.exp(half - age * mean) * ndtr(a - age * std)
    return np.asarray(upper + np.exp(half + age * mean) * ndtr(-a - age * std))
