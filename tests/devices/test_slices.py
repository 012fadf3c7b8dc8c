from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dse.devices.slices import slice_bounds, slice_sizes


@pytest.mark.parametrize(
    ("n", "limit", "sizes"),
    [
        (512, 512, (512,)),
        (513, 512, (257, 256)),
        (1408, 512, (470, 469, 469)),  # by hand: 1408 = 3 * 469 + 1
        (1, 512, (1,)),
        (5, 1, (1, 1, 1, 1, 1)),
    ],
)
def test_slices_of_an_axis_differ_by_at_most_one(n, limit, sizes):
    assert slice_sizes(n, limit) == sizes


@given(st.integers(1, 5000), st.integers(1, 600))
def test_slices_cover_the_axis_once_and_fit_the_crossbar(n, limit):
    bounds = slice_bounds(n, limit)
    assert bounds[0][0] == 0
    assert bounds[-1][1] == n
    assert all(a[1] == b[0] for a, b in pairwise(bounds))
    sizes = [stop - start for start, stop in bounds]
    assert max(sizes) <= limit
    assert max(sizes) - min(sizes) <= 1
    assert len(sizes) == -(-n // limit)
