from dataclasses import replace

import numpy as np
import pytest
import torch

from dse.devices.error import share_moments, weight_moments
from dse.noise.key import NoiseKey, chip_seed
from dse.noise.weight import noisy_weight
from dse.spec.device import Clip
from dse.spec.programming_noise import TwoBranch

from .small import make_core, make_device

CLEAR = {"pair": "both_devices", "g_min_usiemens": 10.0}  # half of g_max: no device ever reaches zero


def gaussian(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 0.02


def program(weight, device, *, rows=512, cols=512, seed=1, block="layers.0.attention", matrix="q", **options):
    core = make_core(device, rows=rows, cols=cols)
    return noisy_weight(weight, device, core, seed=seed, block=block, matrix=matrix, **options)


@pytest.mark.parametrize("pair", ["both_devices", "single_signed"])
def test_without_noise_weights_are_exactly_the_targets(pair):
    weight = gaussian(40, 30)
    assert torch.equal(program(weight, make_device(pair=pair), scale=0.0), weight)
    assert torch.equal(program(weight, make_device(pair=pair, noise=0.0, g_min_usiemens=1.0)), weight)


def test_equal_keys_give_equal_noise_in_any_order():
    weight, other = gaussian(64, 48), gaussian(64, 48, seed=9)
    first = program(weight, make_device())
    program(other, make_device(), block="layers.1.attention")
    torch.randn(5)
    assert torch.equal(program(weight, make_device()), first)


def test_noise_does_not_depend_on_threads():
    weight = gaussian(300, 100)
    first = program(weight, make_device(), rows=37, cols=130)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert torch.equal(program(weight, make_device(), rows=37, cols=130), first)
    finally:
        torch.set_num_threads(threads)


def test_the_global_random_state_stays_as_it_is():
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002 (the state that peers use)
    program(gaussian(20, 20), make_device())
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002


def test_the_same_normals_are_used_at_every_scale():
    weight, device = gaussian(60, 50), make_device(pair="single_signed")
    once, thrice = (program(weight, device, scale=c) - weight for c in (1.0, 3.0))
    torch.testing.assert_close(thrice, 3 * once, atol=1e-7, rtol=1e-5)


def test_scale_of_the_call_multiplies_that_of_the_device():
    weight = gaussian(60, 50)
    assert torch.equal(program(weight, make_device(noise=3.0)), program(weight, make_device(), scale=3.0))


@pytest.mark.parametrize("fields", [{"pair": "single_signed"}, CLEAR])
def test_antithetic_chips_average_to_the_target(fields):
    weight, device = gaussian(60, 50), make_device(**fields)
    plus, minus = (program(weight, device, sign=sign) for sign in (1, -1))
    assert not torch.equal(plus, weight)
    torch.testing.assert_close((plus + minus) / 2, weight, atol=1e-8, rtol=1e-6)


def test_the_antithetic_chip_has_the_opposite_normals_before_clamping():
    zero = torch.zeros(1, 100_000)
    zero[0, 0] = 1.0
    plus, minus = (program(zero, make_device((0.207,)), rows=100_000, sign=sign)[0, 1:] for sign in (1, -1))
    # a and b normals of std 0.01: plus = max(0, a) - max(0, b), minus = max(0, -a) - max(0, -b)
    assert (plus - minus).std().item() == pytest.approx(0.01 * 2**0.5, rel=0.01)  # a - b
    assert (plus + minus).std().item() == pytest.approx(0.01 * (2 - 4 / np.pi) ** 0.5, rel=0.01)  # |a| - |b|


@pytest.mark.parametrize(
    "other",
    [{"block": "layers.0.router"}, {"matrix": "k"}, {"seed": 2}, {"copy": 1}],
    ids=["block", "matrix", "seed", "copy"],
)
def test_different_keys_give_uncorrelated_noise(other):
    weight, device = gaussian(200, 200), make_device(pair="single_signed")
    first, second = (program(weight, device, **options) - weight for options in ({}, other))
    correlation = torch.corrcoef(torch.stack([first.flatten(), second.flatten()]))[0, 1]
    assert abs(correlation) < 4 / 200


def test_slices_of_a_matrix_have_noise_of_their_own():
    weight, device = torch.full((200, 400), 0.5), make_device(pair="single_signed")
    error = program(weight, device, rows=200, cols=100) - weight
    parts = torch.stack([p.flatten() for p in (error[:100, :200], error[:100, 200:], error[100:, :200])])
    assert (torch.corrcoef(parts) - torch.eye(3)).abs().max() < 4 / 20_000**0.5


def test_keys_are_told_apart_and_chips_of_two_studies_are_distinct():
    assert NoiseKey(1, "a", "b", 0, 0, "x").number() != NoiseKey(1, "a", "b", 0, 0, "y").number()
    assert NoiseKey(1, "a", "1b", 0, 0, "x").number() != NoiseKey(1, "a1", "b", 0, 0, "x").number()
    assert len({chip_seed(seed, pair) for seed in range(20) for pair in range(20)}) == 400


@pytest.mark.parametrize("fields", [{}, {"pair": "single_signed"}, {"g_min_usiemens": 1.0}], ids=str)
@pytest.mark.parametrize("sign", [1, -1])
def test_mean_and_spread_of_a_weight_follow_the_clamped_gaussian(fields, sign):
    levels, n = np.linspace(0.0, 1.0, 10), 100_000
    device = make_device(noise=2.0, **fields)
    weight = torch.from_numpy(levels).float()[:, None].expand(10, n).contiguous()
    found = program(weight, make_device(noise=2.0, scale_scope="matrix", **fields), rows=n, cols=10, sign=sign).numpy()
    expected = share_moments(levels, device)
    spread = np.sqrt(expected.variance)
    assert np.all(np.abs(found.mean(axis=1) - expected.mean) <= 4 * spread / np.sqrt(n) + 1e-7)
    np.testing.assert_allclose(found.std(axis=1), spread, rtol=0.01)


@pytest.mark.parametrize("scope", ["matrix", "slice", "row", "row_slice"])
@pytest.mark.parametrize("clip", [None, Clip(std=2.5), Clip(percentile=99.0)])
def test_error_energy_of_every_scope_follows_the_closed_form(scope, clip):
    weight = torch.from_numpy(np.random.default_rng(4).standard_t(4, (300, 400)) * 0.02).float()
    device = make_device(scale_scope=scope, clip=clip)
    expected = weight_moments(weight.numpy(), device, rows=150, cols=128)
    expected_energy = (np.square(expected.mean - weight.numpy()) + expected.variance).sum()
    chips = [program(weight, device, rows=150, cols=128, seed=seed) - weight for seed in range(8)]
    assert np.mean([error.square().sum().item() for error in chips]) == pytest.approx(expected_energy, rel=0.01)


def test_row_scope_commutes_with_scaling_of_rows():
    weight, device = gaussian(30, 70), make_device()
    factors = torch.tensor([0.5, 3.0, 40.0]).repeat(10)[:, None]
    torch.testing.assert_close(program(factors * weight, device, rows=32), factors * program(weight, device, rows=32))


def test_dead_zone_weights_become_exactly_zero_and_others_do_not():
    device = make_device(dead_zone=0.1, scale_scope="matrix")
    weight = torch.linspace(-1, 1, 2001)[None, :]
    found = program(weight, device, rows=4096)
    assert torch.equal(found == 0, weight.abs() < 0.1)
    assert torch.equal(program(weight, device, rows=4096, scale=0.0) == 0, weight.abs() < 0.1)


def test_clipping_is_a_static_error_without_noise():
    weight = torch.tensor([[3.0, 0.0, 0.0, -4.0]])
    found = program(weight, make_device(clip=Clip(std=1.2)), scale=0.0)
    torch.testing.assert_close(found, torch.tensor([[3.0, 0.0, 0.0, -3.0]]))  # by hand: 1.2 * rms 2.5 = 3


def test_rows_of_zeros_stay_zero_where_each_row_has_its_scale():
    weight = gaussian(4, 20)
    weight[2] = 0
    found = program(weight, make_device())
    assert not found[2].any()
    assert found.isfinite().all()


def test_sigma_below_zero_means_no_noise():
    weight = torch.tensor([[0.2, 1.0]]).expand(100, 2).contiguous()  # sigma is -0.6 + r below 0.9: none at 0.2
    law = TwoBranch(
        model="two_branch", split_usiemens=0.9 * 20.7, coefficients=(-0.6 * 20.7, 1.0), coefficients_above=(8.0,)
    )
    device = replace(make_device(pair="single_signed"), programming=law)
    for sign in (1, -1):
        found = program(weight, device, sign=sign)
        assert torch.equal(found[:, 0], weight[:, 0])
        assert (found[:, 1] != weight[:, 1]).all()


def test_half_precision_targets_get_the_noise_of_their_values():
    weight = gaussian(20, 20).bfloat16()
    assert torch.equal(program(weight, make_device()), program(weight.float(), make_device()))


def test_the_target_is_left_alone_and_the_result_can_go_into_a_given_tensor():
    weight = gaussian(20, 30)
    kept, place = weight.clone(), torch.empty(40, 30)
    result = program(weight, make_device(), out=place[20:])
    assert torch.equal(weight, kept)
    assert torch.equal(place[20:], program(weight, make_device()))
    assert result.data_ptr() == place[20:].data_ptr()


@pytest.mark.parametrize("shape", [(1, 1), (1, 17), (17, 1), (3, 5)])
def test_tiny_matrices_are_programmed(shape):
    found = program(gaussian(*shape), make_device(), rows=4, cols=2)
    assert found.shape == shape
    assert found.isfinite().all()
