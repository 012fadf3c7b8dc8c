import numpy as np
import pytest

from dse.devices.aging import (
    curve_value,
    drift_factor_moments,
    log_share,
    power_law_age,
    read_spread,
    relaxation,
    state_at,
    time_problem,
)
from dse.devices.sigma import law_value, sigma_law
from dse.spec.load import load_device

R = np.array([0.05, 0.1, 0.5, 1.0])


def value(curve, r=R):
    return curve_value(curve, r, log_share(r))


def test_exponents_of_generic_pcm_by_hand():
    drift = load_device("pcm_generic").drift
    # by hand: clip(-0.0155 ln r + 0.0244, 0.049, 0.1) and clip(-0.0125 ln r - 0.0059, 0.008, 0.045)
    np.testing.assert_allclose(value(drift.exponent_mean), [0.070834, 0.060090, 0.049, 0.049], atol=1e-6)
    np.testing.assert_allclose(value(drift.exponent_std), [0.031547, 0.022882, 0.008, 0.008], atol=1e-6)


def test_exponents_of_hermes_by_hand():
    two, one = (load_device(f"legallo_natelectron_2023_{n}device").drift for n in (2, 1))
    # by hand: below 0.0945 clip(-0.0387 ln r - 0.0182, 0.072, 0.13), above -0.0436 r² - 0.0126 r + 0.0736
    expected = [0.097734, 0.071904, 0.0564, 0.0174]
    np.testing.assert_allclose(value(two.exponent_mean), expected, atol=1e-6)
    np.testing.assert_allclose(value(one.exponent_mean), expected, atol=1e-6)
    # by hand: below 0.3055 clip(-0.0117 ln r - 0.0057, 0.0091, 0.04), above -0.0118 r² + 0.0093 r + 0.0073
    np.testing.assert_allclose(value(two.exponent_std), [0.029350, 0.021240, 0.009, 0.0048], atol=1e-6)
    # by hand: below 0.3039 clip(-0.0120 ln r - 0.0023, 0.0124, 0.04), above -0.0165 r² + 0.0116 r + 0.0104
    np.testing.assert_allclose(value(one.exponent_std), [0.033649, 0.025331, 0.012075, 0.0055], atol=1e-6)


def test_drift_factors_of_generic_pcm_without_spread_by_hand():
    device = load_device("pcm_generic")
    age = power_law_age(device, 86_400.0)
    assert age == pytest.approx(8.371242, abs=1e-6)  # by hand: ln(1 + 86400 / 20)
    factors = np.exp(-age * value(device.drift.exponent_mean))
    np.testing.assert_allclose(factors, [0.552669, 0.604684, 0.663528, 0.663528], rtol=1e-4)


def test_read_noise_of_generic_pcm_and_of_hermes_by_hand():
    pcm = load_device("pcm_generic_read_noise").read_noise
    np.testing.assert_allclose(value(pcm.q), [0.061687, 0.039308, 0.013808, 0.0088], rtol=1e-4)
    assert value(pcm.q, np.zeros(1)) == 0.2
    assert read_spread(pcm, 0.0) == pytest.approx(4.183825, abs=1e-5)  # by hand: sqrt(ln 4e7)
    assert read_spread(pcm, 86_400.0) > read_spread(pcm, 0.0)
    two, one = (load_device(f"legallo_natelectron_2023_{n}device_read_noise").read_noise for n in (2, 1))
    # by hand: below 0.16 clip(-0.0117 ln r - 0.0069, 0.015, 0.04), above 0.0123 + 0.0211 r - 0.0280 r² + 0.0069 r³
    np.testing.assert_allclose(value(two.q), [0.028150, 0.020040, 0.0167125, 0.0123], atol=1e-6)
    # by hand: below 0.1591 clip(-0.0078 ln r + 0.0038, 0.0179, 0.04), above 0.0088 + 0.0768 r - 0.1352 r² + 0.0664 r³
    np.testing.assert_allclose(value(one.q), [0.027167, 0.021760, 0.0217, 0.0168], atol=1e-6)


def test_moments_of_the_drift_factor_far_from_zero_are_those_of_a_lognormal():
    device = load_device("pcm_generic")
    age = power_law_age(device, 3600.0)
    mean, std = value(device.drift.exponent_mean, np.array([1.0])), value(device.drift.exponent_std, np.array([1.0]))
    found = drift_factor_moments([1.0], device, 3600.0)
    # closed form: ν is 6 standard deviations from 0, so |ν| = ν
    assert found.first == pytest.approx(np.exp(-mean * age + (std * age) ** 2 / 2), rel=1e-6)
    assert found.second == pytest.approx(np.exp(-2 * mean * age + 2 * (std * age) ** 2), rel=1e-6)


def test_moments_of_the_drift_factor_near_zero_are_those_of_the_absolute_exponent():
    device = load_device("pcm_state_independent")
    rng = np.random.default_rng(0)
    factor = np.exp(-power_law_age(device, 1e6) * np.abs(0.1 + 0.05 * rng.standard_normal(400_000)))
    found = drift_factor_moments([0.3], device, 1e6)
    assert found.first == pytest.approx(factor.mean(), abs=4 * factor.std() / 400_000**0.5)
    assert found.second == pytest.approx(np.square(factor).mean(), rel=0.01)


def test_relaxation_of_cmo_by_hand():
    loss, std = relaxation(load_device("cmo_hfox_accept_2"), 3600.0)
    assert loss * 88.2 == pytest.approx(0.728810, abs=1e-5)  # by hand: 0.08900206 ln 3600
    assert std * 88.2 == pytest.approx(0.755852, abs=1e-5)  # by hand: 0.04201137 ln 3600 + 0.41183342
    assert relaxation(load_device("cmo_hfox_accept_2"), 0.0) == (0.0, 0.0)


def test_two_percent_acceptance_is_ten_times_as_noisy_as_a_fifth_of_a_percent():
    wide, narrow = (load_device(f"cmo_hfox_accept_{a}") for a in ("2", "0p2"))
    ratio = law_value(sigma_law(wide.programming, wide), 1.0) / law_value(sigma_law(narrow.programming, narrow), 1.0)
    assert ratio == pytest.approx(10.6, abs=0.1)  # by hand at 88.2 uS: 1.00702 / 0.09508


@pytest.mark.parametrize(("time_s", "lowest"), [(0, 0.348), (1, 0.348), (86_400, 0.701), (172_800, 0.782)])
def test_tabulated_devices_have_the_table_of_each_time(time_s, lowest):
    device = load_device("wan_nature_2022")
    assert time_problem(device, time_s) is None
    assert state_at(device, time_s).noise.coefficients[0] == lowest


@pytest.mark.parametrize(
    ("name", "time_s", "message"),
    [
        ("wan_nature_2022", 3600.0, "RRAM of NeuRRAM was measured at 0, 1, 86400, 172800 s only, with nothing known"),
        ("milo_irps_2021", 1.0, "RRAM of Milo has no drift model, so only 0 is possible (got 1); add drift"),
        ("cmo_hfox_accept_2", 0.5, "is known at 0 and from 1 s on (got 0.5)"),
        ("pcm_generic", -1.0, "expected a finite number >= 0 (got -1)"),
        ("pcm_generic", float("nan"), "expected a finite number >= 0 (got nan)"),
    ],
)
def test_times_at_which_a_device_is_not_known_are_refused(name, time_s, message):
    assert message in time_problem(load_device(name), time_s)


def test_a_device_that_keeps_its_state_has_one_at_any_time():
    assert time_problem(load_device("sram_bit"), 1e9) is None
