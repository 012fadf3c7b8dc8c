import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from dse.errors import SpecError
from dse.noise.linear import AnalogLinear
from dse.noise.quantize import quantize
from dse.noise.ranges import RangePlan, range_of
from dse.noise.simulate import simulate_linear
from dse.noise.weight import noisy_weight
from dse.spec.analog_core import Adc
from dse.spec.converter_range import OutputNoise, Range
from dse.spec.load import load_device

from .small import make_core, make_device


def operands(tokens=64, inputs=70, outputs=30, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(tokens, inputs, generator=generator), torch.randn(outputs, inputs, generator=generator) * 0.1


def test_without_converters_the_layer_is_exactly_a_linear_layer():
    x, weight = operands()
    bias = torch.arange(30.0)
    layer = AnalogLinear(weight.clone(), make_core(rows=16), bias=bias)
    assert torch.equal(layer(x), F.linear(x, weight, bias))


@pytest.mark.parametrize("rows", [512, 70, 32, 1])
def test_fine_converters_and_no_noise_leave_the_product(rows):
    x, weight = operands()
    core = make_core(bits=24, rows=rows, cols=8)
    found = simulate_linear(x, weight, core.device, core, seed=0, scale=0.0)
    exact = F.linear(x.double(), weight.double())
    error = (found - exact).norm() / exact.norm()
    assert error < 1e-6 * 70**0.5


@pytest.mark.parametrize("rows", [512, 32])
def test_the_layer_equals_quantise_multiply_quantise_add(rows):
    x, weight = operands()
    bias = torch.linspace(-1, 1, 30)
    ranges = range_of(x, weight, RangePlan(rows))
    found = AnalogLinear(weight.clone(), make_core(rows=rows), ranges=ranges, bias=bias)(x)
    expected = bias.clone()
    bounds = [(0, 70)] if rows == 512 else [(0, 24), (24, 47), (47, 70)]  # by hand: 70 = 24 + 23 + 23
    for s, (start, stop) in enumerate(bounds):
        codes = quantize(x[:, start:stop], x[:, start:stop].abs().max(), 8)
        exact = F.linear(x[:, start:stop], weight[:, start:stop])
        expected = expected + quantize(F.linear(codes, weight[:, start:stop]), exact.abs().amax(0), 8)
        assert ranges.input[s] == x[:, start:stop].abs().max()
    off_by_a_step = (found - expected).abs() > 1e-5  # folded factors may round a tie the other way
    assert off_by_a_step.float().mean() < 0.005


def test_leading_dimensions_are_kept():
    x, weight = operands(tokens=12)
    layer = AnalogLinear(weight.clone(), make_core(rows=32), ranges=range_of(x, weight, RangePlan(32)))
    assert torch.equal(layer(x.view(3, 4, 70)).view(12, 30), layer(x))
    assert layer(x[:0]).shape == (0, 30)


def test_one_more_bit_halves_the_error():
    x, weight = operands(tokens=400, inputs=256)
    exact = F.linear(x, weight)

    def error(bits):
        core = make_core(bits=bits)
        return (simulate_linear(x, weight, core.device, core, seed=0, scale=0.0) - exact).norm()

    for bits in (6, 8):
        steps = (2 ** (bits + 1) - 2) / (2**bits - 2)  # closed form: uniform error of one step
        assert error(bits) / error(bits + 1) == pytest.approx(steps, rel=0.03)


def test_converter_error_follows_the_closed_form():
    x, weight = operands(tokens=2000, inputs=256, outputs=64)
    core = make_core(rows=128)
    ranges = range_of(x, weight, RangePlan(128))
    found = simulate_linear(x, weight, core.device, core, seed=0, scale=0.0) - F.linear(x, weight)
    adc = (ranges.output / 127).square().sum(0) / 12  # closed form: one uniform error per slice
    dac = sum(
        (ranges.input[s] / 127).square() / 12 * weight[:, 128 * s : 128 * (s + 1)].square().sum(1) for s in range(2)
    )
    assert found.square().mean(0).mean() == pytest.approx((adc + dac).mean().item(), rel=0.03)


def test_noise_is_that_of_programming():
    x, weight = operands()
    core = make_core(bits=24)
    programmed = noisy_weight(weight, core.device, core, seed=5, block="", matrix="")
    found = simulate_linear(x, weight, core.device, core, seed=5, calibration=3 * x)
    torch.testing.assert_close(found, F.linear(x, programmed), atol=1e-4, rtol=1e-4)


def test_equal_seeds_give_equal_results_and_others_do_not():
    x, weight = operands()
    core = make_core()
    first, again, other = (simulate_linear(x, weight, core.device, core, seed=s) for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_inputs_beyond_the_calibrated_range_are_clipped():
    weight, core = torch.eye(4), make_core(bits=24)
    x = torch.tensor([[3.0, 0.5, -3.0, 1.0]])
    found = simulate_linear(x, weight, core.device, core, seed=0, scale=0.0, calibration=torch.ones(1, 4))
    torch.testing.assert_close(found, torch.tensor([[1.0, 0.5, -1.0, 1.0]]))


def test_arrays_and_half_precision_are_taken():
    x, weight = operands()
    core = make_core()
    expected = simulate_linear(x, weight, core.device, core, seed=1)
    assert torch.equal(
        simulate_linear(x.numpy(), weight.numpy().astype(np.float64), core.device, core, seed=1), expected
    )
    assert simulate_linear(x.half(), weight.half(), core.device, core, seed=1).isfinite().all()


def test_a_column_of_zeros_and_silent_inputs_give_zeros():
    x, weight = operands()
    weight[3] = 0
    core = make_core()
    assert not simulate_linear(x, weight, core.device, core, seed=1)[:, 3].any()
    assert not simulate_linear(torch.zeros_like(x), weight, core.device, core, seed=1).any()


def range_of_adc(**fields):
    return Adc(bits=8, per_tile=512, range=Range(mode="static", method="std", **fields))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": torch.zeros(3)}, r"x: expected a matrix with rows and columns \(got shape \(3,\)\)"),
        ({"x": torch.zeros(0, 4)}, r"x: expected a matrix"),
        ({"weight": torch.full((2, 4), torch.nan)}, "weight: holds NaN or infinity"),
        ({"x": torch.full((1, 4), torch.inf)}, "x: holds NaN or infinity"),
        ({"x": torch.zeros(2, 5)}, "x: has 5 columns, the weight has 4 inputs"),
        ({"calibration": torch.zeros(2, 3)}, "calibration: has 3 columns"),
        ({"time_s": 60.0}, r"time_s: test device has no drift model, so only 0 is possible \(got 60\)"),
        ({"scale": -1.0}, r"scale: expected a finite number >= 0 \(got -1\)"),
    ],
)
def test_operands_that_do_not_fit_are_refused(changes, message):
    core = make_core()
    arguments = {"x": torch.ones(3, 4), "weight": torch.ones(2, 4)} | changes
    with pytest.raises(SpecError, match=message):
        simulate_linear(device=core.device, core=core, seed=0, **arguments)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"bits": 1}, r"analog_cores\.pcm\.adc\.bits: must be at least 2 \(got 1\)"),
        ({"adc": range_of_adc(kappa=-1.0)}, r"analog_cores\.pcm\.adc\.range\.kappa: must be greater than 0 \(got -1\)"),
        ({"adc": range_of_adc(kappa=float("nan"))}, r"adc\.range\.kappa: must be finite"),
        ({"adc": range_of_adc()}, r"adc\.range\.method: std needs kappa, e\.g\. kappa: 4"),
        ({"output_noise": OutputNoise(std_fraction=-0.1)}, r"output_noise\.std_fraction: must be at least 0"),
        ({"device": make_device(g_min_usiemens=30.0)}, r"device\.g_min_usiemens: must be less than g_max_usiemens"),
        ({"device": make_device(scale_scope="tile")}, r"device\.scale_scope: must be one of .*\(got 'tile'\)"),
    ],
)
def test_cores_built_in_python_meet_the_rules_of_files(fields, message):
    core = make_core(**fields)
    with pytest.raises(SpecError, match=message):
        simulate_linear(torch.ones(3, 4), torch.ones(2, 4), core.device, core, seed=0)


def test_all_problems_are_reported_at_once():
    core = make_core()
    with pytest.raises(SpecError) as caught:
        simulate_linear(torch.ones(3, 5), torch.ones(2, 4), core.device, core, seed=0, time_s=1, scale=float("nan"))
    assert len(caught.value.problems) == 3


def test_the_given_device_is_used_rather_than_that_of_the_core():
    x, weight = operands()
    core = make_core(bits=24)
    silent = dataclasses.replace(core.device, programming=make_device(noise=0.0).programming)
    torch.testing.assert_close(
        simulate_linear(x, weight, silent, core, seed=1), F.linear(x, weight), atol=1e-5, rtol=1e-4
    )


def test_the_age_of_the_weights_reaches_the_product():
    x, weight = operands()
    device = load_device("pcm_generic")
    core = make_core(device, bits=24)
    found = simulate_linear(x, weight, device, core, seed=1, time_s=1e5)
    expected = F.linear(x, noisy_weight(weight, device, core, seed=1, time_s=1e5))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
