"""Converter ranges of one matrix, and the recorder that measures static ones."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dse.devices.slices import slice_bounds
from dse.spec.architecture import AnalogCore
from dse.spec.converter_range import Range

# T tokens, I inputs, O outputs, S input slices


class Rule(NamedTuple):
    """How a range follows from the values that are seen."""

    method: str = "abs_max"
    factor: float = 0.0
    """kappa of ``std``, the share of ``percentile``."""


class RangePlan(NamedTuple):
    """What static ranges of a core depend on."""

    rows: int
    input: Rule = Rule()
    output: Rule = Rule()


def plan_of(core: AnalogCore) -> RangePlan:
    """The static ranges that a core needs."""
    return RangePlan(int(core.rows), rule_of(core.dac.range), rule_of(core.adc.range))


def rule_of(own: Range) -> Rule:
    """The rule of one converter; a range that nothing must be seen for is recorded as the largest value."""
    if own.method == "std" and own.kappa is not None:
        return Rule("std", float(own.kappa))
    if own.method == "percentile" and own.percentile_fraction is not None:
        return Rule("percentile", float(own.percentile_fraction))
    return Rule()


class MatrixRange(NamedTuple):
    """Ranges of the converters of a matrix, measured with exact weights."""

    input: Tensor
    """Per input slice (S,): the range of its DACs."""
    output: Tensor
    """Per input slice and output column (S, O): the range of its ADCs."""


class Seen:
    """Statistics of the absolute values that arrive at converters, one for each column of (T, C)."""

    def __init__(self, rule: Rule, like: Tensor, n: int) -> None:
        self.rule, self.count = rule, 0
        self.value = torch.zeros(n, device=like.device)

    def add(self, values: Tensor) -> None:
        """Takes in values (T, C): the largest so far, the sum of squares, or the sum of each call's percentile."""
        values, count = values.float(), values.shape[0]
        if self.rule.method == "std":
            self.value += values.square().sum(dim=0)
        elif self.rule.method == "percentile":
            self.value += count * upper_quantile(values.abs(), self.rule.factor)
        else:
            self.value = torch.maximum(self.value, values.abs().amax(dim=0))
        self.count += count

    def range(self) -> Tensor:
        """The range (C,): the largest value, kappa · root mean square, or the mean of the calls' percentiles."""
        if self.rule.method == "std":
            return self.rule.factor * (self.value / max(self.count, 1)).sqrt()
        return self.value / max(self.count, 1) if self.rule.method == "percentile" else self.value


def upper_quantile(values: Tensor, share: float) -> Tensor:
    """The smallest value of each column (T, C) that at least this share of the column does not exceed."""
    rank = max(1, min(len(values), int(-(-share * len(values) // 1))))
    return values.kthvalue(rank, dim=0).values


class RangeRecorder(nn.Module):
    """Behaves as a linear layer and remembers what the ranges of its converters follow from."""

    def __init__(self, weight: Tensor, bias: Tensor | None, *, plan: RangePlan) -> None:
        super().__init__()
        self.weight, self.bias = weight, bias
        self.slices = slice_bounds(weight.shape[1], plan.rows)
        self.input = [Seen(plan.input, weight, 1) for _ in self.slices]
        self.output = [Seen(plan.output, weight, weight.shape[0]) for _ in self.slices]
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
                self.input[s].add(part.reshape(-1, 1))
                self.output[s].add(product)
        return y

    @property
    def range(self) -> MatrixRange:
        """The ranges from what was seen so far."""
        return MatrixRange(
            torch.cat([seen.range() for seen in self.input]), torch.stack([seen.range() for seen in self.output])
        )


def range_of(x: Tensor, weight: Tensor, plan: RangePlan) -> MatrixRange:
    """Ranges of one matrix [outputs, inputs] for the inputs x [tokens, inputs]."""
    recorder = RangeRecorder(weight, None, plan=plan)
    recorder(x)
    return recorder.range
