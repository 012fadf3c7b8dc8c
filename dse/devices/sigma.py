"""Standard deviation of the programming error of one device."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple, assert_never

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dse.spec.device import Device
from dse.spec.programming_noise import (
    AbsolutePolynomial,
    Independent,
    Inverse,
    Programming,
    ProgrammingNoise,
    Proportional,
    Saturating,
    SigmaTable,
    TwoBranch,
)

# All quantities are shares of g_max; r is the target conductance in [0, 1].


class Polynomials(NamedTuple):
    """``Σ c_i r^i`` with other coefficients above each start."""

    starts: tuple[float, ...]
    """Conductances above which the polynomials hold, ascending; the first is 0 and holds at 0 as well."""
    coefficients: tuple[tuple[float, ...], ...]


class Saturation(NamedTuple):
    """``plateau · (1 − exp(−r / constant))``."""

    plateau: float
    constant: float


class Reciprocal(NamedTuple):
    """``product / r``."""

    product: float


SigmaLaw = Polynomials | Saturation | Reciprocal


def sigma_law(noise: ProgrammingNoise, device: Device, *, scale: float = 1.0) -> SigmaLaw:
    """The law of a device file as plain numbers, its own scale and a further one included."""
    g_max, scale = float(device.g_max_usiemens), float(noise.scale) * scale
    factor = scale / g_max
    match noise:
        case Programming():
            return Polynomials((0.0,), (tuple(c * factor for c in noise.coefficients),))
        case AbsolutePolynomial():
            return Polynomials((0.0,), (_of_share(noise.coefficients, scale, g_max),))
        case TwoBranch():
            branches = (noise.coefficients, noise.coefficients_above)
            starts = (0.0, float(noise.split_usiemens) / g_max)
            return Polynomials(starts, tuple(_of_share(branch, scale, g_max) for branch in branches))
        case Saturating():
            return Saturation(float(noise.plateau_usiemens) * factor, float(noise.constant_usiemens) / g_max)
        case SigmaTable():
            return _lines([g / g_max for g in noise.g_usiemens], [s * factor for s in noise.sigma_usiemens])
        case Independent():
            return Polynomials((0.0,), ((float(noise.fraction) * scale * (1 - off_state_share(device)),),))
        case Proportional():
            return Polynomials((0.0,), ((0.0, float(noise.fraction) * scale),))
        case Inverse():
            return Reciprocal(float(noise.product_usiemens2) * factor / g_max)
        case _:
            assert_never(noise)


def _of_share(coefficients: tuple[float, ...], scale: float, g_max: float) -> tuple[float, ...]:
    """Coefficients in r, as a share of g_max, of a polynomial in µS."""
    return tuple(c * scale * g_max ** (power - 1) for power, c in enumerate(coefficients))


def _lines(r: list[float], sigma: list[float]) -> Polynomials:
    """Straight lines between points, constant before the first and beyond the last."""
    slopes = [(b - a) / (v - u) for (u, v), (a, b) in zip(pairwise(r), pairwise(sigma), strict=True)]
    lines = [(s - slope * x, slope) for x, s, slope in zip(r, sigma, slopes, strict=False)]
    return Polynomials((0.0, *r), ((sigma[0],), *lines, (sigma[-1],)))


def law_value(law: SigmaLaw, r: Any) -> Any:
    """Sigma at r, a number or an array (whose type is kept)."""
    match law:
        case Polynomials():
            value = polynomial(law.coefficients[0], r)
            for start, coefficients in zip(law.starts[1:], law.coefficients[1:], strict=True):
                value = switched(value, polynomial(coefficients, r), r > start)
            return np.maximum(value, 0)
        case Saturation():
            return law.plateau * (1 - np.exp(-r / law.constant))
        case Reciprocal():
            return law.product / r
        case _:
            assert_never(law)


def switched(low: Any, high: Any, is_high: Any) -> Any:
    """One of two values, element by element; arithmetic instead of a mask, which is many times slower."""
    return low + (high - low) * np.asarray(is_high, np.float32)


def polynomial(coefficients: tuple[float, ...], r: Any) -> Any:
    """``Σ coefficients[i] · r^i``, in the type of r."""
    value = r * coefficients[-1] if len(coefficients) > 1 else r * 0 + coefficients[0]
    for coefficient in coefficients[-2:0:-1]:
        value += coefficient
        value *= r
    if len(coefficients) > 1:
        value += coefficients[0]
    return value


def sigma_usiemens(r: ArrayLike, device: Device) -> NDArray[np.float64]:
    """Standard deviation of the programmed conductance [µS] at target r = g / g_max in [0, 1], scale included.

    Valid for: 0 ≤ r ≤ 1; the laws are fits to measured distributions within that range.
    """
    return sigma_share(r, device) * np.float64(device.g_max_usiemens)


def sigma_share(r: ArrayLike, device: Device) -> NDArray[np.float64]:
    """The same as a share of g_max [-]."""
    return np.asarray(law_value(sigma_law(device.programming, device), np.asarray(r, np.float64)))


def off_state_share(device: Device) -> float:
    """Smallest conductance as a share of g_max [-]."""
    return float(device.g_min_usiemens / device.g_max_usiemens)
