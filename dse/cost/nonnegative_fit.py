"""Least squares with non-negative parameters, for many design points at once."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# P design points, M measurements, N parameters (few)


def nonnegative_fit(matrix: Array, target: Array) -> Array:
    """The x >= 0 that makes |A·x - y| smallest, for each design point.

    Tries every set of parameters that may differ from zero (2^N of them) and keeps the best that is not negative.

    Args:
        matrix: (P, M, N).
        target: (P, M).

    Returns:
        (P, N).

    >>> nonnegative_fit(np.array([[[1.0, 1.0], [2.0, 1.0]]]), np.array([[1.0, 3.0]])).round(6)
    array([[1.4, 0. ]])
    """
    n_points, _, n_parameters = matrix.shape
    best = np.zeros((n_points, n_parameters))
    error = np.sum(target**2, axis=1)
    for size in range(n_parameters, 0, -1):
        for chosen in itertools.combinations(range(n_parameters), size):
            part = matrix[:, :, list(chosen)]
            found = np.einsum("pnm,pm->pn", np.linalg.pinv(part), target)
            left = np.sum((np.einsum("pmn,pn->pm", part, found) - target) ** 2, axis=1)
            better = np.all(found >= 0, axis=1) & (left < error * (1 - 1e-12))
            error = np.where(better, left, error)
            full = np.zeros((n_points, n_parameters))
            full[:, list(chosen)] = found
            best = np.where(better[:, None], full, best)
    return best


def is_determined(matrix: Array) -> bool:
    """Whether the measurements determine every parameter at every design point."""
    scale = np.max(np.abs(matrix), axis=1, keepdims=True)
    if np.any(scale == 0):
        return False
    return bool(np.all(np.linalg.matrix_rank(matrix / scale, tol=1e-9) == matrix.shape[2]))
