"""The smallest sum of one table over counts whose sum lies in a range: dynamic programming, for many designs."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

# P design points, L layers, C counts 0..E of one layer, S sums 0..L·E

Array = NDArray[np.float64]
Counts = NDArray[np.int64]

MOST_WORK: Final = 3_000_000
"""Largest L·C·S of one design that is worth it: about 5 ms."""
CHUNK_CELLS: Final = 2_000_000


def is_small(table: Array) -> bool:
    """Whether the program is worth its time."""
    _, n_layers, n_counts = table.shape
    return bool(n_layers * n_counts * (n_layers * (n_counts - 1) + 1) <= MOST_WORK)


def exact_counts(table: Array, least: Counts, most: Counts) -> Counts:
    """(P, L): counts of the smallest ``Σ_l table_l(k_l)`` with ``least <= Σ_l k_l <= most``.

    ``best_l(s) = min_c best_{l−1}(s − c) + table_l(c)``; the range must hold a sum that some counts reach.
    """
    _, n_layers, n_counts = table.shape
    size = max(1, CHUNK_CELLS // (n_layers * n_layers * n_counts))
    parts = [
        chunk_counts(table[at : at + size], least[at : at + size], most[at : at + size])
        for at in range(0, len(table), size)
    ]
    return np.concatenate(parts)


def chunk_counts(table: Array, least: Counts, most: Counts) -> Counts:
    """The counts of some designs."""
    n_points, n_layers, n_counts = table.shape
    n_sums = min(n_layers * (n_counts - 1), int(most.max())) + 1
    best = np.full((n_points, n_sums), np.inf)
    best[:, 0] = 0.0
    chosen = np.zeros((n_layers, n_points, n_sums), dtype=np.int16)
    for layer in range(n_layers):
        found = np.full_like(best, np.inf)
        for count in range(min(n_counts, n_sums)):
            sums = best[:, : n_sums - count] + table[:, layer, count, None]
            better = sums < found[:, count:]
            np.minimum(sums, found[:, count:], out=found[:, count:])
            np.copyto(chosen[layer][:, count:], count, where=better)
        best = found
    sums = np.arange(n_sums)
    in_range = (sums >= least[:, None]) & (sums <= most[:, None])
    at, points = np.where(in_range, best, np.inf).argmin(axis=1), np.arange(n_points)
    counts = np.zeros((n_points, n_layers), dtype=np.int64)
    for layer in reversed(range(n_layers)):
        counts[:, layer] = chosen[layer][points, at]
        at = at - counts[:, layer]
    return counts
