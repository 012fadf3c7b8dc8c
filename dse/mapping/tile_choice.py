"""Which tile each slice goes to, so that the busiest tile does as little as possible.

One tier of a tile works at a time. Stages run one after the other, so that what counts is the load of the busiest tile
in each stage, added over the stages; where micro-batches overlap, it is the load of the busiest tile over all stages.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

# S slices, T tiles

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

SWAPS: Final = 400
"""Most swaps of two slices in one stage."""
LIGHT: Final = 32
"""Tiles of least load that a slice of the busiest tile is swapped with."""
GOOD: Final = 1e-4
"""Distance from the bound, as a share, at which swapping ends."""
EXACT: Final = 1e-9
"""Share of a load that counts as none."""


def stage_tiles(load: Array, n_tiles: int, first: int) -> Indices:
    """(S,): tile of every slice of one stage, on the tiles from ``first`` on, round and round.

    Every tile gets floor(S / T) or one more, so that the stages of a group together fill the tiles evenly. Where no
    tile gets two, the order of the slices stays as it is, which keeps a block on few dies; else the heaviest go first,
    each round to the tiles that have least (longest processing time first, Graham, SIAM J. Appl. Math. 17, 1969), and
    pairs are swapped as long as the busiest tile gains.

    Args:
        load: (S,) visits of each slice.
        n_tiles: tiles of the group.
        first: tile that the first slice would go to.
    """
    ring = (first + np.arange(len(load))) % n_tiles
    if len(load) <= n_tiles:
        return ring
    order = np.argsort(-load, kind="stable")
    tile = np.empty(len(load), dtype=np.int64)
    total = np.zeros(n_tiles)
    n_whole = len(load) // n_tiles
    for start in range(0, n_whole * n_tiles, n_tiles):
        own = order[start : start + n_tiles]
        tile[own] = np.argsort(total, kind="stable") if start else ring[:n_tiles][::-1]
        total[tile[own]] += load[own]
    rest = order[n_whole * n_tiles :]
    last = ring[n_whole * n_tiles :]
    tile[rest] = last[np.argsort(total[last], kind="stable")]
    return lighter(load, swapped(load, tile, n_tiles), ring, n_tiles)


def all_tiles(load: Array, n_tiles: int) -> Indices:
    """(S,): tile of every slice of all stages where the total load of a tile counts: as for one stage."""
    order = np.argsort(-load, kind="stable")
    tile, total = np.empty(len(load), dtype=np.int64), np.zeros(n_tiles)
    for start in range(0, len(load), n_tiles):
        own = order[start : start + n_tiles]
        tile[own] = np.argsort(total, kind="stable")[: len(own)]
        total[tile[own]] += load[own]
    return lighter(load, swapped(load, tile, n_tiles), np.arange(len(load)) % n_tiles, n_tiles)


def lighter(load: Array, tile: Indices, in_order: Indices, n_tiles: int) -> Indices:
    """The tiles, or those in the order of the slices where their busiest one does no more."""
    most = [float(np.bincount(choice, load, n_tiles).max()) for choice in (tile, in_order)]
    return in_order if most[1] <= most[0] else tile


def swapped(load: Array, tile: Indices, n_tiles: int) -> Indices:
    """The tiles after swapping a slice of the busiest tile with a lighter one elsewhere, as long as that helps."""
    tile = tile.copy()
    total = np.bincount(tile, load, n_tiles)
    least = load_bound(load, n_tiles)
    for _ in range(SWAPS):
        busiest = int(total.argmax())
        if total[busiest] <= least * (1 + GOOD):
            break
        own = np.flatnonzero(tile == busiest)
        lightest = np.argpartition(total, min(LIGHT, n_tiles - 1))[:LIGHT]
        others = np.flatnonzero(np.isin(tile, lightest[lightest != busiest]))
        if not len(others):
            break
        moved = load[own][:, None] - load[others][None, :]  # (own, others): what the busiest tile would lose
        after = np.maximum(total[busiest] - moved, total[tile[others]][None, :] + moved)
        best = np.unravel_index(int(after.argmin()), after.shape)
        if after[best] >= total[busiest] * (1 - EXACT):
            break
        a, b = own[best[0]], others[best[1]]
        gain = load[a] - load[b]
        total[busiest] -= gain
        total[tile[b]] += gain
        tile[a], tile[b] = tile[b], tile[a]
    return tile


def load_bound(load: Array, n_tiles: int) -> float:
    """A lower bound of the busiest tile's load, whatever the tiles.

    The mean; the largest slice; and for every j: of the j·T + 1 largest slices some j + 1 share a tile, so that it has
    at least the sum of the j + 1 smallest of them (as in bounds of bin packing).
    """
    if not len(load):
        return 0.0
    largest = -np.sort(-load)
    bounds = [float(load.sum()) / n_tiles, float(largest[0])]
    bounds += [
        float(largest[j * n_tiles - j : j * n_tiles + 1].sum()) for j in range(1, (len(load) - 1) // n_tiles + 1)
    ]
    return max(bounds)
