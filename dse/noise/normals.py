"""Random numbers of a named draw: fast, and the same whatever the mapping, the order or the threads."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dse.noise.key import NoiseKey

Floats = NDArray[np.float32]

CHUNK_WEIGHTS = 1 << 17
"""Weights of a slice that are worked on at once, so that they stay in the cache; part of the definition of a draw."""


def chunk_rows(width: int) -> int:
    """Rows of ``width`` weights each that are worked on, and drawn, at once."""
    return max(CHUNK_WEIGHTS // width, 1)


class NormalStream:
    """Independent standard normals of one draw, in order."""

    def __init__(self, key: NoiseKey) -> None:
        """Starts the stream."""
        self.words = key.words()

    def fill(self, out: Floats) -> Floats:
        """Fills a contiguous array and returns it."""
        self.fill_rows(out.reshape(1, -1))
        return out

    def fill_rows(self, out: Floats) -> Floats:
        """Fills a contiguous matrix (r, n) row by row and returns it; a row does not depend on how many there are.

        Box and Muller's transform of the 64-bit words of the generator SFC64, whose stream NumPy keeps stable: of a
        row's 32-bit halves, the first half gives radii, the second half angles. Largest value: 6.6.
        """
        n_rows, width = out.shape
        half = (width + 1) // 2
        drawn = self.words.random_raw(n_rows * half).view(np.int32).reshape(n_rows, 2 * half)  # a word for two normals
        radius, angle = np.empty((2, n_rows, half), np.float32)
        np.copyto(radius, drawn[:, :half], casting="unsafe")
        np.copyto(angle, drawn[:, half:], casting="unsafe")
        np.abs(radius, out=radius)
        radius += 0.5
        radius *= 2.0**-31  # (0, 1]
        np.log(radius, out=radius)
        radius *= -2
        np.sqrt(radius, out=radius)
        angle *= np.pi * 2.0**-31  # [-π, π]
        np.multiply(np.cos(angle, out=out[:, :half]), radius, out=out[:, :half])
        rest = width - half
        np.multiply(np.sin(angle, out=angle)[:, :rest], radius[:, :rest], out=out[:, half:])
        return out


def standard_normals(key: NoiseKey, shape: tuple[int, ...]) -> Floats:
    """Independent standard normals."""
    return NormalStream(key).fill(np.empty(shape, np.float32))


def uniforms(key: NoiseKey, shape: tuple[int, ...]) -> Floats:
    """Independent numbers in [0, 1)."""
    return np.random.Generator(key.words()).random(shape, np.float32)
