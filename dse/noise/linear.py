"""A linear layer on crossbars: converters, programmed weights, digital sum of the slices."""

from __future__ import annotations

from typing import TypedDict, cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike
from torch import Tensor, nn

from dse.devices.aging import time_problem
from dse.devices.scaling import scale_factors
from dse.devices.slices import slice_bounds
from dse.errors import Problem, SpecError
from dse.noise.key import NoiseKey, Sign
from dse.noise.quantize import step_size, to_codes, top_code, usable
from dse.noise.ranges import MatrixRange, plan_of, range_of
from dse.noise.tiles import TINY, TiledLinear, planes_of
from dse.noise.weight import noisy_slices, noisy_weight
from dse.spec.architecture import AnalogCore
from dse.spec.array_effects import AihwkitStatic
from dse.spec.device import Device

# T tokens, I inputs, O outputs, S input slices


class AnalogLinear(nn.Module):
    """A linear layer whose weights are programmed once, with the converters of its core in front and behind.

    With ranges, the input steps and the reciprocal output steps are folded into the weights: a slice is a
    product of codes, rounded to codes, and one multiplication brings its column back to numbers.
    """

    weight: Tensor
    input_gain: Tensor
    output_step: Tensor

    def __init__(
        self, weight: Tensor, core: AnalogCore, *, ranges: MatrixRange | None = None, bias: Tensor | None = None
    ) -> None:
        """Takes over the weights, which it overwrites with the folded ones.

        Args:
            weight: programmed weights [outputs, inputs].
            core: resolutions and rows of a crossbar.
            ranges: static converter ranges; None leaves the converters out.
            bias: added digitally.

        Raises:
            SpecError: the core has effects that only ``analog_linear`` simulates.
        """
        super().__init__()
        if ranges is not None and needs_tiles(core):
            message = "has noise or converters beyond static ones on the symmetric grid; use dse.noise.analog_linear"
            raise SpecError([Problem(message, f"analog_cores.{core.name}")])
        self.bias = bias
        self.slices = slice_bounds(weight.shape[1], core.rows)
        self.n_out = weight.shape[0]
        self.top_in, self.top_out = top_code(core.dac.bits), top_code(core.adc.bits)
        self.has_converters = ranges is not None
        if ranges is not None:
            step_in = step_size(usable(ranges.input), core.dac.bits)  # (S,)
            step_out = step_size(usable(ranges.output), core.adc.bits)  # (S, O)
            sizes = torch.tensor([stop - start for start, stop in self.slices], device=weight.device)
            gain = step_in.reciprocal().repeat_interleave(sizes)  # (I,)
            self.register_buffer("input_gain", gain[0].clone() if len(self.slices) == 1 else gain)
            self.register_buffer("output_step", step_out)
            weight = folded(weight, self.slices, step_in, step_out)
        self.register_buffer("weight", weight)

    def forward(self, x: Tensor) -> Tensor:
        """The product (…, I) → (…, O), in the type of the weights inside, in that of x outside."""
        if not self.has_converters:
            return F.linear(x.to(self.weight.dtype), self.weight, self.bias).to(x.dtype)
        codes = to_codes(x.detach().to(self.weight.dtype) * self.input_gain, self.top_in)
        if len(self.slices) == 1:
            y = to_codes(F.linear(codes, self.weight), self.top_out).mul_(self.output_step[0])
        else:
            y = self.sum_of_slices(codes.reshape(-1, x.shape[-1])).view(*x.shape[:-1], self.n_out)
        return (y if self.bias is None else y.add_(self.bias)).to(x.dtype)

    def sum_of_slices(self, codes: Tensor) -> Tensor:
        """Converted partial products of all input slices, added: (T, I) → (T, O)."""
        y = torch.zeros(len(codes), self.n_out, dtype=codes.dtype, device=codes.device)
        product = torch.empty_like(y)
        for (start, stop), step in zip(self.slices, self.output_step, strict=True):
            weight = self.weight[self.n_out * start : self.n_out * stop].view(self.n_out, stop - start)
            torch.mm(codes[:, start:stop], weight.T, out=product)
            y.addcmul_(to_codes(product, self.top_out), step)
        return y


def folded(weight: Tensor, slices: tuple[tuple[int, int], ...], step_in: Tensor, step_out: Tensor) -> Tensor:
    """Weights in units of the steps: one slice as (O, I); several flattened, one whole slice (O, n) after the other."""
    if len(slices) == 1:
        return weight.mul_((step_in[0] / step_out[0])[:, None])
    pieces = [
        (weight[:, start:stop] * (step_in[s] / step_out[s])[:, None]).view(-1) for s, (start, stop) in enumerate(slices)
    ]
    return torch.cat(pieces)


def needs_tiles(core: AnalogCore) -> bool:
    """Whether a core has effects that cannot be folded into codes of static converters."""
    noise = None if core.read is None else core.read.noise
    stated = (noise, core.output_noise, core.s_shape)
    is_plain = core.dac.grid != "full" and core.adc.grid != "full" and core.dac.range.mode == "static"
    in_parts = (core.dac.encoding == "bit_serial" or core.dac.bits_per_phase is not None, weight_slices(core) > 1)
    return (
        any(effect is not None for effect in stated)
        or not is_plain
        or any(in_parts)
        or isinstance(core.ir_drop, AihwkitStatic)
    )


def weight_slices(core: AnalogCore) -> int:
    """Columns that share the bits of a weight."""
    return 1 if core.weight is None else int(core.weight.bit_slices)


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
    chip: ChipArguments = {
        "seed": seed, "block": block, "matrix": matrix, "time_s": time_s, "sign": sign, "scale": scale, "copy": copy,
    }  # fmt: skip
    if ranges is None or not needs_tiles(core):
        scales = full_scales(target, device, core)
        weight = noisy_weight(target, device, core, **chip)
        return AnalogLinear(weight, core, ranges=folded_ranges(ranges, scales, core), bias=bias)
    slices, scales = noisy_slices(target, device, core, **chip), full_scales(target, device, core)
    key = NoiseKey(seed, block, matrix, 0, 0, "read", copy)
    return TiledLinear(slices, core, scales=scales, ranges=ranges, key=key, sign=sign, bias=bias)


class ChipArguments(TypedDict):
    """What names a chip and its age."""

    seed: int
    block: str
    matrix: str
    time_s: float
    sign: Sign
    scale: float
    copy: int


def full_scales(target: Tensor, device: Device, core: AnalogCore) -> Tensor:
    """Weights that map to g_max [outputs, input slices]."""
    host = target.detach().float().cpu().numpy()
    return torch.from_numpy(np.array(scale_factors(host, device, rows=core.rows, cols=core.cols))).to(target.device)


def folded_ranges(ranges: MatrixRange | None, scales: Tensor, core: AnalogCore) -> MatrixRange | None:
    """Static ranges with the output range of ``out_bound``: lambda · input range · weight at g_max (O, S)."""
    if ranges is None or core.adc.range.method != "out_bound":
        return ranges
    bound = float(core.adc.range.out_bound or 1.0) * ranges.input[:, None] * torch.where(scales > 0, scales, 1.0).T
    return MatrixRange(ranges.input, bound)


def simulate_linear(
    x: Tensor | ArrayLike,
    weight: Tensor | ArrayLike,
    device: Device,
    core: AnalogCore,
    *,
    seed: int,
    time_s: float = 0.0,
    scale: float = 1.0,
    calibration: Tensor | ArrayLike | None = None,
) -> Tensor:
    """The product ``x @ weight.T`` as one fabricated core group computes it, [tokens, outputs].

    Modelled: everything that ``noisy_weight`` folds in; input and output converters with static ranges from the
    calibration or each token's own; output noise, short-term noise, saturation; inputs bit by bit, weights slice by
    slice, each converted apart. The input slices are added digitally. What is drawn once and what for every product:
    see ``TiledLinear``; the same seed gives the same product.

    Args:
        x: inputs [tokens, inputs].
        weight: target weights [outputs, inputs].
        device: memory device.
        core: crossbar size, converters, periphery.
        seed: the fabricated chip.
        time_s: age of the programmed weights [s].
        scale: further factor on the device's sigma.
        calibration: inputs [tokens, inputs] that static ranges are taken from; default x itself.

    Raises:
        SpecError: shapes that do not fit, values that are not finite, a time at which the device has no state, or an
            effect that is not modelled.
    """
    target, inputs = as_matrix(weight), as_matrix(x)
    seen = None if calibration is None else as_matrix(calibration)
    check_operands(inputs, target, seen, device=device, core=core, time_s=time_s, scale=scale)
    with torch.inference_mode():
        ranges = core_ranges(inputs if seen is None else seen, target, core)
        layer = analog_linear(target, device, core, seed=seed, time_s=time_s, scale=scale, ranges=ranges)
        return cast(Tensor, layer(inputs))


def core_ranges(x: Tensor, weight: Tensor, core: AnalogCore) -> MatrixRange:
    """Static ranges of a core; where inputs come bit by bit, the largest product of any of their planes."""
    ranges = range_of(x, weight, plan=plan_of(core))
    planes = planes_of(core, top_code(core.dac.bits))
    if planes is None or core.adc.range.method == "out_bound":
        return ranges
    outputs = []
    for s, (start, stop) in enumerate(slice_bounds(weight.shape[1], core.rows)):
        part = x[:, start:stop]
        m = ranges.input[s] if core.dac.range.mode == "static" else part.abs().amax(dim=1, keepdim=True).clamp_min(TINY)
        codes = to_codes(part * (top_code(core.dac.bits) / m), top_code(core.dac.bits)).abs().to(torch.int32)
        largest = [
            ((part.sign() * ((codes >> shift) & ((1 << width) - 1)) / ((1 << width) - 1) * m) @ weight[:, start:stop].T)
            .abs()
            .amax(dim=0)
            for shift, width in planes
        ]
        outputs.append(torch.stack(largest).amax(dim=0))
    return MatrixRange(ranges.input, torch.stack(outputs))


def as_matrix(values: Tensor | ArrayLike) -> Tensor:
    """Numbers as a float32 tensor."""
    return torch.as_tensor(values).detach().float()


def check_operands(
    x: Tensor,
    weight: Tensor,
    calibration: Tensor | None,
    *,
    device: Device,
    core: AnalogCore,
    time_s: float,
    scale: float,
) -> None:
    """Refuses operands that do not fit together, with every problem at once.

    Raises:
        SpecError: see the messages.
    """
    problems = []
    for name, matrix in (("x", x), ("weight", weight), ("calibration", calibration)):
        if matrix is None:
            continue
        if matrix.ndim != 2 or 0 in matrix.shape:
            problems.append(Problem(f"expected a matrix with rows and columns (got shape {tuple(matrix.shape)})", name))
        elif not torch.isfinite(matrix).all():
            problems.append(Problem("holds NaN or infinity", name))
        elif weight.ndim == 2 and matrix.shape[1] != weight.shape[1]:
            problems.append(Problem(f"has {matrix.shape[1]} columns, the weight has {weight.shape[1]} inputs", name))
    problems += unmodelled(core) + scale_problems(scale)
    if (aged := time_problem(device, time_s)) is not None:
        problems.append(Problem(aged, "time_s"))
    if problems:
        raise SpecError(problems)


FEWEST_BITS = 2
"""Bits of an input converter that has codes on both sides of 0."""


def unmodelled(core: AnalogCore) -> list[Problem]:
    """What of a core has a cost but no noise."""
    if int(core.dac.bits) >= FEWEST_BITS:
        return []
    message = (
        f"accuracy needs inputs of {FEWEST_BITS} bits or more (got {core.dac.bits:g}); a 1-bit converter that takes "
        "the bits of an input one after the other is  bits: 8, encoding: bit_serial"
    )
    return [Problem(message, f"analog_cores.{core.name}.dac.bits")]


def scale_problems(scale: float) -> list[Problem]:
    """What is wrong with the factor on sigma."""
    is_usable = 0 <= scale < float("inf")
    return [] if is_usable else [Problem(f"expected a finite number >= 0 (got {scale:g})", "scale")]
