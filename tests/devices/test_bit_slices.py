import numpy as np
import pytest

from dse.devices.bit_slices import bit_slices, magnitude_codes, slice_targets, top_magnitude


@pytest.mark.parametrize(("bits", "count"), [(8, 1), (8, 2), (8, 3), (8, 7), (2, 1), (16, 8), (5, 3)])
def test_slices_cover_every_magnitude_bit_once_and_none_is_larger_by_more_than_one(bits, count):
    parts = bit_slices(bits, count)
    assert len(parts) == count
    assert [bit for p in parts for bit in range(p.shift, p.shift + p.size)] == list(range(bits - 1))
    assert max(p.size for p in parts) - min(p.size for p in parts) <= 1


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_the_largest_weight_fills_every_slice(count):
    # 7 magnitude bits in 2 slices: 4 + 3, the upper one to 7 of 7 and not to 7 of 15
    parts = bit_slices(8, count)
    assert sum(p.share(8) for p in parts) == pytest.approx(1.0)
    codes = magnitude_codes(np.array([[0.3, -0.3]]), np.array([[0.3]]), 8)
    for part in parts:
        found = slice_targets(np.array([[0.3, -0.3]]), codes, np.array([[0.3]]), part, 8)
        np.testing.assert_allclose(found, np.array([[0.3, -0.3]]) * part.share(8))


@pytest.mark.parametrize("count", [1, 2, 4])
def test_the_sum_of_the_slices_is_the_quantised_weight(count):
    weight = np.concatenate([np.random.default_rng(0).standard_normal((3, 50)), np.zeros((3, 1))], axis=1)
    scale = np.abs(weight).max(axis=1, keepdims=True)
    codes = magnitude_codes(weight, scale, 6)
    total = sum(slice_targets(weight, codes, scale, part, 6) for part in bit_slices(6, count))
    np.testing.assert_allclose(total, np.rint(weight / scale * 31) * scale / 31, atol=1e-12)
    assert top_magnitude(6) == 31


def test_weights_beyond_the_scale_take_the_largest_code_and_empty_rows_none():
    codes = magnitude_codes(np.array([[5.0, -0.5], [0.0, 0.0]]), np.array([[1.0], [0.0]]), 4)
    np.testing.assert_array_equal(codes, [[7, 4], [0, 0]])  # by hand: 0.5 * 7 = 3.5, to even
