"""Which tiles the blocks of a stage have: each on one die, the dies equally busy, while there are tiers to spare."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb, prod

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Indices = NDArray[np.int64]


class DieRings:
    """Free tiers of dies whose tiles are filled one after the other, round and round."""

    def __init__(self, n_dies: int, per_die: int, n_tiers: int) -> None:
        """Empty dies of so many tiles with so many tiers each."""
        self.per_die, self.room = per_die, per_die * n_tiers
        self.used: Indices = np.zeros(n_dies, dtype=np.int64)

    def stage(self, lengths: Sequence[int], loads: Sequence[float]) -> Indices | None:
        """(S,): tile of every slice of a stage, blocks one after the other; None where no die has room for a block.

        The heaviest block goes first, each to the die with the least load in the stage, of these to the emptiest
        (longest processing time first): vectors of a stage cross the links of all dies at once, and the fullest die
        is waited for. A tile holds one slice of the stage, and no tile of a die holds two slices more than another.

        >>> DieRings(2, 4, 1).stage([2, 2, 2], [1, 3, 1]).tolist()
        [4, 5, 0, 1, 6, 7]
        """
        load, here = np.zeros(len(self.used)), np.zeros(len(self.used), dtype=np.int64)
        tiles: list[Indices] = [np.empty(0, np.int64)] * len(lengths)
        for block in np.argsort(-np.asarray(loads), kind="stable").tolist():
            length = lengths[block]
            fits = (here + length <= self.per_die) & (self.used + length <= self.room)
            if not fits.any():
                return None
            least = np.flatnonzero(fits & (load <= load[fits].min()))
            die = int(least[self.used[least].argmin()])
            tiles[block] = die * self.per_die + (self.used[die] + np.arange(length)) % self.per_die
            load[die] += loads[block]
            here[die] += length
            self.used[die] += length
        return np.concatenate(tiles)


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
