"""Converters: the symmetric grid of 2^b − 2 steps that a DAC or an ADC rounds to."""

from __future__ import annotations

import torch
from torch import Tensor

from dse.units import Quantity


def top_code(bits: Quantity) -> int:
    """Largest code of a converter: codes run from −top to +top, 0 among them.

    >>> top_code(8)
    127
    """
    return (1 << (int(bits) - 1)) - 1


def step_size(bound: Tensor, bits: Quantity) -> Tensor:
    """Distance of neighbouring levels: 2·bound / (2^b − 2)."""
    return bound / top_code(bits)


def to_codes(scaled: Tensor, top: int) -> Tensor:
    """Codes (whole numbers, as floats) of values given in steps; overwrites and returns its argument."""
    return scaled.round_().clamp_(-top, top)


def to_levels(shares: Tensor, bits: int) -> Tensor:
    """The nearest of 2^b levels that hold −1 and 1, and not 0, of values given as shares of the range.

    ``level_k = −1 + 2 k / (2^b − 1)``. Overwrites and returns its argument.
    """
    steps = (1 << bits) - 1
    return shares.clamp_(-1, 1).add_(1).mul_(steps / 2).round_().mul_(2 / steps).sub_(1)


def quantize(x: Tensor, bound: Tensor, bits: Quantity) -> Tensor:
    """Values on the grid of a converter whose range is ±bound; values beyond are clipped.

    Args:
        x: values.
        bound: range, positive, broadcast against x.
        bits: resolution.
    """
    step = step_size(bound, bits)
    return to_codes(x / step, top_code(bits)).mul_(step)


def usable(bound: Tensor) -> Tensor:
    """Ranges with every 0 (nothing was seen) replaced by the largest range of its row, or by 1."""
    widest = bound.amax(dim=-1, keepdim=True)
    return torch.where(bound > 0, bound, torch.where(widest > 0, widest, 1.0))
