"""How a matrix is cut into crossbars."""

from __future__ import annotations

from itertools import accumulate

from dse.units import Quantity


def slice_sizes(n: int, limit: Quantity) -> tuple[int, ...]:
    """Sizes of the ceil(n / limit) slices of one axis; they differ by at most one, larger ones first.

    >>> slice_sizes(1408, 512)
    (470, 469, 469)
    """
    count = -(-n // int(limit))
    size, larger = divmod(n, count)
    return (size + 1,) * larger + (size,) * (count - larger)


def slice_bounds(n: int, limit: Quantity) -> tuple[tuple[int, int], ...]:
    """First and one past the last index of each slice of one axis.

    >>> slice_bounds(5, 2)
    ((0, 2), (2, 4), (4, 5))
    """
    ends = tuple(accumulate(slice_sizes(n, limit)))
    return tuple(zip((0, *ends), ends, strict=False))
