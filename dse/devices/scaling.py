"""The weight that is stored as full conductance, for every row of every input slice."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dse.devices.slices import slice_bounds
from dse.spec.device import Device, ScaleScope
from dse.units import Quantity

# O outputs, S input slices
Array = NDArray[np.float32] | NDArray[np.float64]
Bounds = tuple[tuple[int, int], ...]

CHUNK_WEIGHTS = 1 << 15
"""Weights that are looked at together."""


def scale_factors(weight: Array, device: Device, *, rows: Quantity, cols: Quantity) -> Array:
    """Weight that maps to g_max, per output row and input slice, equal within a scope; shape (O, S).

    The largest absolute weight of the scope; with ``clip``, at most so many standard deviations (taken about zero,
    since the map is symmetric) or that percentile of the absolute weights of the scope. An all-zero scope has scale 0.

    Args:
        weight: matrix [outputs, inputs].
        device: gives ``scale_scope`` and ``clip``.
        rows: weights along the input of one crossbar.
        cols: weights along the output of one crossbar.
    """
    inputs, outputs = slice_bounds(weight.shape[1], rows), slice_bounds(weight.shape[0], cols)
    blocks = [weight[:, start:stop] for start, stop in inputs]
    peak = np.empty((len(weight), len(blocks)), weight.dtype)  # (O, S)
    for s, block in enumerate(blocks):
        peak[:, s] = row_peaks(block)
    pooled_peak = pooled(peak, np.maximum, device.scale_scope, outputs)
    if device.clip is None:
        return pooled_peak
    if device.clip.percentile is not None:
        limit = percentile(weight, float(device.clip.percentile), device.scale_scope, inputs, outputs)
        return np.minimum(pooled_peak, limit)
    assert device.clip.std is not None
    squares = np.stack([np.einsum("oi,oi->o", block, block) for block in blocks], axis=1)  # (O, S)
    counts = np.broadcast_to(np.array([stop - start for start, stop in inputs], squares.dtype), squares.shape)
    power = pooled(squares, np.add, device.scale_scope, outputs) / pooled(counts, np.add, device.scale_scope, outputs)
    clipped: Array = np.minimum(pooled_peak, squares.dtype.type(device.clip.std) * np.sqrt(power))
    return clipped


def row_peaks(block: Array) -> Array:
    """Largest absolute value of every row, in chunks of rows that stay in the cache."""
    step = max(CHUNK_WEIGHTS // max(block.shape[1], 1), 1)
    scratch = np.empty((min(step, len(block)), block.shape[1]), block.dtype)
    peaks = np.empty(len(block), block.dtype)
    for start in range(0, len(block), step):
        rows = block[start : start + step]
        np.abs(rows, out=scratch[: len(rows)]).max(axis=1, out=peaks[start : start + step])
    return peaks


def percentile(weight: Array, share: float, scope: ScaleScope, inputs: Bounds, outputs: Bounds) -> Array:
    """That percentile of the absolute weights of every scope, shape (O, S)."""
    magnitude = np.abs(weight)
    table = np.empty((weight.shape[0], len(inputs)), weight.dtype)
    if scope == "matrix":
        table[:] = np.percentile(magnitude, share)
    elif scope == "row":
        table[:] = np.percentile(magnitude, share, axis=1, keepdims=True)
    for s, (first, last) in enumerate(inputs):
        if scope == "row_slice":
            table[:, s] = np.percentile(magnitude[:, first:last], share, axis=1)
        elif scope == "slice":
            for start, stop in outputs:
                table[start:stop, s] = np.percentile(magnitude[start:stop, first:last], share)
    return table


def pooled(table: Array, combine: np.ufunc, scope: ScaleScope, outputs: Bounds) -> Array:
    """A table (O, S) with each entry replaced by the combination over its scope."""
    match scope:
        case "row_slice":
            return table
        case "row":
            whole = combine.reduce(table, axis=1, keepdims=True)
        case "matrix":
            whole = combine.reduce(table, axis=None, keepdims=True)
        case "slice":
            parts = [combine.reduce(table[start:stop], axis=0, keepdims=True) for start, stop in outputs]
            whole = np.concatenate(
                [np.repeat(part, stop - start, axis=0) for part, (start, stop) in zip(parts, outputs, strict=True)]
            )
    return np.broadcast_to(whole, table.shape)
