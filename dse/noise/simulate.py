"""One matrix on one fabricated core group: ``simulate_linear``."""

from __future__ import annotations

from typing import cast

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from dse.devices.aging import time_problem
from dse.devices.slices import slice_bounds
from dse.errors import Problem, SpecError
from dse.noise.layer import analog_linear
from dse.noise.quantize import to_codes, top_code
from dse.noise.ranges import MatrixRange, plan_of, range_of
from dse.noise.refusals import core_problems, scale_problems, unmodelled
from dse.noise.tile import TINY
from dse.noise.tiles import largest_inputs, planes_of, split_codes
from dse.spec.architecture import AnalogCore
from dse.spec.device import Device


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
    ranges = range_of(x, weight, plan_of(core))
    planes = planes_of(core, top_code(core.dac.bits))
    if planes is None or core.adc.range.method == "out_bound":
        return ranges
    outputs = []
    for s, (start, stop) in enumerate(slice_bounds(weight.shape[1], core.rows)):
        part = x[:, start:stop]
        m = ranges.input[s] if core.dac.range.mode == "static" else largest_inputs(part).clamp_min(TINY)
        codes = to_codes(part * (top_code(core.dac.bits) / m), top_code(core.dac.bits))
        products = [(digits * m) @ weight[:, start:stop].T for digits, _ in split_codes(codes, planes)]
        outputs.append(torch.stack([product.abs().amax(dim=0) for product in products]).amax(dim=0))
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
    broken = core_problems(device, core)
    problems += [*(broken or unmodelled(core)), *scale_problems(scale)]
    if not broken and (aged := time_problem(device, time_s)) is not None:
        problems.append(Problem(aged, "time_s"))
    if problems:
        raise SpecError(problems)
