"""A linear layer on crossbars with static converters: programmed weights, digital sum of the slices."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dse.devices.slices import slice_bounds
from dse.errors import Problem, SpecError
from dse.noise.quantize import step_size, to_codes, top_code, usable
from dse.noise.ranges import MatrixRange
from dse.noise.tiles import needs_tiles
from dse.spec.architecture import AnalogCore

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

    def freeze(self) -> AnalogLinear:
        """Nothing is drawn for every call, so that this changes nothing; returns itself, as ``TiledLinear.freeze``."""
        return self

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
