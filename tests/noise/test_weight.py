"""Weights with everything that is folded into them, at the limits where effects vanish and in their statistics."""

import dataclasses

import numpy as np
import pytest
import torch

from dse.devices.error import share_moments, weight_moments
from dse.errors import SpecError
from dse.noise.weight import noisy_slices, noisy_weight
from dse.spec.aging import LogarithmicDrift, NoDrift
from dse.spec.analog_core import Weight
from dse.spec.array_effects import DriftCompensation, LinearNetwork, VOffset
from dse.spec.device import Clip, Faults
from dse.spec.load import load_device
from dse.spec.programming_noise import Independent, SigmaTable

from .small import make_core, make_device

SCHEMES = ["differential", "two_sided", "offset", "unit_column"]


def gaussian(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 0.02


def stored(weight, device, *, rows=512, cols=512, seed=1, matrix="q", core=None, **options):
    tile = make_core(device, rows=rows, cols=cols, **core or {})
    return noisy_weight(weight, device, tile, seed=seed, block="layers.0.attention", matrix=matrix, **options)


def as_stored(scheme="differential", **fields):
    return {"weight": Weight(scheme=scheme, devices=2, **fields)}


QUIET = {
    "faults": {"device": {"faults": Faults()}},
    "no drift": {"device": {"drift": NoDrift(model="none")}, "time_s": 1e6},
    "wires": {"core": {"ir_drop": LinearNetwork(model="linear_network")}},
    "offset voltage": {"core": {"v_offset": VOffset(std_fraction=0.0)}},
    **{scheme: {"core": as_stored(scheme)} for scheme in SCHEMES},
}


@pytest.mark.parametrize("case", QUIET)
@pytest.mark.parametrize("off", [0.0, 2.0])
def test_every_effect_switched_off_leaves_the_targets(case, off):
    fields = dict(QUIET[case])
    device = make_device(noise=0.0, g_min_usiemens=off, **fields.pop("device", {}))
    weight = gaussian(30, 40)
    weight[4] = 0
    weight[5, :3] = torch.tensor([0.0, -0.0, 1.0])
    found = stored(weight, device, rows=16, cols=20, **fields)
    torch.testing.assert_close(found, weight, rtol=1e-6, atol=2e-7)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_rows_of_one_weight_and_other_number_types_come_back(scheme, dtype):
    weight = gaussian(7, 1).to(dtype)
    found = stored(weight, make_device(noise=0.0), core=as_stored(scheme))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, weight.float(), rtol=1e-6, atol=1e-8)


def test_the_state_right_after_programming_does_not_depend_on_what_comes_later():
    weight = gaussian(70, 90)
    plain, aging = load_device("pcm_generic"), load_device("pcm_generic_read_noise")
    quiet = dataclasses.replace(aging, read_noise=dataclasses.replace(aging.read_noise, scale=0.0))
    faultless = dataclasses.replace(plain, faults=Faults())
    expected = stored(weight, plain, rows=40)
    for device in (quiet, faultless):
        torch.testing.assert_close(stored(weight, device, rows=40), expected, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("device", ["pcm_generic", "pcm_generic_read_noise", "agrawal_iedm_2022"])
def test_row_scope_commutes_with_scaling_of_rows(device):
    weight, factors = gaussian(32, 70), torch.tensor([0.5, 4.0]).repeat(16)[:, None]
    plain, scaled = (stored(w, load_device(device), rows=32, time_s=86_400.0) for w in (weight, factors * weight))
    torch.testing.assert_close(scaled, factors * plain)


def test_one_chip_keeps_its_draws_at_every_scale_and_time():
    weight = gaussian(60, 50)
    device = dataclasses.replace(
        load_device("pcm_generic"),
        programming=Independent(model="independent", fraction=0.01),
        g_min_usiemens=5.0,
    )
    errors = [(stored(weight, device, scale=c) - weight).flatten() for c in (1.0, 2.0)]
    torch.testing.assert_close(errors[1], 2 * errors[0], rtol=1e-3, atol=1e-7)
    early, late = (stored(weight, device, time_s=t) for t in (1e3, 1e6))
    assert torch.corrcoef(torch.stack([early.flatten(), late.flatten()]))[0, 1] > 0.99


@pytest.mark.parametrize("other", [{"seed": 2}, {"matrix": "k"}, {"copy": 1}], ids=str)
@pytest.mark.parametrize("fields", [{"time_s": 1e4}, {"core": as_stored("two_sided")}], ids=["aged", "two_sided"])
def test_other_chips_matrices_and_copies_have_uncorrelated_noise(other, fields):
    weight, device = gaussian(200, 200), load_device("pcm_generic_read_noise")
    draws = [stored(weight, device, **fields, **options) for options in ({}, {"seed": 9}, {"seed": 8}, other)]
    first, second = draws[0] - draws[1], draws[3] - draws[2]  # differences: the common drift cancels
    assert abs(torch.corrcoef(torch.stack([first.flatten(), second.flatten()]))[0, 1]) < 4 / 200


@pytest.mark.parametrize("fields", [{"core": as_stored("offset")}, {"core": as_stored("two_sided")}], ids=str)
def test_antithetic_chips_average_to_the_target_where_nothing_is_clamped(fields):
    weight, device = gaussian(60, 50), make_device(g_min_usiemens=8.0, noise=0.5)
    plus, minus = (stored(weight, device, sign=sign, **fields) for sign in (1, -1))
    assert (plus - weight).abs().max() > 1e-4
    torch.testing.assert_close((plus + minus) / 2, weight, atol=1e-7, rtol=1e-5)


LAWS = ["joshi_natcommun_2020", "buchel_neurips_2025", "agrawal_iedm_2022", "milo_irps_2021", "generic_inverse",
        "generic_proportional", "generic_independent", "buchel_2025_additive", "cmo_hfox_accept_2",
        "legallo_natelectron_2023_1device_read_noise"]  # fmt: skip


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("sign", [1, -1])
def test_mean_and_spread_of_a_weight_follow_the_law_of_its_device(name, sign):
    levels, n = np.linspace(-1.0, 1.0, 11), 40_000
    device = dataclasses.replace(load_device(name), scale_scope="matrix")
    time_s = 86_400.0 if device.drift is not None else 0.0
    weight = torch.from_numpy(levels).float()[:, None].expand(11, n).contiguous()
    found = stored(weight, device, rows=n, time_s=time_s, sign=sign).numpy().astype(np.float64)
    expected = share_moments(levels, device, time_s=time_s)
    spread = np.sqrt(expected.variance)
    assert np.all(np.abs(found.mean(axis=1) - expected.mean) <= 4.5 * spread / np.sqrt(n) + 1e-6)
    np.testing.assert_allclose(found.std(axis=1), spread, rtol=0.015)


@pytest.mark.parametrize("scheme", ["two_sided", "offset", "unit_column"])
def test_error_energy_of_other_ways_of_storing_follows_the_closed_form(scheme):
    weight = gaussian(200, 100)
    device = make_device(faults=Faults(stuck_at_g_min_fraction=0.05), scale_scope="row_slice")
    expected = weight_moments(weight.numpy(), device, rows=50, cols=64, scheme=scheme)
    energy = (np.square(expected.mean - weight.numpy()) + expected.variance).sum()
    found = [
        (stored(weight, device, rows=50, cols=64, seed=seed, core=as_stored(scheme)) - weight).square().sum().item()
        for seed in range(20)
    ]
    assert np.mean(found) == pytest.approx(energy, rel=0.03)


def test_a_unit_column_gives_every_weight_of_an_input_the_same_error():
    device = make_device((0.2,), g_min_usiemens=8.0)
    core = as_stored("unit_column")
    error = stored(torch.zeros(400, 50) + torch.eye(400, 50), device, core=core, rows=64)[50:]
    shared = error.mean(dim=0)
    # zero weights all sit at the middle, with sigma 0.2 of 20.7 uS on both devices and a gain of 2 / (1 - off)
    sigma = 0.2 / 20.7 * 2 / (1 - 8.0 / 20.7)
    assert not error.any()  # an empty row has no scale, so no weight
    weight = torch.full((400, 50), 1e-6)
    weight[:, 0] = 1.0
    error = (stored(weight, device, core=core, rows=64) - weight)[:, 1:]
    assert error.mean(dim=0).std().item() == pytest.approx(sigma, rel=0.35)
    assert (error - error.mean(dim=0)).std().item() == pytest.approx(sigma, rel=0.02)
    assert not shared.any()


@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_bit_slices_without_noise_are_the_quantised_weights(count, scheme):
    weight = gaussian(20, 30)
    weight[3] = 0
    device = make_device(noise=0.0, scale_scope="row")
    core = make_core(device, rows=16, **as_stored(scheme, bits=8, bit_slices=count))
    slices = noisy_slices(weight, device, core, seed=1)
    scale = weight.abs().amax(dim=1, keepdim=True)
    expected = torch.where(scale > 0, (weight / scale * 127).round() * scale / 127, 0)
    assert slices.shape == (count, 20, 30)
    torch.testing.assert_close(slices.sum(0), expected, rtol=1e-5, atol=1e-7)


def test_the_sum_of_the_slices_is_the_weight_and_continuous_weights_are_one_slice():
    weight, device = gaussian(20, 30), load_device("pcm_generic")
    for fields in (as_stored(bits=8, bit_slices=3), {}):
        core = make_core(device, rows=16, **fields)
        slices = noisy_slices(weight, device, core, seed=1, time_s=60.0)
        whole = noisy_weight(weight, device, core, seed=1, time_s=60.0)
        torch.testing.assert_close(slices.sum(0), whole)
    assert len(slices) == 1


@pytest.mark.parametrize(("count", "expected"), [(1, 1.0), (2, (112**2 + 15**2) ** 0.5 / 127)])
def test_no_slice_wastes_conductance_range(count, expected):
    # by hand: 7 magnitude bits as 4 + 3 reach 15 + 112 of 127; with a range of 15 · 16 the error would be 1.89 times
    weight, device = gaussian(300, 200), make_device((0.2,), pair="single_signed")
    core = as_stored(bits=8, bit_slices=count)
    error = stored(weight, device, core=core) - stored(weight, device, core=core, scale=0.0)
    whole = stored(weight, device) - weight
    assert (error.norm() / whole.norm()).item() == pytest.approx(expected, rel=0.01)


def test_slices_have_noise_of_their_own():
    weight, device = gaussian(200, 200), make_device((0.2,), pair="single_signed")
    core = make_core(device, **as_stored(bits=8, bit_slices=2))
    quiet = noisy_slices(weight, device, core, seed=1, scale=0.0)
    errors = (noisy_slices(weight, device, core, seed=1) - quiet).flatten(1)
    assert abs(torch.corrcoef(errors)[0, 1]) < 4 / 200


def test_a_percentile_limits_weights_like_a_deviation_does():
    weight = torch.arange(1.0, 101.0)[None]
    found = stored(weight, make_device(noise=0.0, clip=Clip(percentile=90.0)))
    assert found.max().item() == pytest.approx(np.percentile(np.arange(1, 101), 90), rel=1e-6)
    assert torch.equal(found[0, :90], weight[0, :90])


def test_dead_weights_are_exactly_zero_with_any_effect_but_a_fault():
    weight = torch.linspace(-1, 1, 2001)[None, :]
    aging = dataclasses.replace(load_device("pcm_generic_read_noise"), dead_zone=0.1)
    found = stored(weight, aging, rows=4096, time_s=1e5)
    assert torch.equal(found == 0, weight.abs() < 0.1)
    faulty = dataclasses.replace(aging, faults=Faults(stuck_at_g_max_fraction=0.2))
    dead = stored(weight, faulty, rows=4096, time_s=1e5)[weight.abs() < 0.1]
    assert (dead != 0).float().mean().item() == pytest.approx(0.32, abs=0.15)  # by hand: 2 · 0.2 · 0.8 have one of two


@pytest.mark.parametrize(("g", "is_dead"), [(0.599, True), (0.601, False)])
def test_the_dead_zone_of_analog_foundation_models_ends_at_0_6(g, is_dead):
    weight = torch.full((1, 100), g / 180)
    weight[0, 0] = 1.0
    found = stored(weight, load_device("buchel_neurips_2025"))[0, 1:]
    assert torch.all((found == 0) == is_dead)


def test_error_of_an_additive_law_is_proportional_to_the_scale():
    weight, device = gaussian(200, 100), load_device("buchel_2025_additive")
    errors = [(stored(weight, device, scale=c) - weight).norm().item() for c in (1.0, 2.0)]
    assert errors[1] / errors[0] == pytest.approx(2.0, rel=0.005)
    expected = 0.03 * weight.abs().amax(dim=1).square().mul(100).sum().sqrt().item()  # closed form: γ · row maximum
    assert errors[0] == pytest.approx(expected, rel=0.02)


def test_error_of_the_mean_of_chips_falls_with_the_root_of_their_number():
    weight, device = gaussian(100, 80), make_device(pair="single_signed")
    errors = torch.stack([stored(weight, device, seed=seed) - weight for seed in range(64)])
    assert (errors.mean(0).norm() / errors.norm(dim=(1, 2)).mean()).item() == pytest.approx(1 / 8, rel=0.03)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weight": torch.full((2, 2), torch.nan)}, "weight: holds NaN or infinity"),
        ({"weight": torch.tensor([[1.0, -torch.inf]])}, "weight: holds NaN or infinity"),
        ({"time_s": 10.0}, r"time_s: test device has no drift model, so only 0 is possible \(got 10\)"),
        (
            {"core": as_stored(bit_slices=2)},
            r"weight\.bit_slices: 2 slices need to know the bits of a weight; add bits",
        ),
    ],
)
def test_what_cannot_be_simulated_is_refused(changes, message):
    with pytest.raises(SpecError, match=message):
        stored(**({"weight": gaussian(2, 2), "device": make_device()} | changes))


def test_a_read_out_without_a_reader_is_refused():
    core = {"drift_compensation": DriftCompensation(scope="tile", read="read_out")}
    with pytest.raises(SpecError, match=r"drift_compensation\.read: read_out needs the converters of the tile"):
        stored(gaussian(4, 4), load_device("pcm_generic"), core=core, time_s=60.0)


@pytest.mark.parametrize("name", ["wan_nature_2022", "agrawal_iedm_2022"])
def test_the_scale_of_a_device_reaches_its_later_tables(name):
    weight, device = gaussian(40, 30), dataclasses.replace(load_device(name), pair="single_signed")
    doubled = dataclasses.replace(device, programming=dataclasses.replace(device.programming, scale=2.0))
    quiet, found, expected = (
        stored(weight, d, time_s=86_400.0, scale=c) for d, c in ((device, 0.0), (doubled, 1.0), (device, 2.0))
    )
    assert torch.equal(found, expected)
    assert not torch.equal(found, quiet)


def test_a_relaxation_that_pulls_below_zero_ends_there():
    drift = LogarithmicDrift(
        model="logarithmic", mean_slope_usiemens=100.0, std_slope_usiemens=0.0, std_offset_usiemens=0.0
    )
    assert not stored(gaussian(5, 5), make_device(drift=drift), time_s=1e3).any()


def test_a_table_and_the_line_it_samples_give_the_same_chip():
    line = make_device((0.2, 0.4), g_max_usiemens=20.0)
    table = SigmaTable(model="table", g_usiemens=(0, 10, 20), sigma_usiemens=(0.2, 0.4, 0.6))
    weight = gaussian(40, 30)
    found = stored(weight, dataclasses.replace(line, programming=table))
    torch.testing.assert_close(found, stored(weight, line), rtol=1e-5, atol=1e-8)
