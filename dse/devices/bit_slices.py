"""Weights whose bits are spread over several columns of cells."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dse.devices.scaling import Array


class BitSlice(NamedTuple):
    """One slice of the bits of a weight, lowest first."""

    shift: int
    """Place of its lowest bit."""
    size: int
    """Bits."""

    def share(self, bits: int) -> float:
        """Largest value of the slice over the largest magnitude of the whole weight [-]."""
        return float(((1 << self.size) - 1) << self.shift) / top_magnitude(bits)


def top_magnitude(bits: int) -> int:
    """Largest magnitude of a weight of so many bits, sign included.

    >>> top_magnitude(8)
    127
    """
    return int((1 << (bits - 1)) - 1)


def bit_slices(bits: int, count: int) -> tuple[BitSlice, ...]:
    """The slices of the magnitude bits; sizes differ by at most one, so that none has an unused bit.

    >>> [(s.shift, s.size) for s in bit_slices(8, 2)]
    [(0, 4), (4, 3)]
    """
    size, larger = divmod(bits - 1, count)
    sizes = (size + 1,) * larger + (size,) * (count - larger)
    return tuple(BitSlice(sum(sizes[:k]), size) for k, size in enumerate(sizes))


def magnitude_codes(weight: Array, scale: Array, bits: int) -> Array:
    """Magnitudes of the weights as whole numbers, those beyond the scale at the largest; shape of the weights."""
    top = top_magnitude(bits)
    codes = np.divide(np.abs(weight) * top, scale, out=np.zeros_like(weight), where=scale > 0)
    rounded: Array = np.minimum(np.rint(codes), top)
    return rounded


def slice_targets(weight: Array, codes: Array, scale: Array, part: BitSlice, bits: int) -> Array:
    """What one slice contributes to the weights: its digit times its place value, with the weight's sign.

    Args:
        weight: the weights; only their signs are used.
        codes: their magnitudes.
        scale: weight of the largest magnitude, broadcast against the weights.
        part: the slice.
        bits: of the whole weight.
    """
    digits = np.mod(np.floor(codes / (1 << part.shift)), 1 << part.size)
    step = scale * weight.dtype.type((1 << part.shift) / top_magnitude(bits))
    contribution: Array = np.copysign(digits * step, weight)
    return contribution
