"""A matrix on the crossbars of one chip, as the layer that the periphery of its core needs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from dse.devices.scaling import scale_factors
from dse.noise.key import NoiseKey, Sign
from dse.noise.linear import AnalogLinear
from dse.noise.ranges import MatrixRange
from dse.noise.tile_reader import TileReader
from dse.noise.tiles import TiledLinear, needs_tiles
from dse.noise.weight import ChipArguments, noisy_slices, noisy_weight
from dse.spec.architecture import AnalogCore
from dse.spec.device import Device


def analog_linear(
    target: Tensor,
    device: Device,
    core: AnalogCore,
    *,
    seed: int,
    block: str = "",
    matrix: str = "",
    time_s: float = 0.0,
    sign: Sign = 1,
    scale: float = 1.0,
    copy: int = 0,
    ranges: MatrixRange | None = None,
    bias: Tensor | None = None,
) -> AnalogLinear | TiledLinear:
    """A matrix on the crossbars of one chip, as a linear layer.

    Args:
        target: weights [outputs, inputs].
        device: as for ``noisy_weight``, like the next eight.
        core: converters and array.
        seed: the fabricated chip.
        block: name of the block that the matrix belongs to.
        matrix: name of the matrix in its block.
        time_s: age of the programmed weights [s].
        sign: −1 for the antithetic chip.
        scale: further factor on the sigma of programming.
        copy: number of the copy of the block.
        ranges: static converter ranges (``range_of`` with ``plan_of(core)``); None leaves the periphery out.
        bias: added digitally.
    """
    drawn: ChipArguments = {
        "seed": seed, "block": block, "matrix": matrix, "time_s": time_s, "sign": sign, "scale": scale, "copy": copy,
    }  # fmt: skip
    reader = None if ranges is None else TileReader(core, ranges, sign)
    return layer_of(
        core,
        whole=lambda: noisy_weight(target, device, core, **drawn, read_out=reader),
        slices=lambda: noisy_slices(target, device, core, **drawn, read_out=reader),
        scales=lambda: full_scales(target, device, core),
        ranges=ranges,
        key=NoiseKey(seed, block, matrix, 0, 0, "read", copy),
        sign=sign,
        bias=bias,
    )


def layer_of(
    core: AnalogCore,
    *,
    whole: Callable[[], Tensor],
    slices: Callable[[], Tensor],
    scales: Callable[[], Tensor],
    ranges: MatrixRange | None,
    key: NoiseKey,
    sign: Sign,
    bias: Tensor | None,
) -> AnalogLinear | TiledLinear:
    """The layer that a core needs; only what it needs is asked for.

    Args:
        core: converters and array.
        whole: makes the stored weights [outputs, inputs].
        slices: makes them slice by slice of their bits [K, outputs, inputs].
        scales: makes the weights at g_max [outputs, S].
        ranges: static converter ranges; None leaves the periphery out.
        key: chip, block and matrix.
        sign: −1 turns every normal round.
        bias: added digitally.
    """
    if ranges is not None and needs_tiles(core):
        return TiledLinear(slices(), core, scales=scales(), ranges=ranges, key=key, sign=sign, bias=bias)
    if ranges is not None and core.adc.range.method == "out_bound":
        ranges = bounded_ranges(ranges, scales(), core)
    return AnalogLinear(whole(), core, ranges=ranges, bias=bias)


def full_scales(target: Tensor, device: Device, core: AnalogCore) -> Tensor:
    """Weights that map to g_max [outputs, input slices]."""
    host = target.detach().float().cpu().numpy()
    return torch.from_numpy(np.array(scale_factors(host, device, rows=core.rows, cols=core.cols))).to(target.device)


def bounded_ranges(ranges: MatrixRange, scales: Tensor, core: AnalogCore) -> MatrixRange:
    """Static ranges with the output range of ``out_bound``: lambda · input range · weight at g_max (O, S)."""
    bound = float(core.adc.range.out_bound or 1.0) * ranges.input[:, None] * torch.where(scales > 0, scales, 1.0).T
    return MatrixRange(ranges.input, bound)
