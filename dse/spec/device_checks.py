"""What must hold between the values of a memory device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

import numpy as np

from dse.spec.aging import Drift, LogCurve, PowerCurve, PowerLawDrift, TabulatedDrift
from dse.spec.device import Device
from dse.spec.programming_noise import Inverse, Programming, ProgrammingNoise, SigmaTable, TwoBranch
from dse.spec.violation import Violation

Steps = tuple[str | int, ...]

_ROUNDING: Final = 1e-9


def device_violations(device: Device, steps: Steps = ()) -> Iterator[Violation]:
    """Every broken rule of a device."""
    if np.any(np.asarray(device.g_min_usiemens) >= device.g_max_usiemens):
        largest = float(np.min(device.g_max_usiemens))
        message = f"must be less than g_max_usiemens = {largest:g} (got {float(np.max(device.g_min_usiemens)):g})"
        yield Violation((*steps, "g_min_usiemens"), message)
    if device.clip is not None and (device.clip.std is None) == (device.clip.percentile is None):
        both = "both are" if device.clip.std is not None else "none is"
        yield Violation((*steps, "clip"), f"give one of std and percentile ({both} given)")
    yield from _programming(device.programming, device, (*steps, "programming"))
    if device.drift is not None:
        yield from _drift(device.drift, device, (*steps, "drift"))
    if device.read_noise is not None:
        yield from _curve(device.read_noise.q, (*steps, "read_noise", "q"))
    if device.faults is not None:
        low, high = device.faults.stuck_at_g_min_fraction, device.faults.stuck_at_g_max_fraction
        if np.any(np.asarray(low) + high > 1):
            yield Violation((*steps, "faults"), f"more than all devices are stuck (got {np.max(low + high):g})")


def _programming(noise: ProgrammingNoise, device: Device, steps: Steps) -> Iterator[Violation]:
    match noise:
        case Programming():
            lowest, at = lowest_sigma(noise.coefficients)
            if lowest < -_ROUNDING * max(abs(c) for c in noise.coefficients):
                message = f"sigma(r) must not be negative for r in [0, 1]; it is {lowest:.3g} uS at r = {at:.3g}"
                yield Violation((*steps, "coefficients"), message)
        case TwoBranch():
            if np.any(np.asarray(noise.split_usiemens) >= device.g_max_usiemens):
                message = f"must be less than g_max_usiemens = {np.min(device.g_max_usiemens):g}"
                yield Violation((*steps, "split_usiemens"), f"{message} (got {np.max(noise.split_usiemens):g})")
        case SigmaTable():
            if len(noise.g_usiemens) != len(noise.sigma_usiemens):
                message = f"needs one value per conductance: {len(noise.g_usiemens)} (got {len(noise.sigma_usiemens)})"
                yield Violation((*steps, "sigma_usiemens"), message)
            if any(after <= before for before, after in pairwise(noise.g_usiemens)):
                yield Violation((*steps, "g_usiemens"), "must be ascending")
        case Inverse():
            if np.any(np.asarray(device.g_min_usiemens) <= 0):
                message = "inverse has no value at a conductance of 0; give g_min_usiemens above 0"
                yield Violation((*steps, "model"), message)
        case _:
            return


def _drift(drift: Drift, device: Device, steps: Steps) -> Iterator[Violation]:
    match drift:
        case PowerLawDrift():
            yield from _curve(drift.exponent_mean, (*steps, "exponent_mean"))
            yield from _curve(drift.exponent_std, (*steps, "exponent_std"))
        case TabulatedDrift():
            times = [drift.valid_from_s, *(state.time_s for state in drift.at)]
            if any(np.any(np.asarray(after) <= before) for before, after in pairwise(times)):
                yield Violation((*steps, "at"), "times must be ascending and later than valid_from_s")
            for position, state in enumerate(drift.at):
                yield from _programming(state.programming, device, (*steps, "at", position, "programming"))
        case _:
            return


def _curve(curve: LogCurve | PowerCurve, steps: Steps) -> Iterator[Violation]:
    if isinstance(curve, PowerCurve):
        return
    if (curve.upper_r is None) != (not curve.coefficients):
        given, absent = ("upper_r", "coefficients") if not curve.coefficients else ("coefficients", "upper_r")
        yield Violation((*steps, given), f"has a meaning only with {absent}; give both or none")
    if curve.highest is not None and np.any(np.asarray(curve.lowest) > curve.highest):
        message = f"must not be above highest = {np.min(curve.highest):g} (got {np.max(curve.lowest):g})"
        yield Violation((*steps, "lowest"), message)


def lowest_sigma(coefficients: Sequence[float]) -> tuple[float, float]:
    """Smallest value of Σ c_i · r^i for r in [0, 1], and where it is.

    >>> lowest_sigma((1.0, -4.0, 4.0))
    (0.0, 0.5)
    """
    polynomial = np.polynomial.Polynomial(np.asarray(coefficients, dtype=np.float64))
    negligible = _ROUNDING * 1e-6 * max(abs(c) for c in coefficients)
    slope = polynomial.deriv().trim(negligible) if len(coefficients) > 1 else polynomial
    turning = slope.roots() if len(slope.coef) > 1 and len(coefficients) > 1 else np.empty(0)
    inside = [r.real for r in map(complex, turning) if abs(r.imag) < 1e-9 and 0 < r.real < 1]
    candidates = np.array([0.0, 1.0, *inside])
    values = polynomial(candidates)
    lowest = int(np.argmin(values))
    return float(values[lowest]), float(candidates[lowest])
