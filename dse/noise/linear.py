"""A linear layer on crossbars: converters, programmed weights, digital sum of the slices."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike
from torch import Tensor, nn

from dse.devices.aging import time_problem
from dse.devices.slices import slice_bounds
from dse.errors import Problem, SpecError
from dse.noise.quantize import step_size, to_codes, top_code, usable
from dse.noise.ranges import MatrixRange, range_of
from dse.noise.weight import noisy_weight
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
        """
        super().__init__()
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
        """The product (…, I) → (…, O)."""
        if not self.has_converters:
            return F.linear(x, self.weight, self.bias)
        codes = to_codes(x.detach() * self.input_gain, self.top_in)
        if len(self.slices) == 1:
            y = to_codes(F.linear(codes, self.weight), self.top_out).mul_(self.output_step[0])
        else:
            y = self.sum_of_slices(codes.reshape(-1, x.shape[-1])).view(*x.shape[:-1], self.n_out)
        return y if self.bias is None else y.add_(self.bias)

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

    Modelled: everything that ``noisy_weight`` folds in; DAC and ADC with static abs-max ranges, one DAC range per
    input slice, one ADC range per slice and output column. The slices are added digitally. Nothing is drawn per call:
    the same seed gives the same product.

    Args:
        x: inputs [tokens, inputs].
        weight: target weights [outputs, inputs].
        device: memory device.
        core: crossbar size and converters.
        seed: the fabricated chip.
        time_s: age of the programmed weights [s].
        scale: further factor on the device's sigma.
        calibration: inputs [tokens, inputs] that the ranges are taken from; default x itself.

    Raises:
        SpecError: shapes that do not fit, values that are not finite, a time at which the device has no state, or an
            effect that is not modelled.
    """
    target, inputs = as_matrix(weight), as_matrix(x)
    seen = None if calibration is None else as_matrix(calibration)
    check_operands(inputs, target, seen, device=device, core=core, time_s=time_s, scale=scale)
    with torch.inference_mode():
        ranges = range_of(inputs if seen is None else seen, target, rows=core.rows)
        programmed = noisy_weight(target, device, core, seed=seed, time_s=time_s, scale=scale)
        return cast(Tensor, AnalogLinear(programmed, core, ranges=ranges)(inputs))


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
    path, found = f"analog_cores.{core.name}", []
    if int(core.dac.bits) < FEWEST_BITS:
        message = f"accuracy needs inputs of {FEWEST_BITS} bits or more (got {core.dac.bits:g}); 1 bit has a cost only"
        found.append(Problem(message, f"{path}.dac.bits"))
    if core.weight is not None and int(core.weight.bit_slices) > 1:
        message = "the noise of weights in several bit slices is not modelled by this version; write 1"
        found.append(Problem(message, f"{path}.weight.bit_slices"))
    if isinstance(core.ir_drop, AihwkitStatic):
        message = "aihwkit_static is not part of products by this version; write model: linear_network"
        found.append(Problem(message, f"{path}.ir_drop.model"))
    return found


def scale_problems(scale: float) -> list[Problem]:
    """What is wrong with the factor on sigma."""
    is_usable = 0 <= scale < float("inf")
    return [] if is_usable else [Problem(f"expected a finite number >= 0 (got {scale:g})", "scale")]
