"""Which points are not dominated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

Direction = Literal["min", "max"]


def pareto_mask(values: ArrayLike, directions: Sequence[Direction]) -> NDArray[np.bool_]:
    """Mask (N,) of the points that no other point dominates.

    A point dominates another when it is at least as good in every column and better in one; equal points keep
    each other. Rows with NaN are never on the front.

    Args:
        values: (N, D), one row a point.
        directions: D texts, ``min`` or ``max``.

    Raises:
        ValueError: another direction, or another number of columns than of directions.

    >>> pareto_mask([[1, 5], [2, 4], [3, 6]], ["min", "min"]).tolist()
    [True, True, False]
    """
    table = np.array(values, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] != len(directions):
        raise ValueError(f"expected shape (N, {len(directions)}), one column per direction (got {table.shape})")
    unknown = [direction for direction in directions if direction not in get_args(Direction)]
    if unknown:
        raise ValueError(f"a direction is 'min' or 'max' (got {unknown[0]!r})")
    table *= [1.0 if direction == "min" else -1.0 for direction in directions]
    mask = np.zeros(len(table), dtype=bool)
    finite = np.flatnonzero(~np.isnan(table).any(axis=1))
    if len(finite) == 0:
        return mask
    unique, inverse = np.unique(table[finite], axis=0, return_inverse=True)  # sorted by the first column
    efficient = efficient_rows(unique)
    mask[finite] = efficient[inverse.reshape(-1)]
    return mask


def front_mask(points: pd.DataFrame, metrics: Mapping[str, Direction]) -> NDArray[np.bool_]:
    """Mask (N,) of the feasible points of a table that no other feasible point dominates in some metrics."""
    ok = points["status"].to_numpy() == "ok"
    mask = np.zeros(len(points), dtype=bool)
    mask[ok] = pareto_mask(points.loc[ok, list(metrics)].to_numpy(), list(metrics.values()))
    return mask


def efficient_rows(rows: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Mask of the non-dominated rows (all columns minimised); rows are distinct and in lexical order."""
    if rows.shape[1] == 2:
        best_before = np.concatenate(([np.inf], np.minimum.accumulate(rows[:, 1])[:-1]))
        return np.asarray(rows[:, 1] < best_before)
    mask = np.zeros(len(rows), dtype=bool)
    left = np.arange(len(rows))
    order = np.argsort(rows.sum(axis=1), kind="stable")
    left = left[order]
    while len(left):
        pivot = left[0]
        mask[pivot] = True
        left = left[np.any(rows[left] < rows[pivot], axis=1)]
    return mask
