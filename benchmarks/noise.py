"""Times of the noise simulation as ratios to the plain operation they replace, on one CPU thread and on two.

Where aihwkit-lightning can be imported, its converters of every token are timed in the same rounds.

python benchmarks/noise.py
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec

import numpy as np
import torch
from torch import nn

from dse.devices.ir_drop import Sides, with_ir_drop
from dse.noise.layer import analog_linear
from dse.noise.linear import AnalogLinear
from dse.noise.ranges import plan_of, range_of
from dse.noise.simulate import core_ranges
from dse.noise.weight import noisy_weight
from dse.spec.analog_core import Read
from dse.spec.architecture import AnalogCore
from dse.spec.array_effects import DriftCompensation, LinearNetwork
from dse.spec.converter_range import OutputNoise, Range, ShortTermNoise
from dse.spec.device import Device
from dse.spec.load import load_architecture, load_device

SHAPES = ((512, 512), (2048, 1408))
BATCHES = (32, 512)
ROUNDS = 9
MIN_SECONDS = 0.02


def ratio(work: Callable[[], object], reference: Callable[[], object]) -> float:
    """Time of ``work`` ÷ that of ``reference``: median of rounds that alternate between the two."""
    repeats = [max(1, int(MIN_SECONDS / max(seconds(f, 1), 1e-6))) for f in (work, reference)]
    pairs = [seconds(work, repeats[0]) / seconds(reference, repeats[1]) for _ in range(ROUNDS)]
    return sorted(pairs)[ROUNDS // 2]


def seconds(function: Callable[[], object], repeats: int) -> float:
    """Time of one call [s]: of the processor on one thread, of the clock on several."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    start = clock()
    for _ in range(repeats):
        function()
    return (clock() - start) / repeats


def core() -> AnalogCore:
    """A 512 × 512 core with 8-bit converters whose device is a noisy pair."""
    return load_architecture("server_pcm3d").analog_cores[0]


def rows() -> list[tuple[str, float, str]]:
    """Name, value and unit of every measurement."""
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        found = rows_of_one_thread()
        torch.set_num_threads(2)
        weight = random_weight(*SHAPES[-1])
        drawn = noisy_weight(weight, core().device, core(), seed=1)
        for batch in BATCHES:
            found += forward_rows(drawn, core(), batch, f"{weight.shape[0]}x{weight.shape[1]}, two threads")
    finally:
        torch.set_num_threads(threads)
    return found


def random_weight(outputs: int, inputs: int) -> torch.Tensor:
    """A matrix of the size of weights."""
    return torch.randn(outputs, inputs, generator=torch.Generator().manual_seed(1)) * 0.02


def rows_of_one_thread() -> list[tuple[str, float, str]]:
    """Weights and forward passes of every shape."""
    found, tile = [], core()
    for outputs, inputs in SHAPES:
        weight = random_weight(outputs, inputs)
        name = f"{outputs}x{inputs}"
        found += weight_rows(weight, tile, name)
        for batch in BATCHES:
            found += forward_rows(noisy_weight(weight, tile.device, tile, seed=1), tile, batch, name)
    found.append(("ir drop 512x512, both wires of both devices", ir_drop_ms(), "ms"))
    return found


def weight_rows(weight: torch.Tensor, tile: AnalogCore, name: str) -> list[tuple[str, float, str]]:
    """Drawing the weights of a chip, with one effect more from row to row."""
    pcm, read = load_device("pcm_generic"), load_device("pcm_generic_read_noise")
    compensated = replace(tile, drift_compensation=DriftCompensation(scope="tile"))
    cases = (
        ("program single signed devices", replace(pcm, pair="single_signed"), tile, 0.0),
        ("program pairs", pcm, tile, 0.0),
        ("drift", pcm, tile, 86_400.0),
        ("drift, read noise", read, tile, 86_400.0),
        ("drift, read noise, compensation", read, compensated, 86_400.0),
    )
    found = []
    for what, device, core, time_s in cases:

        def draw(device: Device = device, core: AnalogCore = core, time_s: float = time_s) -> torch.Tensor:
            return noisy_weight(weight, device, core, seed=1, time_s=time_s)

        found.append((f"{what} {name}", ratio(draw, lambda: torch.randn_like(weight)), "randn of the weights"))
    return found


def ir_drop_ms() -> float:
    """Processor time of the wires of one full crossbar [ms]: least of some rounds."""
    g = np.random.default_rng(0).random((512, 512)).astype(np.float32)
    network = LinearNetwork(model="linear_network", column_ohm=1.0, row_ohm=1.0)
    times = [seconds(lambda: with_ir_drop(Sides(g, g), network, g_max_usiemens=25.0), 3) for _ in range(ROUNDS)]
    return 1e3 * min(times)


def periphery(tile: AnalogCore) -> dict[str, AnalogCore]:
    """Cores whose converters follow every token, without and with the noises of IBM's preset."""
    token = Range(mode="dynamic", method="abs_max")
    bound = Range(mode="dynamic", method="out_bound", out_bound=10.0)
    dynamic = replace(tile, dac=replace(tile.dac, range=token), adc=replace(tile.adc, range=bound))
    noise = ShortTermNoise(model="conductance", std_fraction=0.0175)
    preset = replace(
        dynamic,
        output_noise=OutputNoise(std_fraction=0.04),
        read=Read(phases=1, pulse_ns=128, noise=noise),
        ir_drop=LinearNetwork(model="linear_network", column_ohm=0.35),
    )
    return {"dynamic DAC8 + ADC8": dynamic, "DAC8, ADC8, output noise, read noise, IR drop": preset}


@torch.inference_mode()
def forward_rows(weight: torch.Tensor, tile: AnalogCore, batch: int, name: str) -> list[tuple[str, float, str]]:
    """Forward passes of one matrix at one batch size."""
    x = torch.randn(batch, weight.shape[1])
    plain = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    plain.weight.copy_(weight)
    layers: dict[str, nn.Module] = {
        "noise folded": AnalogLinear(weight.clone(), tile),
        "static DAC8 + ADC8": AnalogLinear(weight.clone(), tile, ranges=range_of(x, weight, plan_of(tile))),
    }
    for what, core in periphery(tile).items():
        layers[what] = analog_linear(weight, tile.device, core, seed=1, ranges=core_ranges(x, weight, core))
    layers |= lightning(weight)
    return [
        (f"forward {name}, batch {batch}, {what}", ratio(lambda m=module: m(x), lambda: plain(x)), "nn.Linear")
        for what, module in layers.items()
    ]


def lightning(weight: torch.Tensor) -> dict[str, nn.Module]:
    """The same converters of every token in aihwkit-lightning; empty where it is not installed."""
    if find_spec("aihwkit_lightning") is None:
        return {}
    modules, configs = (import_module(f"aihwkit_lightning.{part}") for part in ("nn", "simulator.configs"))
    config = configs.TorchInferenceRPUConfig()
    config.pre_post.input_range.enable = config.pre_post.input_range.dynamic = True
    config.forward.inp_res = config.forward.out_res = 254
    config.forward.out_bound, config.mapping.max_input_size = 10.0, 512
    config.clip.type = (
        configs.WeightClipType.LAYER_GAUSSIAN_PER_CHANNEL
    )  # output ranges by column; clips in training only
    layer: nn.Module = modules.AnalogLinear(weight.shape[1], weight.shape[0], bias=False, rpu_config=config)
    layer.weight.copy_(weight)
    return {"aihwkit-lightning, dynamic DAC8 + ADC8": layer.eval()}


if __name__ == "__main__":
    for name, value, unit in rows():
        print(f"{name:<86} {value:8.3f} {'' if unit == 'ms' else 'x '}{unit}")
