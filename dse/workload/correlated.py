"""The busiest tile of a batch whose tokens follow, in part, one choice of the whole batch."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from dse.workload.busiest import (
    CERTAIN,
    Busiest,
    TileContents,
    between,
    corrected_mean,
    in_order,
    largest_loads,
)
from dse.workload.sampled_steps import DRAWS, FEWER_DRAWS, step_counts

# E experts, S sets of experts that share a tile, W sampled steps

Array = NDArray[np.float64]
SPLITS: Final = 9
"""Numbers of tokens that follow the batch-wide choice which are looked at."""
RARE: Final = 1e-3
"""Probability below which a number of followers is left out at either end."""


def correlated_busiest_tile(visits: Array, tokens: float, contents: TileContents, correlation: float) -> Busiest:
    """Visits of the busiest tile in a step of n tokens that follow one choice of the whole batch with probability ρ.

    The others choose on their own. Mean and spread over sampled steps, the same at every call: c tokens follow, c from
    binomial(n, ρ); the load of a tile is that of n − c tokens on their own and c times what it holds of the
    batch-wide choice.

    Valid for: the mean is within 1 % of sampling with other draws.

    Args:
        visits: (E,) expected visits per token λ_e of every expert of the layer, also of those elsewhere.
        tokens: n, tokens of a step; between whole numbers the result is interpolated.
        contents: what the tiles hold.
        correlation: ρ, above 0.
    """
    used = contents.held.any(axis=1) | (contents.always > 0)
    if not used.any() or tokens <= 0:
        return Busiest(0.0, 0.0)
    held, always = contents.held[used].tobytes(), contents.always[used].tobytes()
    return between(tokens, lambda n: _busiest(visits.tobytes(), n, held, always, correlation))


@lru_cache(maxsize=4096)
def _busiest(visit_bytes: bytes, n: int, held_bytes: bytes, always_bytes: bytes, correlation: float) -> Busiest:
    visits = np.round(np.frombuffer(visit_bytes), 12)
    held = np.frombuffer(held_bytes, np.int64).reshape(-1, len(visits))
    fixed = n * (np.frombuffer(always_bytes, np.int64) + held @ (visits >= CERTAIN))
    random = (visits < CERTAIN) & (visits > 0)
    held, visits = held[:, random], visits[random]
    if not held.any() or n == 0:
        return Busiest(float(fixed.max()), 0.0)
    order = in_order(visits, held)
    here = np.flatnonzero(held[:, order].any(axis=0))
    held, visit_bytes, expected = held[:, order[here]], visits[order].tobytes(), n * visits[order[here]]
    choices = np.roll(step_counts(visit_bytes, 1), DRAWS // 2, axis=0)[:, here]
    followers = number_of_followers(n, correlation)
    rows = DRAWS if len(followers) == 1 else FEWER_DRAWS
    found = []
    for each in followers:
        counts = each.tokens * choices[:rows].astype(np.float32)
        if n > each.tokens:
            own = step_counts(visit_bytes, n - each.tokens)[:rows, here]
            counts = counts[: len(own)] + own
        largest = largest_loads(counts, held, fixed)
        found.append((corrected_mean(largest, counts[: len(largest)], expected), largest.var()))
    weights = np.array([each.probability for each in followers])
    means, variances = np.array(found).T
    mean = float(weights @ means)
    return Busiest(mean, float(np.sqrt(weights @ (variances + (means - mean) ** 2))))


class Followers(NamedTuple):
    """Tokens of a step that follow the batch-wide choice, and how likely it is that they are so many."""

    tokens: int
    probability: float


def number_of_followers(tokens: int, correlation: float) -> list[Followers]:
    """Likely values of binomial(n, ρ); where there are many, as many equally likely quantiles."""
    low, high = (int(binom.ppf(q, tokens, correlation)) for q in (RARE, 1 - RARE))
    if high - low < SPLITS:
        values = np.arange(low, high + 1)
        weights = binom.pmf(values, tokens, correlation)
        return [Followers(int(c), float(w)) for c, w in zip(values, weights / weights.sum(), strict=True)]
    middles = binom.ppf((np.arange(SPLITS) + 0.5) / SPLITS, tokens, correlation)
    return [Followers(int(c), 1 / SPLITS) for c in middles]
