"""Parts slices that are used in the same steps: swaps that lower the mean of the busiest tile over sampled steps."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from dse.workload.batch import LayerRouting
from dse.workload.sampled_steps import fixed_size_choices

# W sampled steps, E experts, N blocks, S slices, T tiles

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

SAMPLES: Final = 128
"""Steps that the search looks at."""
SWAPS: Final = 200
"""Most swaps."""
LOOKS: Final = 10_000_000
"""Loads of tiles in sampled steps that are looked at in all: what limits the time, alike on every machine."""
LIGHT: Final = 16
"""Tiles of least load that a slice of a busy tile is swapped with."""
BUSY: Final = 3
"""Tiles that are most often the busiest, of which one gives a slice away."""
GAIN: Final = 1e-9
"""Least share by which a swap must help."""


def sampled_visits(routing: LayerRouting, tokens: float, seed: int) -> Array:
    """(W, E): visits of each expert in sampled steps of n tokens.

    Windows of a trace, evenly spread; else counts drawn expert by expert, which leaves out that a token's choices
    differ: enough to guide the search, whose result is judged by the exact distribution.
    """
    if routing.trace is not None:
        windows = routing.windows(tokens)
        return windows[np.linspace(0, len(windows) - 1, min(SAMPLES, len(windows))).astype(np.int64)].astype(np.float64)
    generator = np.random.default_rng(seed)
    n, chance = round(tokens), np.clip(routing.visits, 0.0, 1.0)
    copied = generator.binomial(n, routing.correlation, size=(SAMPLES, 1))
    own = generator.binomial(n - copied, chance, size=(SAMPLES, len(chance))).astype(np.float64)
    if routing.correlation == 0:
        return own
    return own + copied * fixed_size_choices(routing.visits, SAMPLES, generator)


def parted(samples: Array, block: Indices, tile: Indices, n_tiles: int) -> Indices:
    """(S,): the tiles after swaps of slices of tiles that are busiest in most steps; tiles keep their slices' number.

    Args:
        samples: (W, N) visits of each block in each sampled step.
        block: (S,) block of each slice.
        tile: (S,) its tile.
        n_tiles: tiles.
    """
    tile = tile.copy()
    total: Array = np.stack([np.bincount(tile, row[block], n_tiles).astype(np.float64) for row in samples])  # (W, T)
    for _ in range(min(SWAPS, LOOKS // total.size)):
        most = total.max(axis=1)
        often = np.bincount(total.argmax(axis=1), minlength=n_tiles)
        for busiest in np.argsort(-often, kind="stable")[: min(BUSY, n_tiles - 1)].tolist():
            pair = best_swap(samples, block, tile, total, busiest)
            if pair is not None and pair[2] < most.mean() * (1 - GAIN):
                break
        else:
            return tile
        a, b, _ = pair
        moved = samples[:, block[a]] - samples[:, block[b]]
        total[:, tile[a]] -= moved
        total[:, tile[b]] += moved
        tile[a], tile[b] = tile[b], tile[a]
    return tile


def best_swap(
    samples: Array, block: Indices, tile: Indices, total: Array, busiest: int
) -> tuple[int, int, float] | None:
    """The best slice of a tile to swap, with which other one, and the mean of the busiest tile after that."""
    where = total.argmax(axis=1) == busiest
    mean = (total[where] if where.any() else total).mean(axis=0)
    light = np.argpartition(mean, min(LIGHT, len(mean)) - 1)[:LIGHT]
    light = light[light != busiest]
    own = np.flatnonzero(tile == busiest)
    own = own[np.unique(block[own], return_index=True)[1]]
    others = np.flatnonzero(np.isin(tile, light))
    others = others[np.unique(tile[others] * len(block) + block[others], return_index=True)[1]]
    if not len(own) or not len(others):
        return None
    at = tile[others]
    top = np.argsort(-total, axis=1, kind="stable")[:, :3]  # of two tiles that change, one of three is neither
    changes = (top[:, None, :] == busiest) | (top[:, None, :] == at[None, :, None])  # (W, others, 3)
    rest = np.where(changes, -np.inf, np.take_along_axis(total, top, axis=1)[:, None, :]).max(axis=2)
    best: tuple[int, int, float] | None = None
    for a in own.tolist():
        moved = samples[:, [block[a]]] - samples[:, block[others]]  # (W, others)
        after = np.maximum(rest, np.maximum(total[:, [busiest]] - moved, total[:, at] + moved)).mean(axis=0)
        b = int(after.argmin())
        if best is None or after[b] < best[2]:
            best = a, int(others[b]), float(after[b])
    return best
