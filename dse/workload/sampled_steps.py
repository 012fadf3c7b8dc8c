"""Sampled steps: how often each expert is visited when every token chooses a fixed number of different experts."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

# E experts, W sampled steps

Array = NDArray[np.float64]
DRAWN_TOKENS: Final = 16
"""Tokens of a step up to which the choice of each is drawn."""
DRAWS: Final = 16384
FEWER_DRAWS: Final = 4096
"""Of longer steps, whose loads vary less."""
SHIFT: Final = 101
"""Steps of n tokens pair row i with row i + 101 n: no step then has a choice twice (2 · 101 · 16 < 16384)."""


def fixed_size_choices(visits: Array, draws: int, generator: np.random.Generator) -> NDArray[np.bool_]:
    """(W, E): Σ λ different experts, each with probability λ, in every row.

    Systematic sampling over a random order of the experts. As many rows as an order has disjoint choices share it, from
    starts evenly apart, so that every expert is chosen about as often as expected.
    """
    per_order = max(1, min(draws, int(len(visits) / visits.sum() + 1e-9)))
    shape = (-(-draws // per_order), len(visits))
    order = np.repeat(generator.random(shape).argsort(axis=1), per_order, axis=0)[:draws]
    starts = (generator.random((shape[0], 1)) + np.arange(per_order) / per_order) % 1.0
    edges = np.cumsum(visits[order], axis=1) - starts.reshape(-1, 1)[:draws]
    edges = np.concatenate([edges[:, :1] - visits[order[:, :1]], edges], axis=1)
    chosen = np.empty(order.shape, dtype=bool)
    np.put_along_axis(chosen, order, np.diff(np.ceil(edges - 1e-12), axis=1) > 0.5, axis=1)
    return chosen


@lru_cache(maxsize=32)
def step_counts(visit_bytes: bytes, n: int) -> NDArray[Any]:
    """(W, E): visits of each expert in sampled steps of n tokens that choose on their own; the same at every call.

    Up to 16 tokens the choices are drawn, 16384 of one token; a step of n tokens is one of n/2 and another one. From
    there on counts are binomial; what they add up to beyond n·k is taken off in proportion to their variances
    ``v = λ(1 − λ)``, and their variance restored.
    """
    visits = np.frombuffer(visit_bytes)
    if n == 1:
        return fixed_size_choices(visits, DRAWS, np.random.default_rng(0)).astype(np.uint8)
    if n <= DRAWN_TOKENS:
        one, other = step_counts(visit_bytes, n // 2), step_counts(visit_bytes, n - n // 2)
        return np.asarray(one + np.roll(other, -SHIFT * n, axis=0))
    share = visits * (1 - visits) / (visits * (1 - visits)).sum()
    off = np.random.default_rng(n).binomial(n, visits, size=(FEWER_DRAWS, len(visits))) - n * visits
    off = (off - off.sum(axis=1, keepdims=True) * share) / np.sqrt(1 - share)
    return np.asarray(np.clip(n * visits + off, 0, n), dtype=np.float32)
