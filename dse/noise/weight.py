"""The weights of a matrix as its crossbars hold them: everything that happens to a weight before an input arrives."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from dse.devices.scaling import scale_factors
from dse.devices.slices import slice_bounds
from dse.errors import Problem, SpecError
from dse.noise.key import NoiseKey
from dse.noise.programming import Sign, error_law, write_slice
from dse.spec.architecture import AnalogCore
from dse.spec.device import Device

# K bit slices, O outputs, I inputs, S input slices


def noisy_weight(
    weight: Tensor,
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
    out: Tensor | None = None,
) -> Tensor:
    """The weights as they are on one fabricated, programmed chip, float32, shape [outputs, inputs].

    With ``scale = 0``, no clipping and no dead zone they equal the targets exactly. The same key gives the
    same standard normals at every ``scale``; ``sign = -1`` turns them all round.

    Args:
        weight: target weights [outputs, inputs].
        device: programming noise, scale scope, pair.
        core: gives the size of a crossbar.
        seed: the fabricated chip.
        block: name of the block that the matrix belongs to.
        matrix: name of the matrix in its block.
        time_s: age of the programmed weights [s]; 0 only.
        sign: +1, or −1 for the antithetic draw.
        scale: further factor on the device's sigma.
        copy: number of the copy of the block.
        out: float32 tensor [outputs, inputs] that receives the weights.

    Raises:
        SpecError: the weights hold NaN or infinity, or the device has no state at that time.
    """
    target = checked(weight, time_s=time_s)
    law = error_law(device, sign=sign, scale=scale)
    host = target.cpu()
    scales = torch.from_numpy(np.array(scale_factors(host.numpy(), device, rows=core.rows, cols=core.cols)))  # (O, S)
    result = torch.empty(host.shape) if out is None or out.device != host.device else out
    for i, (first, last) in enumerate(slice_bounds(weight.shape[1], core.rows)):
        for j, (start, stop) in enumerate(slice_bounds(weight.shape[0], core.cols)):
            key = NoiseKey(seed, block, matrix, i, j, "programming", copy)
            area = (slice(start, stop), slice(first, last))
            write_slice(
                host[area], scales[start:stop, i : i + 1], law, key, clip=device.clip_std is not None, out=result[area]
            )
    if out is None:
        return result.to(weight.device)
    return out if result is out else out.copy_(result)


def noisy_slices(
    weight: Tensor,
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
) -> Tensor:
    """The weights slice by slice of their bits, each times its place value: their sum is the weight; [K, O, I].

    Args:
        weight: target weights [outputs, inputs].
        device: as for ``noisy_weight``.
        core: size of a crossbar and number of bit slices.
        seed: the fabricated chip.
        block: name of the block that the matrix belongs to.
        matrix: name of the matrix in its block.
        time_s: age of the programmed weights [s].
        sign: +1, or −1 for the antithetic draw.
        scale: further factor on the device's sigma.
        copy: number of the copy of the block.

    Raises:
        SpecError: as for ``noisy_weight``; more than one bit slice.
    """
    if core.weight is not None and int(core.weight.bit_slices) > 1:
        message = "the noise of weights in several bit slices is not modelled by this version; write 1"
        raise SpecError([Problem(message, f"analog_cores.{core.name}.weight.bit_slices")])
    return noisy_weight(
        weight,
        device,
        core,
        seed=seed,
        block=block,
        matrix=matrix,
        time_s=time_s,
        sign=sign,
        scale=scale,
        copy=copy,
    )[None]


def checked(weight: Tensor, *, time_s: float) -> Tensor:
    """The targets in float32.

    Raises:
        SpecError: they hold NaN or infinity, or the age is not modelled.
    """
    target = weight.detach().float()
    problems = []
    if not torch.isfinite(target).all():
        problems.append(Problem("holds NaN or infinity", "weight"))
    if time_s != 0:
        message = f"drift is not modelled by this version, only 0 is possible (got {time_s:g})"
        problems.append(Problem(message, "time_s"))
    if problems:
        raise SpecError(problems)
    return target
