"""Which designs of a plane no other beats, and which of them is the knee."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def front_of(x: ArrayLike, y: ArrayLike) -> NDArray[np.bool_]:
    """Which points no other beats in both coordinates; smaller is better.

    >>> front_of([1, 2, 3, 3], [3, 1, 2, 1]).tolist()
    [True, True, False, False]
    """
    xs, ys = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    order = np.lexsort((ys, xs))
    best = np.minimum.accumulate(np.concatenate(([np.inf], ys[order])))[:-1]
    mask = np.zeros(xs.shape, dtype=bool)
    mask[order] = ys[order] < best
    return mask


def knee_of(x: ArrayLike, y: ArrayLike) -> int | None:
    """Position of the knee of a front: farthest below the chord between its two ends.

    Logarithms of both metrics are scaled to [0, 1] over the front first.

    Args:
        x: first metric of the front's designs, smaller is better, above zero.
        y: second metric, likewise.

    Returns:
        None where the front has fewer than three designs or none lies below the chord.

    >>> knee_of([1, 2, 10], [10, 2, 1])
    1
    """
    xs, ys = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if xs.size < 3 or min(xs.min(), ys.min()) <= 0:
        return None
    scaled = [(np.log(v) - np.log(v).min()) / max(float(np.ptp(np.log(v))), 1e-300) for v in (xs, ys)]
    below = 1.0 - scaled[0] - scaled[1]
    best = int(np.argmax(below))
    return best if below[best] > 1e-9 else None
