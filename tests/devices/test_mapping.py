import numpy as np
import pytest

from dse.devices.mapping import targets, weight_gain

SHARES = np.array([-1.0, -0.3, -0.0, 0.0, 0.5, 1.0])
SCHEMES = ["differential", "two_sided", "offset", "unit_column"]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("off", [0.0, 0.01, 0.4])
def test_weights_come_back_from_their_conductances(scheme, off):
    found = targets(SHARES, scheme, off)
    back = (found.first - found.second) * weight_gain(scheme, off)
    np.testing.assert_allclose(np.copysign(back, SHARES) if scheme == "differential" else back, SHARES, atol=1e-15)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_conductances_stay_between_the_smallest_and_the_largest(scheme):
    for g in targets(SHARES, scheme, 0.2):
        assert np.all((np.asarray(g) >= 0.2 - 1e-15) & (np.asarray(g) <= 1.0))


def test_the_sum_of_a_two_sided_pair_is_constant():
    found = targets(SHARES, "two_sided", 0.1)
    np.testing.assert_allclose(found.first + found.second, 1.1)
