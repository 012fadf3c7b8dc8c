import numpy as np
import pytest

from dse.devices.scaling import scale_factors
from dse.spec.device import Clip

WEIGHT = np.array(
    [[1.0, -2.0, 3.0], [0.5, 0.25, -4.0], [0.0, 0.0, 0.0]]
)  # 3 outputs, 3 inputs; crossbars of 2 x 2: inputs 2 + 1, outputs 2 + 1


@pytest.mark.parametrize(
    ("scope", "expected"),  # by hand: largest absolute value of each scope
    [
        ("matrix", [[4, 4], [4, 4], [4, 4]]),
        ("slice", [[2, 4], [2, 4], [0, 0]]),
        ("row", [[3, 3], [4, 4], [0, 0]]),
        ("row_slice", [[2, 3], [0.5, 4], [0, 0]]),
    ],
)
def test_scale_is_the_largest_weight_of_the_scope(device, scope, expected):
    np.testing.assert_array_equal(scale_factors(WEIGHT, device(scale_scope=scope), rows=2, cols=2), expected)


def test_clipping_limits_the_scale_to_standard_deviations_of_the_scope(device):
    weight = np.array([[3.0, 0.0, 0.0, 4.0]])
    found = scale_factors(weight, device(clip=Clip(std=1.2)), rows=8, cols=8)
    assert found.item() == pytest.approx(1.2 * 2.5)  # by hand: rms = sqrt((9 + 16) / 4) = 2.5


@pytest.mark.parametrize("scope", ["matrix", "slice", "row", "row_slice"])
def test_clipping_pools_squares_over_the_scope(device, scope):
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((5, 7))
    found = scale_factors(weight, device(scale_scope=scope, clip=Clip(std=0.5)), rows=3, cols=2)
    inputs, outputs = ((0, 3), (3, 5), (5, 7)), ((0, 2), (2, 4), (4, 5))
    for s, (a, b) in enumerate(inputs):
        for c, d in outputs:
            for row in range(c, d):
                members = {
                    "matrix": weight,
                    "slice": weight[c:d, a:b],
                    "row": weight[row],
                    "row_slice": weight[row, a:b],
                }[scope]
                expected = min(np.abs(members).max(), 0.5 * np.sqrt(np.mean(members**2)))  # brute force
                assert found[row, s] == pytest.approx(expected)


def test_a_row_of_one_weight_is_not_clipped_away(device):
    found = scale_factors(np.array([[0.3], [-0.2]]), device(clip=Clip(std=2.5)), rows=4, cols=4)
    np.testing.assert_allclose(found[:, 0], [0.3, 0.2])
