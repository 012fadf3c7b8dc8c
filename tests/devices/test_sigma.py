import numpy as np
import pytest

from dse.devices.sigma import off_state_share, sigma_share, sigma_usiemens

R = (0, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0)

# The published polynomials (aihwkit inference/noise: hermes.py, pcm.py, reram.py) and their values in % of g_max,
# by hand, rounded to two decimals.
PUBLISHED = {
    "HERMES, 2 devices": (
        (0.16603222, 4.71806468, -8.48101252, 4.68961419),
        20.7,
        (0.80, 1.84, 2.69, 4.29, 4.79, 4.41, 5.28),
    ),
    "HERMES, 1 device": (
        (0.15781817, 2.32443916, -2.16310839, 0.68841818),
        10.35,
        (1.52, 2.60, 3.57, 5.94, 8.36, 9.42, 9.73),
    ),
    "generic PCM": ((0.26348, 1.9650, -1.1731), 25, (1.05, 1.44, 1.79, 2.73, 3.81, 4.31, 4.22)),
    "ReRAM Wan, 1 s": (
        (0.348, 16.030, -43.853, 45.393, -16.815),
        40,
        (0.87, 2.61, 3.89, 5.65, 5.06, 3.83, 2.76),
    ),
    "ReRAM Wan, 1 day": (
        (0.701, 22.086, -50.773, 47.095, -16.458),
        40,
        (1.75, 4.21, 6.12, 9.30, 9.77, 8.42, 6.63),
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_sigma_agrees_with_the_published_polynomial(device, name):
    coefficients, g_max, percent = PUBLISHED[name]
    found = sigma_share(R, device(coefficients, g_max_usiemens=g_max))
    np.testing.assert_allclose(100 * found, percent, atol=0.0051)  # two printed decimals


def test_sigma_in_conductance_is_the_share_times_g_max(device):
    pcm = device((0.26348, 1.9650, -1.1731), g_max_usiemens=25)
    assert sigma_usiemens(0.5, pcm) == pytest.approx(0.26348 + 1.9650 / 2 - 1.1731 / 4)  # by hand


def test_sigma_is_proportional_to_the_scale(device):
    np.testing.assert_allclose(sigma_share(R, device(noise=2.5)), 2.5 * sigma_share(R, device()))


def test_a_polynomial_below_zero_gives_no_noise_there(device):
    found = sigma_share([0.0, 1.0], device((-1.0, 2.0), g_max_usiemens=10))
    np.testing.assert_allclose(found, [0.0, 0.1])  # by hand: max(0, -1), 1 of 10


def test_off_state_is_g_min_over_g_max(device):
    assert off_state_share(device(g_max_usiemens=20, g_min_usiemens=5)) == 0.25
