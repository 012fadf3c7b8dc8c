"""The digital factor that undoes the mean drift of a tile."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from dse.noise.key import NoiseKey
from dse.noise.normals import Floats, uniforms
from dse.spec.array_effects import DriftCompensation

# r outputs and n inputs of one slice, V read-out vectors

READ_VECTORS = 64
"""Random inputs whose absolute outputs are averaged."""
SMALLEST_READING = 1e-4
"""Readings below this share of the scale count as this, so that an empty column keeps its factor of 1."""


class ReadOut(Protocol):
    """Reads a tile through its own converters."""

    def __call__(self, weight: Tensor, x: Tensor, *, scale: Tensor, key: NoiseKey, is_later: bool) -> Tensor:
        """Outputs (V, r) of the tile, over the input range.

        Args:
            weight: effective weights of the slice (r, n).
            x: inputs (V, n) as shares of the input range, in [-1, 1].
            scale: weight at g_max of each column (r, 1).
            key: slice along input and output, slice of bits.
            is_later: whether the tile is read at the time of use, or right after programming.
        """


def drift_gain(
    before: Floats,
    after: Floats,
    *,
    scale: Floats,
    wanted: DriftCompensation,
    read_out: ReadOut | None,
    key: NoiseKey,
) -> Floats:
    """Reading after programming over the reading at the time of use; (r, 1), or (1, 1) for a whole tile.

    ``exact`` takes the mean absolute weight, ``read_out`` the mean absolute output for random inputs of ±1, which use
    the whole range of the converters, where inputs of one row at a time would fall below one step of them.

    Args:
        before: effective weights after programming (r, n), as shares of the scale.
        after: those at the time of use.
        scale: weight of the share 1, per row (r, 1).
        wanted: one factor per tile or per column, and how it is read.
        read_out: reads a tile; only used for ``read_out``.
        key: slice, for the random inputs.
    """
    if wanted.read == "exact":
        readings = [np.abs(share).mean(axis=1, keepdims=True) for share in (before, after)]
    else:
        assert read_out is not None, "checked where the chip is described"
        drawn = uniforms(key._replace(effect="drift_compensation"), (READ_VECTORS, before.shape[1]))
        x = torch.from_numpy(drawn).mul_(2).sub_(1)
        readings = []
        for share, is_later in ((before, False), (after, True)):
            outputs = read_out(
                torch.from_numpy(share * scale), x, scale=torch.from_numpy(scale), key=key, is_later=is_later
            )
            readings.append(as_share(outputs, scale))
    if wanted.scope == "tile":
        readings = [reading.mean(axis=0, keepdims=True) for reading in readings]
    then, now = (np.maximum(reading, SMALLEST_READING) for reading in readings)
    gain: Floats = then / now
    return gain


def as_share(outputs: Tensor, scale: Floats) -> Floats:
    """Mean absolute output (V, r) of every column, as a share of its scale; (r, 1)."""
    mean = outputs.abs().mean(dim=0).numpy()[:, None]
    reading: Floats = np.divide(mean, scale, out=np.zeros_like(mean), where=scale > np.finfo(np.float32).tiny)
    return reading
