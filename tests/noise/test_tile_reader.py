"""Drift compensation that reads the tile through its own converters."""

import dataclasses
from typing import Any

import pytest
import torch

from dse.noise.key import NoiseKey
from dse.noise.simulate import core_ranges, simulate_linear
from dse.noise.tile_reader import TileReader
from dse.spec.analog_core import Adc, AnalogCore, Dac, Weight
from dse.spec.array_effects import DriftCompensation
from dse.spec.converter_range import OutputNoise, Range
from dse.spec.load import load_device

from .small import make_core

DAY_S = 86_400.0
STATIC = Range(mode="static", method="abs_max")
TOKEN = Range(mode="dynamic", method="abs_max")
BOUND = Range(mode="dynamic", method="out_bound", out_bound=12.0)


def operands(n_in: int = 512, n_out: int = 256, tokens: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(tokens, n_in, generator=generator), 0.02 * torch.randn(n_out, n_in, generator=generator)


def core_of(dac: Range, adc: Range, wanted: DriftCompensation | None, **fields: Any) -> AnalogCore:
    converters = {"dac": Dac(bits=8, range=dac), "adc": Adc(bits=8, per_tile=512, range=adc)}
    return make_core(load_device("pcm_generic"), drift_compensation=wanted, **converters, **fields)


def slope(core: AnalogCore) -> float:
    """Least squares factor of noisy outputs on exact ones."""
    x, weight = operands()
    y, exact = simulate_linear(x, weight, core.device, core, seed=2, time_s=DAY_S), x @ weight.T
    return float((y * exact).sum() / (exact * exact).sum())


@pytest.mark.parametrize("scope", ["tile", "column"])
@pytest.mark.parametrize(("dac", "adc"), [(STATIC, STATIC), (TOKEN, BOUND)])
@pytest.mark.parametrize("cols", [512, 100])
def test_a_chip_that_reads_itself_undoes_its_drift(scope: Any, dac: Range, adc: Range, cols: int) -> None:
    wanted = DriftCompensation(scope=scope, read="read_out")
    drifted, exact, own = (
        slope(core_of(dac, adc, how, cols=cols)) for how in (None, dataclasses.replace(wanted, read="exact"), wanted)
    )
    assert drifted < 0.75  # closed form: (1 + 86 400 / 20)^-0.05 = 0.66 for the largest conductances
    assert own == pytest.approx(exact, abs=0.02)
    assert own == pytest.approx(1.0, abs=0.03)


def test_noise_of_the_outputs_is_read_too_and_averages_out() -> None:
    noise = OutputNoise(std_fraction=0.04)
    wanted = DriftCompensation(scope="tile", read="read_out")
    assert slope(core_of(TOKEN, BOUND, wanted, output_noise=noise)) == pytest.approx(1.0, abs=0.03)


def test_slices_of_bits_are_read_one_by_one() -> None:
    wanted = DriftCompensation(scope="tile", read="read_out")
    weight = Weight(scheme="differential", devices=4, bits=8, bit_slices=2)
    assert slope(core_of(TOKEN, BOUND, wanted, weight=weight)) == pytest.approx(1.0, abs=0.04)


def test_vectors_are_scaled_down_to_a_static_output_range() -> None:
    """Inputs of one large value among small ones leave an output range far below that of full-range vectors."""
    x, weight = operands(256, 32)
    x *= 0.01
    x[:, 0] = 1.0
    core = core_of(STATIC, STATIC, None)
    ranges = core_ranges(x, weight, core)
    reader, key = TileReader(core, ranges, 1), NoiseKey(0, "b", "up", 0, 0, "programming")
    vectors = 2 * torch.rand(64, 256, generator=torch.Generator().manual_seed(0)) - 1
    scale = weight.abs().amax(dim=1, keepdim=True)
    found = reader(weight, vectors, scale=scale, key=key, is_later=False)
    exact = vectors @ weight.T
    assert float(found.abs().mean() / exact.abs().mean()) == pytest.approx(1.0, abs=0.02)
    clipped = exact.clamp(-ranges.output[0], ranges.output[0])
    assert float(clipped.abs().mean() / exact.abs().mean()) < 0.5  # what vectors of the full range would give
