"""Static converter ranges of one matrix, and the recorder that measures them."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dse.devices.slices import slice_bounds
from dse.units import Quantity

# T tokens, I inputs, O outputs, S input slices


class MatrixRange(NamedTuple):
    """Largest absolute values seen at the converters of a matrix, with exact weights."""

    input: Tensor
    """Per input slice (S,): the range of its DACs."""
    output: Tensor
    """Per input slice and output column (S, O): the range of its ADCs."""


class RangeRecorder(nn.Module):
    """Behaves as a linear layer and remembers the largest absolute values it saw."""

    def __init__(self, weight: Tensor, bias: Tensor | None, *, rows: Quantity) -> None:
        super().__init__()
        self.weight, self.bias = weight, bias
        self.slices = slice_bounds(weight.shape[1], rows)
        self.input = weight.new_zeros(len(self.slices))
        self.output = weight.new_zeros(len(self.slices), weight.shape[0])
        self.tokens = 0

    def forward(self, x: Tensor) -> Tensor:
        """The exact product (…, I) → (…, O)."""
        y = F.linear(x, self.weight, self.bias)
        flat = x.reshape(-1, x.shape[-1])  # (T, I)
        if len(flat):
            self.tokens += len(flat)
            whole = None if len(self.slices) > 1 or self.bias is not None else y.reshape(len(flat), -1)
            for s, (start, stop) in enumerate(self.slices):
                part = flat[:, start:stop]
                product = F.linear(part, self.weight[:, start:stop]) if whole is None else whole
                self.input[s] = torch.maximum(self.input[s], part.abs().amax())
                self.output[s] = torch.maximum(self.output[s], product.abs().amax(dim=0))
        return y

    @property
    def range(self) -> MatrixRange:
        """What was seen so far."""
        return MatrixRange(self.input, self.output)


def range_of(x: Tensor, weight: Tensor, *, rows: Quantity) -> MatrixRange:
    """Ranges of one matrix [outputs, inputs] for the inputs x [tokens, inputs]."""
    recorder = RangeRecorder(weight, None, rows=rows)
    recorder(x)
    return recorder.range
