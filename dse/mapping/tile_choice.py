"""Which tile each slice goes to, so that the busiest tile does as little as possible.

One tier of a tile works at a time. Stages run one after the other, so that what counts is the load of the busiest tile
in each stage, added over the stages; where micro-batches overlap, it is the load of the busiest tile over all stages.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from dse.mapping.tile_swaps import swapped

# S slices, T tiles

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

LOOKS: Final = 5_000_000
"""Loads of tiles that longest processing time first compares: it takes slices one by one only where these suffice."""
LEAST_CHUNKS: Final = 32
"""Parts into which it cuts the slices at least."""


def stage_tiles(load: Array, n_tiles: int, piece: Indices | None = None) -> Indices:
    """(S,): tile of every slice of one stage with more slices than tiles.

    The first S mod T tiles get floor(S / T) + 1 slices and the others floor(S / T), so that stages that follow each
    other round the tiles fill them evenly. The heaviest go first, each round to the tiles that have least (longest
    processing time first, Graham, SIAM J. Appl. Math. 17, 1969); then pairs are swapped while the busiest tile gains.
    Round the tiles in the order of the slices where that is as good, which keeps blocks on few dies.

    Args:
        load: (S,) visits of each slice.
        n_tiles: tiles of the group.
        piece: (S,) equal numbers for copies of the same slice, which stand side by side and go to different tiles.
    """
    piece = np.arange(len(load)) if piece is None else piece
    order = np.argsort(-load, kind="stable")
    tile, total = np.empty(len(load), dtype=np.int64), np.zeros(n_tiles)
    n_whole = len(load) // n_tiles
    for start in range(0, n_whole * n_tiles, n_tiles):
        own = order[start : start + n_tiles]
        tile[own] = np.argsort(total, kind="stable")
        total[tile[own]] += load[own]
    rest = order[n_whole * n_tiles :]
    tile[rest] = np.argsort(total[: len(rest)], kind="stable")
    in_order = np.arange(len(load)) % n_tiles
    return lighter(load, swapped(load, tile, n_tiles, piece, load_bound(load, n_tiles)), in_order, n_tiles, piece)


def all_tiles(load: Array, n_tiles: int, n_tiers: int, piece: Indices | None = None) -> Indices:
    """(S,): tile of every slice of all stages where the total load of a tile counts, at most ``n_tiers`` to a tile.

    As ``stage_tiles``; empty tiers are slices without load, so that a tile with a busy slice may hold few.
    """
    n_free = n_tiles * n_tiers - len(load)
    piece = np.arange(len(load)) if piece is None else piece
    full = np.concatenate([load, np.zeros(n_free)])
    pieces = np.concatenate([piece, piece.max(initial=-1) + 1 + np.arange(n_free)])
    in_order = np.arange(len(load)) % n_tiles
    least = full_bound(load, n_tiles, n_tiers)
    if float(np.bincount(in_order, load, n_tiles).max()) <= least * (1 + 1e-9):
        return in_order
    found = swapped(full, longest_first(full, n_tiles, n_tiers), n_tiles, pieces, least)[: len(load)]
    return lighter(load, found, in_order, n_tiles, piece)


def longest_first(load: Array, n_tiles: int, n_tiers: int) -> Indices:
    """(S,): the heaviest slices first, to the tiles with least load that have a free tier; in parts where many."""
    n_chunks = max(LEAST_CHUNKS, LOOKS // n_tiles)
    size = min(n_tiles, -(-len(load) // n_chunks))
    order = np.argsort(-load, kind="stable")
    tile = np.empty(len(load), dtype=np.int64)
    total, used = np.zeros(n_tiles), np.zeros(n_tiles, dtype=np.int64)
    start = 0
    while start < len(order):
        free = np.where(used < n_tiers, total, np.inf)
        n_here = min(size, len(order) - start, int((used < n_tiers).sum()))
        chosen = np.argpartition(free, n_here - 1)[:n_here] if n_here < n_tiles else np.arange(n_tiles)
        chosen = chosen[np.argsort(free[chosen], kind="stable")]
        own = order[start : start + n_here]
        tile[own] = chosen
        total[chosen] += load[own]
        used[chosen] += 1
        start += n_here
    return tile


def lighter(load: Array, tile: Indices, in_order: Indices, n_tiles: int, piece: Indices) -> Indices:
    """The tiles, or those in the order of the slices where their busiest one does no more or copies meet otherwise."""
    most = [float(np.bincount(choice, load, n_tiles).max()) for choice in (tile, in_order)]
    return in_order if most[1] <= most[0] or meet(tile, piece, n_tiles) else tile


def meet(tile: Indices, piece: Indices, n_tiles: int) -> bool:
    """Whether copies of a slice share a tile."""
    if len(piece) == 0 or piece[-1] == len(piece) - 1:  # in order, so that no two are equal
        return False
    keys = np.sort(piece * n_tiles + tile)
    return bool((np.diff(keys) == 0).any())


def load_bound(load: Array, n_tiles: int) -> float:
    """A lower bound of the busiest tile's load, whatever the tiles.

    The mean; the largest slice; and for every j: of the j·T + 1 largest slices some j + 1 share a tile, so that it has
    at least the sum of the j + 1 smallest of them (as in bounds of bin packing).
    """
    if not len(load):
        return 0.0
    if len(load) <= n_tiles:
        return float(load.max())
    largest = -np.sort(-load)
    bounds = [float(load.sum()) / n_tiles, float(largest[0])]
    bounds += [
        float(largest[j * n_tiles - j : j * n_tiles + 1].sum()) for j in range(1, (len(load) - 1) // n_tiles + 1)
    ]
    return max(bounds)


def full_bound(load: Array, n_tiles: int, n_tiers: int) -> float:
    """The same with at most ``n_tiers`` slices to a tile: what a busy slice shares its tile with because tiers are few.

    For every m: two of the m largest slices share a tile, or they are on m tiles, which hold at least m·tiers − free
    slices, the others of them the smallest: the busiest of these tiles has at least their mean.
    """
    if not len(load):
        return 0.0
    largest = -np.sort(-load)
    n_free = n_tiles * n_tiers - len(load)
    m = np.arange(1, min(n_tiles, len(load)) + 1)
    others = np.clip(m * (n_tiers - 1) - n_free, 0, len(load) - m)
    smallest = np.concatenate([[0.0], np.cumsum(largest[::-1])])
    apart = (np.cumsum(largest)[m - 1] + smallest[others]) / m
    together = np.where(m > 1, largest[m - 2] + largest[m - 1], np.inf)
    return max(load_bound(load, n_tiles), float(np.minimum(apart, together).max()))
