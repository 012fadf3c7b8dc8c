"""What different tiles hold: the same contents are listed once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# S different tiles, N blocks

Indices = NDArray[np.int64]


def contents(place: Indices, block: Indices, n_blocks: int) -> Indices:
    """(S, N): slices of each block on each different tile, in the order of the tiles.

    Args:
        place: tile of every slice, as any number.
        block: block of every slice.
        n_blocks: blocks.
    """
    cells, counts = np.unique(place * n_blocks + block, return_counts=True)
    held_by, of_block = cells // n_blocks, cells % n_blocks
    first = np.flatnonzero(np.diff(held_by, prepend=-1))
    if len(first) == len(cells) and counts.max() == 1:
        return np.eye(n_blocks, dtype=np.int64)
    different: dict[tuple[tuple[int, int], ...], None] = {}
    for start, end in zip(first, [*first[1:], len(cells)], strict=True):
        different[tuple(zip(of_block[start:end].tolist(), counts[start:end].tolist(), strict=True))] = None
    held = np.zeros((len(different), n_blocks), dtype=np.int64)
    for row, pairs in enumerate(different):
        for column, count in pairs:
            held[row, column] = count
    return held
