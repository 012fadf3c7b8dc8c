"""Wires, column offsets, stuck devices and drift compensation, folded into the weights of a chip."""

import dataclasses

import numpy as np
import pytest
import torch

from dse.devices.ir_drop import Sides, with_ir_drop
from dse.noise.static_drop import static_drop
from dse.noise.weight import noisy_weight
from dse.spec.analog_core import Weight
from dse.spec.array_effects import AihwkitStatic, DriftCompensation, LinearNetwork, VOffset
from dse.spec.device import Faults
from dse.spec.load import load_device

from .small import make_core, make_device


def gaussian(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 0.02


def stored(weight, device, *, rows=512, cols=512, seed=1, core=None, **options):
    return noisy_weight(weight, device, make_core(device, rows=rows, cols=cols, **core or {}), seed=seed, **options)


def wires(column=10.0, row=10.0, columns="separate"):
    return {"ir_drop": LinearNetwork(model="linear_network", column_ohm=column, row_ohm=row, columns=columns)}


@pytest.mark.parametrize("columns", ["separate", "interleaved"])
def test_wires_act_on_every_crossbar_by_itself(columns):
    weight, device = gaussian(30, 50), make_device(noise=0.0, g_min_usiemens=1.0, scale_scope="matrix")
    found = stored(weight, device, rows=25, cols=30, core=wires(columns=columns))
    for start in (0, 25):
        share = weight[:, start : start + 25].double().numpy() / weight.abs().max().item()
        off = 1.0 / 20.7
        plus, minus = (off + (1 - off) * np.maximum(sign * share, 0) for sign in (1, -1))
        network = wires(columns=columns)["ir_drop"]
        lost = with_ir_drop(Sides(plus, minus), network, g_max_usiemens=20.7)
        expected = (lost.plus - lost.minus) / (1 - off) * weight.abs().max().item()
        np.testing.assert_allclose(found[:, start : start + 25].numpy(), expected, atol=1e-7)


@pytest.mark.parametrize("scheme", ["differential", "two_sided", "offset", "unit_column"])
def test_wires_see_the_programmed_conductances_of_every_way_of_storing(scheme):
    weight, device = gaussian(40, 40), make_device(scale_scope="matrix")
    core = {"weight": Weight(scheme=scheme, devices=2)}
    plain = stored(weight, device, core=core)
    faint, strong = (stored(weight, device, core=core | wires(ohm, 0.0)) for ohm in (0.1, 1.0))
    # linear in the resistance where it is small
    assert ((strong - plain).norm() / (faint - plain).norm()).item() == pytest.approx(10, rel=0.05)
    assert (strong - plain).norm() < 0.1 * plain.norm()


def test_wires_do_not_change_the_draws():
    weight, device = gaussian(60, 40), make_device(pair="single_signed")
    quiet, noisy = (stored(weight, device, core=wires(), scale=c) for c in (0.0, 1.0))
    error, plain = noisy - quiet, stored(weight, device) - weight
    assert torch.corrcoef(torch.stack([error.flatten(), plain.flatten()]))[0, 1] > 0.99


def test_an_offset_voltage_takes_its_share_of_every_absolute_weight_of_a_column():
    weight, device = gaussian(2000, 30), make_device(noise=0.0)
    found = stored(weight, device, cols=4096, core={"v_offset": VOffset(std_fraction=0.05)})
    share = (weight - found) / weight.abs()
    torch.testing.assert_close(share, share[:, :1].expand(-1, 30), rtol=1e-3, atol=1e-5)  # closed form: y -= v Σ|w| x
    offsets = share[:, 0]
    assert (offsets.abs() < 1e-4).float().mean().item() == pytest.approx(0.5, abs=0.05)
    assert offsets.max().item() <= 0.05 * 5
    assert offsets.square().mean().item() == pytest.approx(0.05**2 / 2, rel=0.15)  # closed form: E max(0, ξ)² = 1/2


def test_antithetic_columns_have_the_other_offsets():
    weight, device = gaussian(500, 10), make_device(noise=0.0)
    core = {"v_offset": VOffset(std_fraction=0.05)}
    plus, minus = ((weight - stored(weight, device, core=core, sign=s)).abs().sum(1) > 1e-6 for s in (1, -1))
    assert torch.all(plus ^ minus)


@pytest.mark.parametrize("pair", ["both_devices", "single_signed"])
def test_the_share_of_stuck_devices_is_the_stated_one(pair):
    weight = torch.full((400, 500), 0.5)
    weight[:, 0] = 1.0
    faults = Faults(stuck_at_g_min_fraction=0.02, stuck_at_g_max_fraction=0.03)
    found = stored(weight, make_device(noise=0.0, faults=faults, pair=pair))[:, 1:]
    n = found.numel()
    lost = torch.isclose(found, torch.tensor(0.0)) | torch.isclose(found, torch.tensor(-1.0))
    if pair == "single_signed":
        lost = torch.isclose(found, torch.tensor(0.0))
        full = torch.isclose(found, torch.tensor(1.0))
        assert abs(full.sum() - 0.03 * n) < 4 * (0.03 * 0.97 * n) ** 0.5  # binomial
    assert abs(lost.sum() - 0.02 * n) < 4 * (0.02 * 0.98 * n) ** 0.5


def test_error_of_stuck_devices_follows_the_closed_form():
    weight = gaussian(512, 512)
    low, high = 0.01, 0.005
    faults = Faults(stuck_at_g_min_fraction=low, stuck_at_g_max_fraction=high)
    error = (stored(weight, make_device(noise=0.0, faults=faults)) - weight).square().sum().item()
    s = weight.abs().amax(dim=1, keepdim=True)
    expected = (low * weight.square() + high * ((s - weight.abs()).square() + s.square())).sum().item()
    assert error == pytest.approx(expected, rel=0.03)


def test_stuck_devices_are_the_same_whatever_the_noise_and_for_the_antithetic_chip():
    weight = torch.full((100, 100), 0.5)
    weight[:, 0] = 1.0
    faults = Faults(stuck_at_g_max_fraction=0.05)
    quiet, noisy = make_device(noise=0.0, faults=faults), make_device((0.05,), faults=faults)
    maps = [(stored(weight, d, sign=s) - weight).abs() > 0.3 for d, s in ((quiet, 1), (noisy, 1), (noisy, -1))]
    assert all(torch.equal(maps[0], other) for other in maps[1:])
    assert maps[0].any()


def slope(found, weight):
    return ((found * weight).sum() / weight.square().sum()).item()


@pytest.mark.parametrize("scope", ["tile", "column"])
@pytest.mark.parametrize("time_s", [3.6e3, 8.64e4, 2.6e6, 3.15e7])
def test_compensation_brings_back_the_mean_of_drifted_pcm(scope, time_s):
    weight, device = gaussian(512, 512), load_device("pcm_generic_read_noise")
    core = {"drift_compensation": DriftCompensation(scope=scope)}
    assert slope(stored(weight, device, time_s=time_s), weight) < 0.8
    assert slope(stored(weight, device, time_s=time_s, core=core), weight) == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("time_s", [3.6e3, 8.64e4])
def test_compensation_overshoots_for_hermes_whose_small_conductances_drift_most(time_s):
    weight, device = gaussian(512, 512), load_device("legallo_natelectron_2023_2device_read_noise")
    core = {"drift_compensation": DriftCompensation(scope="tile")}
    assert 1.0 <= slope(stored(weight, device, time_s=time_s, core=core), weight) <= 1.025


def test_mean_drift_of_generic_pcm_follows_the_closed_form():
    weight = torch.ones(200, 500)
    device = dataclasses.replace(
        load_device("pcm_generic"), pair="single_signed", programming=make_device(noise=0.0).programming
    )
    found = stored(weight, device, time_s=8.64e4)
    age = np.log1p(8.64e4 / 20)
    # closed form: ν of the largest conductance is 0.049 ± 0.008
    assert found.mean().item() == pytest.approx(np.exp(-0.049 * age + (0.008 * age) ** 2 / 2), rel=0.002)
    assert found.square().mean().item() == pytest.approx(np.exp(-0.098 * age + 2 * (0.008 * age) ** 2), rel=0.002)


def test_an_empty_column_is_left_at_zero():
    weight = gaussian(20, 30)
    weight[4] = 0
    core = {"drift_compensation": DriftCompensation(scope="column")}
    found = stored(weight, load_device("pcm_generic"), time_s=1e4, core=core)
    assert found.isfinite().all()
    assert not found[4].any()


@pytest.mark.parametrize("scope", ["tile", "column"])
def test_a_read_out_through_perfect_converters_finds_a_common_decay(scope):
    weight = gaussian(60, 100)
    device = dataclasses.replace(load_device("pcm_state_independent"), programming=make_device(noise=0.0).programming)
    device = dataclasses.replace(
        device,
        drift=dataclasses.replace(
            device.drift, exponent_std=dataclasses.replace(device.drift.exponent_std, offset=0.0)
        ),
    )
    core = {"drift_compensation": DriftCompensation(scope=scope, read="read_out")}
    seen = []

    def read_out(weights, x, *, scale, key, is_later):
        seen.append((tuple(weights.shape), tuple(x.shape), key.i, key.j, x.abs().max().item() > 0.99))
        return x @ weights.T

    found = stored(weight, device, rows=50, time_s=1e6, core=core, read_out=read_out)
    torch.testing.assert_close(found, weight, rtol=1e-4, atol=1e-7)
    assert seen[::2] == [((60, 50), (64, 50), 0, 0, True), ((60, 50), (64, 50), 1, 0, True)]


def test_a_coarse_converter_reads_full_range_vectors_where_one_hot_ones_fall_below_a_step():
    weight, device = gaussian(512, 512), load_device("pcm_generic")
    core = {"drift_compensation": DriftCompensation(scope="tile", read="read_out")}
    scale = weight.abs().amax(dim=1)
    step = 12 * scale / 127  # λ = 12, 8 bits

    def read_out(weights, x, *, key, is_later, **_):
        return ((x @ weights.T) / step).round().clamp(-127, 127) * step

    found = stored(weight, device, time_s=8.64e4, core=core, read_out=read_out)
    assert slope(found, weight) == pytest.approx(1.0, abs=0.025)


STATIC = AihwkitStatic(model="aihwkit_static")


def test_the_static_drop_by_hand():
    x, weight = torch.tensor([[1.0, -0.5]]), torch.tensor([[0.5, 1.0]])
    a = 2 * (0.5 + 0.5) * 1000 * 5e-6  # n Σ|w x| R g_max
    c = 0.5 * a - 0.2 * a**2 + 0.05 * a**3
    expected = c * (0.5 * 1.0 * 0.0 + 1.0 * -0.5 * 0.75)  # 1 − (1 − j/2)²: 0 for the first input, 3/4 for the second
    found = static_drop(x, weight, dataclasses.replace(STATIC, column_ohm=1000.0))
    assert found.item() == pytest.approx(expected, rel=1e-6)


def test_the_static_drop_grows_with_the_square_of_the_input_and_vanishes_with_the_resistance():
    x, weight = torch.rand(5, 128), gaussian(7, 128)
    small, twice = (static_drop(c * x, weight, STATIC) for c in (1e-3, 2e-3))
    torch.testing.assert_close(twice, 4 * small, rtol=1e-4, atol=0)
    assert not static_drop(x, weight, dataclasses.replace(STATIC, column_ohm=0.0)).any()
    assert not static_drop(x, weight, dataclasses.replace(STATIC, scale=0.0)).any()


@pytest.mark.parametrize(("rows", "expected"), [(128, 0.0053), (256, 0.0182)])
def test_the_static_drop_underestimates_the_linear_network_threefold(rows, expected):
    # closed form of another evaluation: 0.0053 against 0.0169 of the network at 128 rows, 0.0182 against 0.0590 at 256
    generator = torch.Generator().manual_seed(0)
    weight, x = torch.randn(rows, rows, generator=generator), torch.randn(64, rows, generator=generator)
    weight, x = weight / weight.abs().max(), x / x.abs().max()
    network = dataclasses.replace(STATIC, column_ohm=1.0, g_max_usiemens=25.0)
    error = static_drop(x, weight, network).norm() / (x @ weight.T).norm()
    assert error.item() == pytest.approx(expected, rel=0.1)  # the array of that evaluation is not known
