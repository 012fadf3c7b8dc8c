import numpy as np
import pytest
from scipy.integrate import quad

from dse.devices.error import rectified_moments, share_moments, weight_moments
from dse.devices.sigma import sigma_share


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
