"""Intervals over fabricated chips that stay honest when the number of chips follows from the first of them.

The unit is one antithetic pair (the mean of its two chips); pairs are independent. Stein's two-stage plan: the spread
of the first n₀ pairs says how many pairs are needed, and stays the only spread that the interval uses.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, stdtrit

CONFIDENCE: Final = 0.95
EQUIVALENCE_LEVEL: Final = 0.05
"""Largest probability of calling a mapping equivalent that is not."""

Values = NDArray[np.float64]


class Interval(NamedTuple):
    """A mean with its 95 % interval."""

    mean: float
    low: float
    high: float


def standard_error(pairs: Values, n_first: int) -> float:
    """Standard error of the mean of all pairs, from the spread of the first ``n_first`` [unit of the pairs].

    Not a number where a pair is infinite, or where the first pairs are equal and later ones are not: the spread of a
    metric of few values is then not known.
    """
    spread = float(np.std(pairs[:n_first], ddof=1)) if np.isfinite(pairs).all() else math.nan
    return math.nan if spread == 0 else spread / math.sqrt(len(pairs))


def mean_interval(pairs: Values, n_first: int) -> Interval:
    """Mean of all pairs with its 95 % interval.

    ``mean ± t(0.975, n₀ − 1) · s₀ / √n``: given the spread s₀ of the first n₀ pairs, the mean of all n pairs is
    normal with variance σ²/n and independent of s₀, so the ratio is Student's t with n₀ − 1 degrees of freedom
    whatever n the spread has led to. With n = n₀ it is the plain interval.

    Valid for: pairs close to normal (the mean of two antithetic chips has lost its odd part), n chosen from s₀ or
    from the clock alone.

    Source: C. Stein, Ann. Math. Statist. 16(3):243-258, 1945.
    """
    mean = float(np.mean(pairs))
    if np.all(pairs == pairs[0]):
        return Interval(float(pairs[0]), float(pairs[0]), float(pairs[0]))
    half = float(stdtrit(n_first - 1, 0.5 + CONFIDENCE / 2)) * standard_error(pairs, n_first)
    return Interval(mean, mean - half, mean + half)


def pairs_needed(first: Values, *, half_width: float, most: int) -> int:
    """Pairs in all for an interval of at most this half-width: Stein's ``⌈t² s₀² / w²⌉``, from n₀ to ``most``.

    >>> pairs_needed(np.array([1.0, 2.0, 3.0]), half_width=0.5, most=100)  # (4.3027 · 1 / 0.5)² = 74.05
    75
    """
    quantile = float(stdtrit(len(first) - 1, 0.5 + CONFIDENCE / 2))
    ratio = quantile * float(np.std(first, ddof=1)) / half_width
    wanted = ratio * ratio
    return max(len(first), math.ceil(wanted) if wanted < most else most)


def lower_bound(passing: int, chips: int) -> float:
    """Share of chips that pass at least, at 95 % confidence (one-sided Clopper-Pearson bound).

    The share p at which ``passing`` or more of ``chips`` independent chips pass with probability 5 %: the 5 % quantile
    of Beta(k, n − k + 1). Exact for every n: its error is never above 5 %.

    Source: C. J. Clopper, E. S. Pearson, Biometrika 26(4):404-413, 1934.

    >>> round(lower_bound(59, 59), 4), round(lower_bound(58, 58), 4)  # 0.05^(1/59), 0.05^(1/58)
    (0.9505, 0.9497)
    """
    if passing == 0:
        return 0.0
    return float(betaincinv(passing, chips - passing + 1, 1 - CONFIDENCE))


def is_within(pairs: Values, n_first: int, *, margin: float) -> bool:
    """Whether the mean lies within ±margin, by two one-sided tests at 5 % each.

    Both ``mean < −margin`` and ``mean > margin`` are refused when the 90 % interval lies inside the margin.

    Source: D. J. Schuirmann, J. Pharmacokin. Biopharm. 15(6):657-680, 1987.
    """
    mean = float(np.mean(pairs))
    if np.all(pairs == pairs[0]):
        return abs(mean) < margin
    reach = float(stdtrit(n_first - 1, 1 - EQUIVALENCE_LEVEL)) * standard_error(pairs, n_first)
    return abs(mean) + reach < margin
