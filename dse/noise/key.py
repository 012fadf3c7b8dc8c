"""Names of random draws: equal names give equal noise, whatever the mapping, the order or the threads."""

from __future__ import annotations

from hashlib import blake2b
from typing import Literal, NamedTuple

import torch

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

    def generator(self) -> torch.Generator:
        """The random generator of this draw, on the CPU wherever the model is.

        torch's CPU generator uses 32 bits of the number, so among a million draws about a hundred pairs
        coincide; they belong to different weights, and averages do not notice.
        """
        return torch.Generator().manual_seed(self.number())


def chip_seed(seed: int, pair: int) -> int:
    """Seed of one fabricated chip of a study, so that studies of different seeds share no chip."""
    return NoiseKey(seed, "", "", pair, 0, "chip").number()
