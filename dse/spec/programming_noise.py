"""How far a programmed conductance misses its target: the laws a device file may choose from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from dse.spec.quantity import CONFIG, NonNegative, Number, Positive

Coefficients = Annotated[tuple[Annotated[float, Number()], ...], Field(min_length=1)]
Levels = Annotated[tuple[Annotated[float, Number(ge=0)], ...], Field(min_length=2)]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Programming:
    """Programming noise whose standard deviation is a polynomial of the relative conductance."""

    __pydantic_config__ = CONFIG

    model: Literal["polynomial"]
    """``polynomial``: sigma [µS] = Σ coefficients[i] · r^i, r = target conductance / g_max in [0, 1]."""
    coefficients: Coefficients
    """Coefficients of r^0, r^1, … [µS]."""
    scale: NonNegative = 1.0
    """Factor on sigma: 1 = the measured chip, 0 = no noise (the paper's c)."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class AbsolutePolynomial:
    """Programming noise whose standard deviation is a polynomial of the conductance itself."""

    __pydantic_config__ = CONFIG

    model: Literal["absolute_polynomial"]
    """``absolute_polynomial``: sigma [µS] = max(0, Σ coefficients[i] · g^i), g = target conductance [µS]."""
    coefficients: Coefficients
    """Coefficients of g^0, g^1, … [µS, 1, 1/µS, …]."""
    scale: NonNegative = 1.0
    """Factor on sigma: 1 = the measured chip, 0 = no noise."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TwoBranch:
    """Programming noise with one polynomial for low and one for high conductances."""

    __pydantic_config__ = CONFIG

    model: Literal["two_branch"]
    """``two_branch``: sigma [µS] = max(0, Σ c_i · g^i) with one set of c up to a conductance and one above it."""
    split_usiemens: Positive
    """Largest conductance of the lower branch [µS]."""
    coefficients: Coefficients
    """Coefficients of g^0, g^1, … up to the split [µS, 1, 1/µS, …]."""
    coefficients_above: Coefficients
    """Coefficients of g^0, g^1, … above the split [µS, 1, 1/µS, …]."""
    scale: NonNegative = 1.0
    """Factor on sigma: 1 = the measured chip, 0 = no noise."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Saturating:
    """Programming noise that grows with the conductance up to a plateau."""

    __pydantic_config__ = CONFIG

    model: Literal["saturating"]
    """``saturating``: sigma [µS] = plateau · (1 − exp(−g / constant))."""
    plateau_usiemens: NonNegative
    """Standard deviation at large conductances [µS]."""
    constant_usiemens: Positive
    """Conductance at which 63 % of the plateau are reached [µS]."""
    scale: NonNegative = 1.0
    """Factor on sigma: 1 = the measured chip, 0 = no noise."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SigmaTable:
    """Programming noise measured at some conductances."""

    __pydantic_config__ = CONFIG

    model: Literal["table"]
    """``table``: sigma between the points is linear, beyond them that of the last point."""
    g_usiemens: Levels
    """Target conductances, ascending [µS]."""
    sigma_usiemens: Levels
    """Standard deviation at each of them [µS]."""
    scale: NonNegative = 1.0
    """Factor on sigma: 1 = the measured chip, 0 = no noise."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Independent:
    """Programming noise that does not depend on the state; with one signed device, noise added to the weight."""

    __pydantic_config__ = CONFIG

    model: Literal["independent"]
    """``independent``: sigma = fraction · (g_max − g_min), so a device's noise is that share of the largest weight."""
    fraction: NonNegative
    """Standard deviation over the range of conductances [-]."""
    scale: NonNegative = 1.0
    """Factor on sigma."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Proportional:
    """Programming noise in proportion to the conductance."""

    __pydantic_config__ = CONFIG

    model: Literal["proportional"]
    """``proportional``: sigma = fraction · g."""
    fraction: NonNegative
    """Standard deviation over the target conductance [-]."""
    scale: NonNegative = 1.0
    """Factor on sigma."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Inverse:
    """Programming noise that is largest for the smallest conductance."""

    __pydantic_config__ = CONFIG

    model: Literal["inverse"]
    """``inverse``: sigma = product / g; g_min must be above 0."""
    product_usiemens2: NonNegative
    """Standard deviation times conductance [µS²]."""
    scale: NonNegative = 1.0
    """Factor on sigma."""


ProgrammingNoise = (
    Programming | AbsolutePolynomial | TwoBranch | Saturating | SigmaTable | Independent | Proportional | Inverse
)
