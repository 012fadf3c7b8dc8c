import dataclasses

import numpy as np
import pytest
from scipy.integrate import quad

from dse.devices.aging import curve_value, log_share, read_spread
from dse.devices.error import device_moments, rectified_moments, share_moments, weight_moments
from dse.devices.sigma import sigma_share
from dse.spec.device import Faults
from dse.spec.load import load_device


@pytest.mark.parametrize("mean", [-0.1, 0.0, 0.02, 0.3])
def test_rectified_moments_agree_with_quadrature(mean):
    std = 0.1

    def integral(power):
        def density(x):
            return x**power * np.exp(-0.5 * ((x - mean) / std) ** 2) / (std * np.sqrt(2 * np.pi))

        return quad(density, 0, mean + 10 * std, epsabs=1e-13)[0]

    found = rectified_moments(mean, std)  # other program: scipy.integrate.quad
    assert found.mean == pytest.approx(integral(1), rel=1e-9)
    assert found.variance == pytest.approx(integral(2) - integral(1) ** 2, rel=1e-8)


def test_without_noise_moments_are_the_weight_itself(device):
    share = np.array([-1.0, -0.2, 0.0, 0.7])
    found = share_moments(share, device(noise=0.0, g_min_usiemens=1.0))
    np.testing.assert_allclose(found.mean, share, atol=1e-15)
    np.testing.assert_array_equal(found.variance, 0)


def test_the_unused_device_shrinks_every_large_weight(device):
    pair = device((0.3,), g_max_usiemens=30)
    found = share_moments([1.0, -1.0], pair)
    loss = 0.01 / np.sqrt(2 * np.pi)  # closed form: mean of a normal of std 0.01, clamped at zero
    np.testing.assert_allclose(found.mean, [1 - loss, loss - 1], rtol=1e-12)
    half_normal = 0.01**2 * (0.5 - 1 / (2 * np.pi))
    np.testing.assert_allclose(found.variance, 0.01**2 + half_normal, rtol=1e-9)


def test_a_zero_weight_of_a_pair_has_no_bias(device):
    assert share_moments(0.0, device()).mean == pytest.approx(0.0, abs=1e-18)


def test_one_signed_device_has_no_bias_and_the_variance_of_the_polynomial(device):
    single = device(pair="single_signed", g_min_usiemens=2.07)
    found = share_moments([0.5, -0.5], single)
    np.testing.assert_allclose(found.mean, [0.5, -0.5])
    np.testing.assert_allclose(found.variance, (sigma_share(0.55, single) / 0.9) ** 2)  # by hand: r = 0.1 + 0.9 / 2


def test_an_off_state_away_from_zero_reduces_clamping(device):
    share = 0.5
    low, high = (share_moments(share, device((0.5,), g_min_usiemens=g)).mean for g in (0.0, 2.0))
    assert low < high < share + 1e-6


def test_dead_zone_weights_have_neither_mean_nor_variance(device):
    found = share_moments([0.009, 0.011, -0.009], device(dead_zone=0.01))
    assert found.mean[0] == found.mean[2] == found.variance[0] == found.variance[2] == 0
    assert found.variance[1] > 0


def test_moments_of_a_matrix_scale_with_its_rows(device):
    weight = np.random.default_rng(1).standard_normal((3, 10))
    factors = np.array([[1.0], [4.0], [0.5]])
    plain, scaled = (weight_moments(w, device(), rows=4, cols=2) for w in (weight, factors * weight))
    np.testing.assert_allclose(scaled.mean, factors * plain.mean)
    np.testing.assert_allclose(scaled.variance, factors**2 * plain.variance)


def test_moments_of_an_empty_row_are_zero(device):
    found = weight_moments(np.zeros((2, 3)), device(), rows=2, cols=2)
    assert not found.mean.any()
    assert not found.variance.any()


def test_error_of_gaussian_rows_agrees_with_the_published_figure(device):
    weight = np.random.default_rng(2).standard_normal((200, 512))
    found = weight_moments(weight, device(pair="single_signed"), rows=512, cols=512)
    share = np.sqrt(found.variance.sum() / np.square(weight).sum())
    assert share == pytest.approx(0.123, abs=0.002)  # paper: HERMES polynomial on Gaussian 512-long rows, 12.3 %


def chips(r, device, time_s, n=200_000, seed=0):
    """Conductances of n devices, drawn with NumPy straight from the text of the laws."""
    rng = np.random.default_rng(seed)
    g = np.maximum(r + sigma_share(r, device) * rng.standard_normal(n), 0)
    drift, read = device.drift, device.read_noise
    log_r = log_share(r)
    exponent = curve_value(drift.exponent_mean, r, log_r) + curve_value(
        drift.exponent_std, r, log_r
    ) * rng.standard_normal(n)
    state = g if read.q_of == "programmed" else np.full(n, r)
    q = curve_value(read.q, state, log_share(state)) * read_spread(read, time_s)
    aged = g * (1 + time_s / drift.t0_s) ** -np.abs(exponent)
    return np.maximum(aged * (1 + q * rng.standard_normal(n)), 0)


@pytest.mark.parametrize("q_of", ["programmed", "target"])
@pytest.mark.parametrize("r", [0.0, 0.03, 0.4, 1.0])
def test_moments_of_an_aged_device_agree_with_drawn_ones(r, q_of):
    shipped = load_device("pcm_generic_read_noise")
    device = dataclasses.replace(shipped, read_noise=dataclasses.replace(shipped.read_noise, q_of=q_of))
    drawn = chips(r, device, 86_400.0)
    found = device_moments(r, device, time_s=86_400.0)
    assert found.mean == pytest.approx(drawn.mean(), abs=4 * drawn.std() / 200_000**0.5)
    assert found.variance == pytest.approx(drawn.var(), rel=0.015)


def test_faults_add_what_their_shares_say(device):
    faulty = device(noise=0.0, faults=Faults(stuck_at_g_min_fraction=0.02, stuck_at_g_max_fraction=0.01))
    share = np.array([-0.8, 0.0, 0.3])
    found = share_moments(share, faulty)
    expected = 0.02 * share**2 + 0.01 * ((1 - np.abs(share)) ** 2 + 1)  # closed form, to first order in the shares
    np.testing.assert_allclose(found.variance + (found.mean - share) ** 2, expected, rtol=0.02)


@pytest.mark.parametrize("scheme", ["two_sided", "offset", "unit_column"])
def test_other_ways_of_storing_a_weight_add_the_variances_of_their_devices(device, scheme):
    plain = device((0.1,), g_max_usiemens=10, g_min_usiemens=2)  # sigma is 0.01 of g_max, nothing is near 0
    found = share_moments([-0.5, 0.0, 0.5], plain, scheme=scheme)
    np.testing.assert_allclose(found.mean, [-0.5, 0.0, 0.5], atol=1e-9)
    devices = {"two_sided": 2, "offset": 4, "unit_column": 8}[scheme]  # by hand: gain² times number of devices
    np.testing.assert_allclose(found.variance, devices * (0.01 / 0.8) ** 2, rtol=1e-9)


def test_bit_slices_add_the_variances_of_their_digits(device):
    plain = device((0.01,), g_max_usiemens=1, pair="single_signed")
    weight = np.random.default_rng(0).standard_normal((4, 50))
    found = weight_moments(weight, plain, rows=64, cols=64, bits=8, n_bit_slices=2)
    scale = np.abs(weight).max(axis=1, keepdims=True)
    # by hand: slices of 4 and 3 bits reach 15 and 112 of 127
    np.testing.assert_allclose(
        found.variance, np.broadcast_to((0.01 * scale / 127) ** 2 * (15**2 + 112**2), (4, 50)), rtol=1e-9
    )
    np.testing.assert_allclose(found.mean, np.rint(weight / scale * 127) / 127 * scale, atol=1e-12)


@pytest.mark.parametrize(
    ("scope", "expected", "slope"),  # other program: aihwkit 1.1.0 on 2048 x 1408 Student-t(4) weights, 0.546 … 0.131
    [("matrix", 0.546, 0.883), ("row", 0.158, 0.976), ("row_slice", 0.131, 0.982)],
)
def test_the_scale_scope_is_the_largest_lever_on_heavy_tailed_weights(scope, expected, slope):
    rng = np.random.default_rng(20260)
    rng.standard_normal((512, 512))
    weight = 0.02 * rng.standard_t(4, (2048, 1408))
    device = dataclasses.replace(load_device("pcm_generic"), scale_scope=scope)
    found = weight_moments(weight, device, rows=512, cols=512)
    energy = np.sum(np.square(weight))
    error = np.sqrt((np.square(found.mean - weight) + found.variance).sum() / energy)
    assert error == pytest.approx(expected, rel=0.006)
    assert (found.mean * weight).sum() / energy == pytest.approx(slope, abs=0.002)
