"""What changes in a joint probability of independent counts when their sum is known: a saddle-point correction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# V kinds of counts with a cap, U without, C values of a count (W that matter), M levels

Array = NDArray[np.float64]
NEWTON_STEPS = 40
TOLERANCE = 1e-6
EDGE = 1e-6
NEGLIGIBLE = 1e-11


@dataclass(frozen=True, slots=True, eq=False)
class Summands:
    """Independent whole-numbered counts whose sum is known to be the sum of their plain means."""

    pmf: Array
    """(V, C): distribution of each kind, widened so that the known sum leaves its variance."""
    plain: Array
    """(V, C): distribution that the means are taken from."""
    count: Array
    """(V,): how many there are of each kind."""


@dataclass(frozen=True, slots=True, eq=False)
class Binomials:
    """Counts without a cap, binomial(n, λ) in units of ``step``."""

    n: int
    visits: Array
    """(U,): λ of each kind."""
    count: Array
    """(U,): how many there are of each kind."""
    step: int

    def cumulants(self, theta: Array) -> Array:
        """(5, M): log of the moment generating function about the mean at θ, and its first four derivatives."""
        if len(self.visits) == 0:
            return np.zeros((5, len(theta)))
        tilt = np.expm1(theta / self.step)[None, :]
        p = self.visits[:, None]
        q = p * (1 + tilt) / (1 + p * tilt)
        v = q * (1 - q)
        terms = (
            np.log1p(p * tilt) - p * theta / self.step, q - p, v, v * (1 - 2 * q), v * (1 - 6 * v),
        )  # fmt: skip
        return np.stack([self.n * (self.count @ t) / self.step**r for r, t in enumerate(terms)])


def log_sum_probability(summands: Summands, others: Binomials, cap: NDArray[np.int64]) -> Array:
    """Log of the part of P(Σ = Σ of the means) in which no count exceeds its cap, (M,).

    Saddle point with the first correction term: ``log P = K(θ) − θ·t − ½ log 2πK'' + log(1 + λ₄/8 − 5 λ₃²/24)``
    where θ solves K'(θ) = t; exact where every count must stand at its cap.

    Args:
        summands: counts with caps.
        others: counts without.
        cap: (V, M) largest value of each kind at each level; below 0: none is allowed.

    Source: H. E. Daniels, Ann. Math. Stat. 25(4):631-650, 1954.
    """
    pmf, count = summands.pmf, summands.count
    matters = pmf > NEGLIGIBLE * pmf.max(axis=1, keepdims=True)
    first, last = matters.argmax(axis=1), pmf.shape[1] - 1 - matters[:, ::-1].argmax(axis=1)
    value = first[:, None] + np.arange((last - first).max() + 1)  # (V, W)
    inside = value <= last[:, None]
    pmf = np.where(inside, np.take_along_axis(pmf, np.minimum(value, last[:, None]), axis=1), 0.0)
    mean = summands.plain @ np.arange(summands.plain.shape[1])
    cap = np.minimum(cap, last[:, None])
    room = count @ (cap - mean[:, None]) + others.n * (others.count @ (1 - others.visits)) / others.step
    feasible = (cap >= first[:, None]).all(axis=0) & (room >= -EDGE)
    edge = feasible & (room <= EDGE)
    result = np.full(cap.shape[1], -np.inf)
    if edge.any():
        at_cap = np.take_along_axis(np.log(np.maximum(pmf, 1e-300)), cap[:, edge] - first[:, None], axis=1)
        result[edge] = count @ at_cap
    inner = np.flatnonzero(feasible & ~edge)
    if len(inner):
        allowed = value[:, None, :] <= cap[:, inner, None]  # (V, M, W)
        result[inner] = saddle_point(np.where(allowed, pmf[:, None, :], 0.0), count, value - mean[:, None], others)
    return result


def saddle_point(weight: Array, count: Array, offset: Array, others: Binomials) -> Array:
    """The saddle-point formula for weights (V, M, W) at distances (V, W) from their means."""
    theta = np.zeros(weight.shape[1])
    powers = np.stack([offset**r for r in range(3)], axis=2)  # (V, W, 3)
    for _ in range(NEWTON_STEPS):
        tilted = weight * np.exp(np.clip(theta[:, None] * offset[:, None, :], -600, 600))
        moments = tilted @ powers  # (V, M, 3)
        total = np.maximum(moments[:, :, 0], 1e-300)
        mean = moments[:, :, 1] / total
        variance = np.maximum(moments[:, :, 2] / total - mean**2, 0.0)
        free = others.cumulants(theta)
        slope = count @ variance + free[2]
        step = np.clip(-(count @ mean + free[1]) / np.maximum(slope, 1e-12), -1.0, 1.0)
        theta = np.clip(theta + step, -40.0, 40.0)
        if np.abs(step).max() < TOLERANCE:
            break
    away = offset[:, None, :] - mean[:, :, None]
    cubes = tilted * away**3
    third = count @ (cubes.sum(axis=2) / total) + free[3]
    fourth = count @ ((cubes * away).sum(axis=2) / total - 3 * variance**2) + free[4]
    second = np.maximum(slope, 1e-12)
    first_term = fourth / (8 * second**2) - 5 * third**2 / (24 * second**3)
    log_density = count @ np.log(total) + free[0] - 0.5 * np.log(2 * np.pi * second)
    return np.asarray(log_density + np.log1p(np.clip(first_term, -0.5, 0.5)))
