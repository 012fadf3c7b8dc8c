import dataclasses

import numpy as np
import pytest

from dse.devices.sigma import off_state_share, sigma_share, sigma_usiemens
from dse.spec.load import load_device
from dse.spec.programming_noise import Independent, Inverse, Proportional, SigmaTable
from dse.spec.shipped import shipped_names

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


def of_shipped(name, g):
    device = load_device(name)
    return sigma_usiemens(np.asarray(g, np.float64) / device.g_max_usiemens, device)


def test_polynomials_in_the_conductance_by_hand():
    # by hand: 0.28638599 + 0.07585724 g - 0.00178767 g²
    np.testing.assert_allclose(
        of_shipped("joshi_natcommun_2020", [0, 10, 25]), [0.286386, 0.866191, 1.065523], atol=1e-5
    )
    # by hand: 1.053 + 0.2374 g - 1.167e-2 g² + 1.536e-4 g³
    np.testing.assert_allclose(
        of_shipped("wan_nature_2022_crosssim", [0, 10, 39.26]), [1.053, 2.4136, 1.68], atol=0.001
    )
    # by hand: 4.782321 - 0.009107 g
    np.testing.assert_allclose(of_shipped("milo_irps_2021", [50, 225]), [4.326971, 2.733246], atol=1e-6)
    # by hand: 0.0112185391 + 0.01129027418 g, and 0.00081107 + 0.00106879 g
    np.testing.assert_allclose(of_shipped("cmo_hfox_accept_2", [9, 88.2]), [0.112831, 1.007021], atol=1e-6)
    np.testing.assert_allclose(of_shipped("cmo_hfox_accept_0p2", [9, 88.2]), [0.010430, 0.095078], atol=1e-6)


def test_two_branches_meet_at_the_split_which_belongs_to_the_lower_one():
    # the published coefficients at 52.5
    lower = 2.5797411 + 0.22419686 * 52.5 - 3.7158121e-3 * 52.5**2 + 2.939751e-5 * 52.5**3
    upper = 2.1102957 + 0.24534871 * 52.5 - 3.0549934e-3 * 52.5**2 + 1.2329755e-5 * 52.5**3
    found = of_shipped("buchel_neurips_2025", [52.5, 52.5 * (1 + 1e-9), 0.0])
    np.testing.assert_allclose(found, [lower, upper, 2.5797411], rtol=1e-7)


def test_saturating_sigma_by_hand():
    # by hand: 0.1988665 (1 - exp(-g / 1.763115)), 63 % at the constant
    found = of_shipped("agrawal_iedm_2022", [0.0, 1.763115, 14.0])
    np.testing.assert_allclose(found, [0.0, 0.125708, 0.198796], atol=1e-6)


def with_noise(device, noise, **fields):
    return dataclasses.replace(device(**fields), programming=noise)


def test_a_table_is_linear_between_its_points_and_constant_beyond(device):
    table = SigmaTable(model="table", g_usiemens=(5, 10, 20), sigma_usiemens=(1.0, 2.0, 1.0), scale=2.0)
    found = sigma_usiemens(np.array([0, 5, 7.5, 10, 15, 20, 25]) / 25, with_noise(device, table, g_max_usiemens=25))
    np.testing.assert_allclose(found, [2, 2, 3, 4, 3, 2, 2])  # by hand


def test_generic_laws_by_hand(device):
    fields = {"g_max_usiemens": 20.0, "g_min_usiemens": 4.0}
    independent = with_noise(device, Independent(model="independent", fraction=0.1), **fields)
    proportional = with_noise(device, Proportional(model="proportional", fraction=0.1, scale=2.0), **fields)
    inverse = with_noise(device, Inverse(model="inverse", product_usiemens2=8.0), **fields)
    r = [0.2, 1.0]
    np.testing.assert_allclose(sigma_usiemens(r, independent), [1.6, 1.6])  # 0.1 of 20 - 4
    np.testing.assert_allclose(sigma_usiemens(r, proportional), [0.8, 4.0])
    np.testing.assert_allclose(sigma_usiemens(r, inverse), [2.0, 0.4])


def test_two_fits_of_the_same_data_differ_most_for_small_conductances():
    # data: CrossSim's fit of Wan is 3 times the polynomial of aihwkit at g = 0, of Joshi 0.286 to 0.263 uS
    assert of_shipped("wan_nature_2022_crosssim", 0.0) / of_shipped("wan_nature_2022", 0.0) == pytest.approx(
        3.03, abs=0.01
    )
    assert of_shipped("joshi_natcommun_2020", 0.0) / of_shipped("pcm_generic", 0.0) == pytest.approx(1.087, abs=0.001)


@pytest.mark.parametrize("name", shipped_names("device"))
def test_the_law_of_a_shipped_device_is_finite_and_not_negative_over_its_range(name):
    device = load_device(name)
    found = sigma_share(np.linspace(off_state_share(device), 1.0, 101), device)
    assert np.all(np.isfinite(found) & (found >= 0))
