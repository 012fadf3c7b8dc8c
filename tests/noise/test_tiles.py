"""Converters of every kind, noise of every product, saturation, bits one by one: exact limits and closed forms."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dse.devices.scaling import scale_factors
from dse.devices.slices import slice_bounds, slice_sizes
from dse.errors import SpecError
from dse.noise.drawn import DrawnOnUse, freeze
from dse.noise.key import NoiseKey
from dse.noise.layer import analog_linear, full_scales
from dse.noise.linear import AnalogLinear
from dse.noise.quantize import to_levels
from dse.noise.ranges import MatrixRange
from dse.noise.simulate import core_ranges, simulate_linear
from dse.noise.static_drop import static_drop
from dse.noise.tiles import TiledLinear
from dse.spec.analog_core import Adc, AnalogCore, Dac, Read, Weight
from dse.spec.array_effects import AihwkitStatic
from dse.spec.converter_range import OutputNoise, Range, ShortTermNoise, SShape

from .small import make_core, make_device

STATIC = Range(mode="static", method="abs_max")
TOKEN = Range(mode="dynamic", method="abs_max")


def bound(value: float, mode: Any = "dynamic") -> Range:
    return Range(mode=mode, method="out_bound", out_bound=value)


def core_of(
    dac: tuple[float, Range] = (24, TOKEN),
    adc: tuple[float, Range] = (24, bound(60.0)),
    *,
    rows: int = 512,
    **fields: Any,
) -> AnalogCore:
    parts = {name: fields.pop(name) for name in ("encoding", "bits_per_phase") if name in fields}
    grid = fields.pop("grid", "symmetric")
    device = make_device(noise=0.0, scale_scope=fields.pop("scope", "row_slice"))
    return make_core(
        device, dac=Dac(bits=dac[0], range=dac[1], grid=grid, **parts),
        adc=Adc(bits=adc[0], per_tile=512, range=adc[1], grid=grid), **fields,
    )  # fmt: skip


def operands(n_in: int = 512, n_out: int = 512, tokens: int = 64, seed: int = 20260) -> tuple[Tensor, Tensor]:
    random = np.random.default_rng(seed)
    weight = torch.from_numpy(0.02 * random.standard_normal((n_out, n_in))).float()
    return torch.from_numpy(random.standard_normal((tokens, n_in))).float(), weight


def run(core: AnalogCore, x: Tensor, weight: Tensor, seed: int = 0) -> Tensor:
    return simulate_linear(x, weight, core.device, core, seed=seed)


def error(found: Tensor, exact: Tensor) -> float:
    return float((found - exact).norm() / exact.norm())


CASES: list[dict[str, Any]] = [
    {},
    {"dac": (24, STATIC), "adc": (24, bound(60.0, "static"))},
    {"dac": (24, STATIC), "adc": (24, STATIC), "output_noise": OutputNoise(std_fraction=0.0)},
    {"dac": (24, Range(mode="static", method="std", kappa=8.0)), "adc": (24, STATIC), "grid": "full"},
    {"dac": (16, TOKEN), "encoding": "bit_serial"},
    {"read": Read(phases=1, pulse_ns=1, noise=ShortTermNoise(model="conductance", std_fraction=0.0))},
    {"s_shape": SShape(nonlinearity=0.0, out_bound=10.0)},
    {"ir_drop": AihwkitStatic(model="aihwkit_static", scale=0.0)},
]


@pytest.mark.parametrize("case", range(len(CASES)))
@pytest.mark.parametrize("n_in", [1, 512, 513, 1408])
def test_without_effects_the_product_is_exact(case: int, n_in: int) -> None:
    x, weight = operands(n_in, 32, 8)
    exact = x @ weight.T
    assert error(run(core_of(**CASES[case]), x, weight), exact) < (1e-4 if case == 4 else 2e-5)


def test_any_leading_shape_an_empty_batch_zeros_and_half_precision_pass() -> None:
    x, weight = operands(40, 8, 6)
    core = core_of()
    layer = analog_linear(weight, core.device, core, seed=0, ranges=core_ranges(x, weight, core))
    assert isinstance(layer, TiledLinear)
    assert layer(x.view(2, 3, 40)).shape == (2, 3, 8)
    torch.testing.assert_close(layer(x.view(2, 3, 40)).view(6, 8), layer(x))
    assert layer(x[:0]).shape == (0, 8)
    assert torch.equal(layer(torch.zeros(2, 40)), torch.zeros(2, 8))
    assert layer(x.bfloat16()).dtype == torch.bfloat16


def test_the_full_grid_has_all_levels_and_none_at_zero() -> None:
    levels = to_levels(torch.linspace(-1.2, 1.2, 20_001), 3).unique()
    # by hand: 8 levels from −1 to 1 with steps of 2/7
    np.testing.assert_allclose(levels.numpy(), -1 + 2 * np.arange(8) / 7, atol=1e-6)
    assert levels.abs().min() == pytest.approx(1 / 7, abs=1e-6)


@pytest.mark.parametrize("bits", [6, 8])
def test_dynamic_inputs_have_the_error_of_their_step(bits: int) -> None:
    x, weight = operands()
    found = error(run(core_of(dac=(bits, TOKEN)), x, weight), x @ weight.T)
    # closed form: every input is off by a uniform error of one step, m / (2^(b-1) − 1), of its token's range m
    step = x.abs().amax(dim=1) / (2 ** (bits - 1) - 1)
    expected = math.sqrt(
        float((step**2 / 12).mean()) * float(weight.norm()) ** 2 / (float((x @ weight.T).norm()) ** 2 / 64)
    )
    assert found == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("mode", ["static", "dynamic"])
@pytest.mark.parametrize("n_in", [512, 1408])
def test_out_bound_converters_have_the_error_of_their_step_in_every_tile(mode: Any, n_in: int) -> None:
    x, weight = operands(n_in)
    factor, bits = 12.0, 8
    dac = (24, STATIC if mode == "static" else TOKEN)
    core = core_of(dac=dac, adc=(bits, bound(factor, mode)))
    exact = x @ weight.T
    expected = 0.0
    scales = torch.from_numpy(np.array(scale_factors(weight.numpy(), core.device, rows=512, cols=512)))
    for s, (start, stop) in enumerate(slice_bounds(n_in, 512)):
        part = x[:, start:stop].abs()
        m = part.amax() if mode == "static" else part.amax(dim=1, keepdim=True)
        step = factor * m * scales[None, :, s] / (2 ** (bits - 1) - 1)
        expected += float((step**2 / 12).expand(64, 512).sum())
    assert error(run(core, x, weight), exact) == pytest.approx(math.sqrt(expected) / float(exact.norm()), rel=0.03)


def test_a_bit_more_halves_the_error_of_output_converters() -> None:
    x, weight = operands()
    exact = x @ weight.T
    errors = [error(run(core_of(adc=(bits, bound(12.0))), x, weight), exact) for bits in (7, 8, 9)]
    # by hand: (2^8 − 2) / (2^7 − 2) and (2^9 − 2) / (2^8 − 2)
    assert errors[0] / errors[1] == pytest.approx(254 / 126, rel=0.02)
    assert errors[1] / errors[2] == pytest.approx(510 / 254, rel=0.02)


@pytest.mark.parametrize("n_in", [512, 1408])
def test_output_noise_adds_its_variance_for_every_tile(n_in: int) -> None:
    x, weight = operands(n_in)
    core = core_of(output_noise=OutputNoise(std_fraction=0.04), scope="row_slice")
    noise = run(core, x, weight) - run(core_of(), x, weight)
    scales = full_scales(weight, core.device, core)
    variance = torch.zeros(64, 512)
    for s, (start, stop) in enumerate(slice_bounds(n_in, 512)):
        variance += (0.04 * x[:, start:stop].abs().amax(dim=1, keepdim=True) * scales[None, :, s]) ** 2
    ratio = noise / variance.sqrt()
    assert float(ratio.std()) == pytest.approx(1.0, rel=0.02)
    assert abs(float(ratio.mean())) < 4 / math.sqrt(ratio.numel())


@pytest.mark.parametrize("model", ["additive", "conductance"])
@pytest.mark.parametrize("phases", [1, 4])
def test_short_term_noise_equals_noise_of_every_device(model: Any, phases: int) -> None:
    x, weight = operands(256, 64, 16)
    read = Read(phases=phases, pulse_ns=1, noise=ShortTermNoise(model=model, std_fraction=0.05))
    core, still = core_of(read=read), core_of()
    scale = full_scales(weight, core.device, core)[:, 0]
    m = x.abs().amax(dim=1, keepdim=True)
    u, w = x / m, weight / scale[:, None]
    exact = run(still, x, weight)
    draws = torch.stack([run(core, x, weight, seed=seed) - exact for seed in range(200)])
    power = u.square() @ w.abs().T if model == "conductance" else u.square().sum(dim=1, keepdim=True).expand(16, 64)
    # closed form: independent errors of the devices, of variance std²·|w| or std², add up; phases average them
    expected = 0.05 / math.sqrt(phases) * power.sqrt() * m * scale
    assert float((draws.std(dim=0) / expected).mean()) == pytest.approx(1.0, rel=0.02)
    # other tokens have other noise
    flat = (draws / expected).flatten(2)
    assert abs(float((flat[:, 0] * flat[:, 1]).mean())) < 4 / math.sqrt(flat[:, 0].numel())


def test_a_frozen_layer_repeats_itself_and_an_open_one_goes_on() -> None:
    x, weight = operands(64, 16, 4)
    core = core_of(output_noise=OutputNoise(std_fraction=0.1))
    ranges = core_ranges(x, weight, core)

    def layer() -> TiledLinear:
        made = analog_linear(weight, core.device, core, seed=3, block="b", matrix="up", ranges=ranges)
        assert isinstance(made, TiledLinear)
        return made

    first, again = layer(), layer()
    assert torch.equal(first(x), again(x))  # named by chip, block and matrix
    assert not torch.equal(first(x), first(x))
    frozen = layer().freeze()
    assert torch.equal(frozen(x), frozen(x))


@pytest.mark.parametrize("encoding", ["pulse_width", "bit_serial"])
def test_noise_of_products_does_not_depend_on_how_tokens_are_cut_into_batches(encoding: Any) -> None:
    x, weight = operands(70, 17, 40)
    core = core_of(output_noise=OutputNoise(std_fraction=0.1), encoding=encoding, rows=32)
    ranges = core_ranges(x, weight, core)
    whole, cut = (analog_linear(weight, core.device, core, seed=3, ranges=ranges) for _ in range(2))
    assert torch.equal(whole(x), torch.cat([cut(part) for part in (x[:1], x[1:1], x[1:9], x[9:])]))


def test_a_token_without_inputs_has_no_noise_where_the_range_is_its_own() -> None:
    x, weight = operands(64, 16, 4)
    x[1] = 0
    y = run(core_of(dac=(8, TOKEN), output_noise=OutputNoise(std_fraction=0.1)), x, weight)
    assert not y[1].any()
    assert y[0].all()


def test_a_frozen_model_repeats_itself() -> None:
    x, weight = operands(64, 16, 4)
    core = core_of(output_noise=OutputNoise(std_fraction=0.1))
    ranges = core_ranges(x, weight, core)

    def make(where: torch.device) -> torch.nn.Module:
        return analog_linear(weight, core.device, core, seed=3, ranges=ranges)

    kept, drawn = make(x.device), DrawnOnUse(make)
    for layer in (kept, drawn):
        model = torch.nn.Sequential(layer)
        assert not torch.equal(model(x), model(x))
        assert torch.equal(freeze(model)(x), model(x))
    plain = AnalogLinear(weight, core_of())
    assert freeze(plain) is plain


def test_an_antithetic_chip_turns_the_noise_of_products_round() -> None:
    x, weight = operands(64, 16, 4)
    core = core_of(output_noise=OutputNoise(std_fraction=0.1))
    ranges = core_ranges(x, weight, core)
    pair = [analog_linear(weight, core.device, core, seed=1, sign=sign, ranges=ranges)(x) for sign in (1, -1)]
    torch.testing.assert_close((pair[0] + pair[1]) / 2, run(core_of(), x, weight), atol=1e-4, rtol=1e-4)


def test_bits_one_by_one_equal_one_shot_inputs_with_exact_outputs() -> None:
    x, weight = operands(512, 64)
    at_once = run(core_of(dac=(8, TOKEN)), x, weight)
    for width in (1, 2, 3):
        serial = run(core_of(dac=(8, TOKEN), encoding="bit_serial", bits_per_phase=width), x, weight)
        assert error(serial, at_once) < 1e-5


def test_converting_every_bit_apart_leaves_a_third_of_the_variance() -> None:
    x, weight = operands()
    adc = (8, bound(40.0))  # wide enough that no plane is clipped
    exact = run(core_of(dac=(8, TOKEN)), x, weight)
    once = error(run(core_of(dac=(8, TOKEN), adc=adc), x, weight), exact)
    serial = error(run(core_of(dac=(8, TOKEN), adc=adc, encoding="bit_serial"), x, weight), exact)
    # by hand: 7 planes of place 2^b / 127: Σ 4^b / 127² = (4^7 − 1) / 3 / 127² = 0.3386
    assert (serial / once) ** 2 == pytest.approx(0.3386, rel=0.05)


def test_weight_slices_are_converted_apart() -> None:
    x, weight = operands(256, 64)
    fields = {"scheme": "differential", "devices": 4, "bits": 8}
    whole = core_of(weight=Weight(bit_slices=1, **fields))  # type: ignore[arg-type]
    sliced = core_of(weight=Weight(bit_slices=2, **fields))  # type: ignore[arg-type]
    assert error(run(sliced, x, weight), run(whole, x, weight)) < 1e-4
    coarse = core_of(adc=(6, bound(12.0)), weight=Weight(bit_slices=2, **fields))  # type: ignore[arg-type]
    step = core_of(adc=(6, bound(12.0)), weight=Weight(bit_slices=1, **fields))  # type: ignore[arg-type]
    exact = run(whole, x, weight)
    # two conversions of the same range each
    assert error(run(coarse, x, weight), exact) == pytest.approx(
        math.sqrt(2) * error(run(step, x, weight), exact), rel=0.1
    )


def test_saturation_bends_large_outputs_towards_zero() -> None:
    x, weight = operands(256, 64)
    core = core_of(s_shape=SShape(nonlinearity=0.5, out_bound=10.0))
    found, exact = run(core, x, weight), run(core_of(), x, weight)
    scale = full_scales(weight, core.device, core)[:, 0]
    unit = x.abs().amax(dim=1, keepdim=True) * scale
    z = exact / unit
    torch.testing.assert_close(
        found / unit, z / (1 + 0.05 * z.abs()), atol=1e-4, rtol=1e-4
    )  # by hand: n / bound = 0.05


@pytest.mark.parametrize(("series", "slope"), [(0.0, 0.5), (0.02, 0.5), (0.02, 1.0), (0.02, 0.0)])
def test_the_slope_of_a_saturating_stage_is_calibrated(series: float, slope: float) -> None:
    x, weight = operands(256, 64)
    shape = SShape(nonlinearity=0.5, out_bound=10.0, series_resistance=series, slope_calibration=slope)
    # by hand: f = (1 + (0.05 + r) · p · 10)², 1 without calibration
    gain = (1 + (0.05 + series) * slope * 10) ** 2 if slope else 1.0
    core = core_of(s_shape=shape, adc=(24, bound(100.0)))
    unit = x.abs().amax(dim=1, keepdim=True) * full_scales(weight, core.device, core)[:, 0]
    z = run(core_of(), x, weight) / unit
    torch.testing.assert_close(run(core, x, weight) / unit, gain * z / (1 + 0.05 * z.abs()), atol=1e-4, rtol=1e-4)


def test_every_column_of_a_chip_saturates_at_its_own_place() -> None:
    x, weight = operands(64, 400, 8)
    core = core_of(s_shape=SShape(nonlinearity=0.5, out_bound=10.0, spread_fraction=0.3))
    unit = x.abs().amax(dim=1, keepdim=True) * full_scales(weight, core.device, core)[:, 0]
    z = run(core_of(), x, weight) / unit
    n = (z / (run(core, x, weight) / unit) - 1) / z.abs()  # (T, O)
    of_column = n.gather(0, z.abs().argmax(dim=0, keepdim=True))[0]
    torch.testing.assert_close(n[z.abs() > 1], of_column.expand_as(n)[z.abs() > 1], atol=2e-3, rtol=1e-2)
    # 400 columns: |0.05 (1 + 0.3 ξ)|
    assert float(of_column.mean()) == pytest.approx(0.05, abs=4 * 0.015 / 20)
    assert float(of_column.std()) == pytest.approx(0.015, rel=4 / math.sqrt(800))


def test_the_static_drop_is_subtracted_before_the_converter() -> None:
    x, weight = operands(128, 32)
    network = AihwkitStatic(model="aihwkit_static")
    core = core_of(ir_drop=network)
    scale = full_scales(weight, core.device, core)[:, 0]
    m = x.abs().amax(dim=1, keepdim=True)
    lost = static_drop(x / m, weight / scale[:, None], network) * m * scale
    torch.testing.assert_close(run(core, x, weight), x @ weight.T - lost, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        (STATIC, lambda v: v.abs().amax()),
        (Range(mode="static", method="std", kappa=3.0), lambda v: 3 * v.square().mean().sqrt()),
        (
            Range(mode="static", method="percentile", percentile_fraction=0.99),
            lambda v: v.abs().flatten().quantile(0.99),
        ),
    ],
)
def test_static_ranges_follow_their_method(own: Range, expected: Any) -> None:
    x, weight = operands(700, 16, 500)
    found = core_ranges(x, weight, core_of(dac=(8, own), adc=(8, own)))
    assert isinstance(found, MatrixRange)
    sizes = slice_sizes(700, 512)
    for s, part in enumerate(torch.split(x, sizes, dim=1)):
        assert float(found.input[s]) == pytest.approx(float(expected(part)), rel=2e-3)
        product = part @ torch.split(weight, sizes, dim=1)[s].T
        assert float(found.output[s, 3]) == pytest.approx(float(expected(product[:, 3])), rel=0.05)


def test_ranges_of_a_calibration_clip_larger_inputs() -> None:
    x, weight = operands(64, 16, 8)
    core = core_of(dac=(24, STATIC), adc=(24, bound(60.0, "static")))
    found = simulate_linear(x, weight, core.device, core, seed=0, calibration=x / 2)
    limit = (x / 2).abs().amax()
    torch.testing.assert_close(found, x.clamp(-limit, limit) @ weight.T, atol=1e-4, rtol=1e-4)


def test_the_key_alone_names_the_noise() -> None:
    assert NoiseKey(1, "b", "up", 0, 0, "read").number() != NoiseKey(1, "b", "down", 0, 0, "read").number()


def test_a_static_layer_refuses_a_core_with_effects_that_it_would_leave_out() -> None:
    x, weight = operands(64, 16, 8)
    core = core_of(output_noise=OutputNoise(std_fraction=0.1))
    with pytest.raises(SpecError, match=r"analog_cores\.pcm: has noise or converters .*use dse\.noise\.analog_linear"):
        AnalogLinear(weight, core, ranges=core_ranges(x, weight, core))


@pytest.mark.parametrize("has_converters", [True, False])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_inputs_are_multiplied_in_single_precision(dtype: torch.dtype, has_converters: bool) -> None:
    x, weight = operands(700, 16, 8)
    core = make_core(bits=8)
    layer = AnalogLinear(weight, core, ranges=core_ranges(x, weight, core) if has_converters else None)
    found = layer(x.to(dtype))
    assert found.dtype == dtype
    assert torch.equal(found, layer(x.to(dtype).float()).to(dtype))


def test_a_one_bit_input_converter_is_refused_with_the_way_to_state_it() -> None:
    x, weight = operands(64, 16, 8)
    with pytest.raises(SpecError, match=r"dac\.bits: .*2 bits or more \(got 1\).*bits: 8, encoding: bit_serial"):
        run(core_of(dac=(1, TOKEN)), x, weight)


def test_averaging_chips_averages_their_noise() -> None:
    x, weight = operands(256, 64, 16)
    core = core_of(output_noise=OutputNoise(std_fraction=0.04))
    exact = run(core_of(), x, weight)
    draws = [run(core, x, weight, seed=seed) for seed in range(64)]
    one = math.sqrt(sum(error(y, exact) ** 2 for y in draws) / 64)
    # closed form: independent errors, 1 / sqrt(16) of one
    means = [error(torch.stack(draws[i : i + 16]).mean(dim=0), exact) for i in range(0, 64, 16)]
    assert math.sqrt(sum(e * e for e in means) / 4) == pytest.approx(one / 4, rel=0.04)
