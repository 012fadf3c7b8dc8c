"""Swaps slices of the busiest tile with lighter ones elsewhere, as long as that helps."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

# S slices, T tiles

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

SWAPS: Final = 2000
"""Most swaps."""
LOOKS: Final = 20_000_000
"""Loads of tiles that are looked at in all: what limits the time, alike on every machine."""
LIGHT: Final = 32
"""Tiles of least load that a slice of the busiest tile is swapped with."""
GOOD: Final = 1e-4
"""Distance from the bound, as a share, at which swapping ends."""
EXACT: Final = 1e-9
"""Share of a load that counts as none."""


def swapped(load: Array, tile: Indices, n_tiles: int, piece: Indices, least: float) -> Indices:
    """(S,): the tiles after the swaps; every tile keeps its number of slices.

    Args:
        load: (S,) visits of each slice.
        tile: (S,) tile of each slice.
        n_tiles: tiles.
        piece: (S,) equal numbers for copies of a slice, which never come to one tile.
        least: bound of the load of the busiest tile, near which swapping ends.
    """
    order = np.argsort(tile, kind="stable")
    ends = np.cumsum(np.bincount(tile, minlength=n_tiles))
    starts = ends - np.diff(ends, prepend=0)
    total = np.bincount(tile, load, n_tiles)
    has_copies = len(piece) > 0 and int(piece.max()) < len(piece) - 1
    for _ in range(min(SWAPS, LOOKS // n_tiles)):
        busiest = int(total.argmax())
        if total[busiest] <= least * (1 + GOOD):
            break
        light = np.argpartition(total, min(LIGHT, n_tiles) - 1)[:LIGHT]
        light = light[light != busiest]
        own = np.arange(starts[busiest], ends[busiest])  # places in the order
        others = np.concatenate([np.arange(starts[t], ends[t]) for t in light] or [own[:0]])
        if not len(others):
            break
        at = np.repeat(light, ends[light] - starts[light])
        moved = load[order[own]][:, None] - load[order[others]][None, :]  # (own, others): what the busiest tile loses
        after = np.maximum(total[busiest] - moved, total[at][None, :] + moved)
        if has_copies:
            after[together(piece[order[own]], piece[order[others]], at)] = np.inf
        a, b = np.unravel_index(int(after.argmin()), after.shape)
        if after[a, b] >= total[busiest] * (1 - EXACT):
            break
        total[busiest] -= moved[a, b]
        total[at[b]] += moved[a, b]
        order[own[a]], order[others[b]] = order[others[b]], order[own[a]]
    found = np.empty_like(tile)
    found[order] = np.repeat(np.arange(n_tiles), ends - starts)
    return found


def together(own: Indices, others: Indices, at: Indices) -> NDArray[np.bool_]:
    """(own, others): whether the swap would bring copies of a slice to one tile.

    Args:
        own: copied slice of each slice of the busiest tile.
        others: copied slice of each slice elsewhere, tile by tile.
        at: tile of each of these.
    """
    equal = own[:, None] == others[None, :]
    firsts = np.flatnonzero(np.diff(at, prepend=-1))
    there = np.logical_or.reduceat(equal, firsts, axis=1)  # (own, tiles): a copy of it is there
    return np.asarray(np.repeat(there, np.diff(firsts, append=len(at)), axis=1) | equal.any(axis=0)[None, :])
