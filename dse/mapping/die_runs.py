"""Places blocks on consecutive tiles and keeps each on one die while there are tiers to spare."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb, prod

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


def run_starts(lengths: Sequence[int], first: int, per_die: int, n_tiles: int, spare: int) -> Indices:
    """(N + 1,): place of the first slice of every block of a stage on the ring of tiles, and where the stage ends.

    A block that would be cut by the end of a die starts on the next one, as long as ``spare`` tiers may stay empty
    and the stage does not come round to its own first tile.

    >>> run_starts([3, 3, 3], 0, 4, 12, 8).tolist()
    [0, 4, 8, 11]
    >>> run_starts([3, 3, 3], 0, 4, 12, 0).tolist()
    [0, 3, 6, 9]
    """
    starts, at, left_over = [], first, n_tiles - sum(lengths)
    for length in lengths:
        rest = per_die - at % per_die
        if rest < length <= per_die and rest <= min(spare, left_over):
            at, spare, left_over = at + rest, spare - rest, left_over - rest
        starts.append(at)
        at += length
    return np.array([*starts, at])


def expected_dies(chances: Sequence[Sequence[float]], n_experts: int, top_k: int) -> float:
    """Expected dies that hold one of the k experts a token chooses, from the visits per token of those on each die.

    A die with m of E equally likely experts has none of k chosen ones with probability ``C(E − m, k) / C(E, k)``; with
    unequal visits λ the choices are taken as independent: ``Π (1 − λ)``.

    >>> expected_dies([[0.5, 0.5], [0.5, 0.5]], 4, 2)  # 1 - C(2, 2) / C(4, 2) on each
    1.6666666666666667
    """
    found = 0.0
    for own in chances:
        none = prod(1 - chance for chance in own)
        if max(own) - min(own) < 1e-12:
            none = comb(n_experts - len(own), top_k) / comb(n_experts, top_k)
        found += 1 - none
    return found
