"""Names of random draws: equal names give equal noise, whatever the mapping, the order or the threads."""

from __future__ import annotations

from hashlib import blake2b
from typing import Literal, NamedTuple

import numpy as np

Sign = Literal[1, -1]
"""Of every normal of a chip; −1 is the antithetic chip."""


class NoiseKey(NamedTuple):
    """One draw: a noise effect on the devices of one slice of a matrix on one fabricated chip."""

    seed: int
    """Chip."""
    block: str
    matrix: str
    i: int
    """Slice along the input."""
    j: int
    """Slice along the output."""
    effect: str
    copy: int = 0
    bit_slice: int = 0

    def number(self) -> int:
        """A 63-bit number that depends on the key and on nothing else."""
        return int.from_bytes(blake2b("\0".join(map(str, self)).encode(), digest_size=8).digest()) >> 1

    def words(self) -> np.random.SFC64:
        """The stream of random words of this draw; made of 128 bits of the name, so that no two draws coincide."""
        return np.random.SFC64(int.from_bytes(blake2b("\0".join(map(str, self)).encode(), digest_size=16).digest()))


def chip_seed(seed: int, pair: int) -> int:
    """Seed of one fabricated chip of a study, so that studies of different seeds share no chip."""
    return NoiseKey(seed, "", "", pair, 0, "chip").number()
