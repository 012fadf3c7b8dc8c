"""The weights of a matrix as its crossbars hold them: everything that happens to a weight before an input arrives."""

from __future__ import annotations

from typing import TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dse.devices.aging import state_at, time_problem
from dse.devices.bit_slices import bit_slices, magnitude_codes, slice_targets
from dse.devices.scaling import scale_factors
from dse.devices.slices import slice_bounds, slice_sizes
from dse.errors import Problem, SpecError
from dse.noise.array import Chip, Part, stored_slice
from dse.noise.compensation import ReadOut
from dse.noise.key import NoiseKey, Sign
from dse.noise.normals import Floats
from dse.noise.programming import error_law, write_slice
from dse.noise.refusals import core_problems, scale_problems
from dse.spec.architecture import AnalogCore
from dse.spec.device import Device

# K bit slices, O outputs, I inputs, S input slices

Flags = NDArray[np.bool_]


class ChipArguments(TypedDict):
    """What names a chip and its age."""

    seed: int
    block: str
    matrix: str
    time_s: float
    sign: Sign
    scale: float
    copy: int


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
    read_out: ReadOut | None = None,
) -> Tensor:
    """The weights as inputs meet them on one fabricated, programmed chip, float32, shape [outputs, inputs].

    Folded in: mapping, clipping and dead zone, programming noise, drift, read noise frozen at the time of use, stuck
    devices, wires (``linear_network``), offset voltages, drift compensation. Drawn once: all of it. The same key gives
    the same draws at every ``scale`` and time; ``sign = -1`` turns every normal round.

    With none of these effects they equal the targets exactly; with any other than programming noise at a scale of 0,
    to the rounding of float32.

    Args:
        weight: target weights [outputs, inputs].
        device: memory device.
        core: size of a crossbar, way of storing a weight, wires.
        seed: the fabricated chip.
        block: name of the block that the matrix belongs to.
        matrix: name of the matrix in its block.
        time_s: age of the programmed weights [s].
        sign: +1, or −1 for the antithetic draw.
        scale: further factor on the sigma of programming.
        copy: number of the copy of the block.
        out: float32 tensor [outputs, inputs] that receives the weights.
        read_out: how a tile is read through its converters, for ``drift_compensation: {read: read_out}``.

    Raises:
        SpecError: the weights hold NaN or infinity, the device has no state at that time, or bits are missing.
    """
    chip = Chip(device, core, time_s, sign, scale, read_out)
    target = checked(weight, chip)
    key = NoiseKey(seed, block, matrix, 0, 0, "programming", copy)
    host = target.cpu()
    result = torch.empty(host.shape) if out is None or out.device != host.device else out
    if core.weight is None or core.weight.bits is None:
        write_matrix(host, chip, key, out=result)
    else:
        slices = np.zeros((int(core.weight.bit_slices), *host.shape), np.float32)
        write_bit_slices(host, chip, key, out=slices)
        torch.sum(torch.from_numpy(slices), dim=0, out=result)
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
    read_out: ReadOut | None = None,
) -> Tensor:
    """The weights slice by slice of their bits, lowest first, each times its place value; [K, outputs, inputs].

    Their sum is ``noisy_weight``. Each slice is a signed digit stored like a weight of its own, its largest value at
    g_max, so that no slice wastes conductance range.

    Args:
        weight: target weights [outputs, inputs].
        device: as for ``noisy_weight``.
        core: likewise; ``weight.bits`` and ``weight.bit_slices`` say how bits are spread.
        seed: the fabricated chip.
        block: name of the block that the matrix belongs to.
        matrix: name of the matrix in its block.
        time_s: age of the programmed weights [s].
        sign: +1, or −1 for the antithetic draw.
        scale: further factor on the sigma of programming.
        copy: number of the copy of the block.
        read_out: as for ``noisy_weight``.

    Raises:
        SpecError: as for ``noisy_weight``.
    """
    chip = Chip(device, core, time_s, sign, scale, read_out)
    host = checked(weight, chip).cpu()
    key = NoiseKey(seed, block, matrix, 0, 0, "programming", copy)
    if core.weight is None or core.weight.bits is None:
        whole = torch.empty(1, *host.shape)
        write_matrix(host, chip, key, out=whole[0])
        return whole.to(weight.device)
    slices = np.empty((int(core.weight.bit_slices), *host.shape), np.float32)
    write_bit_slices(host, chip, key, out=slices)
    return torch.from_numpy(slices).to(weight.device)


def write_matrix(target: Tensor, chip: Chip, key: NoiseKey, *, out: Tensor) -> None:
    """Stores continuous weights (O, I)."""
    device, core = chip.device, chip.core
    scales = scales_of(target.numpy(), chip)
    law = None
    if chip.is_programming_only:
        state = state_at(device, chip.time_s)
        law = error_law(device, state.noise, sign=chip.sign, scale=state.scale * chip.scale)
    if law is None:
        dead = dead_weights(target.numpy(), scales, chip)
        write_parts(target.numpy(), scales, dead, chip, key, out=out.numpy())
        return
    for i, (first, last) in enumerate(slice_bounds(target.shape[1], core.rows)):
        for j, (start, stop) in enumerate(slice_bounds(target.shape[0], core.cols)):
            area = (slice(start, stop), slice(first, last))
            scale = torch.from_numpy(scales[start:stop, i : i + 1])
            part = key._replace(i=i, j=j)
            write_slice(target[area], scale, law, part, clip=device.clip is not None, out=out[area])


def write_bit_slices(target: Tensor, chip: Chip, key: NoiseKey, *, out: Floats) -> None:
    """Stores weights of whole bits (O, I) as slices (K, O, I)."""
    core, weight = chip.core, target.numpy()
    assert core.weight is not None
    assert core.weight.bits is not None
    bits = int(core.weight.bits)
    scales = scales_of(weight, chip)
    dead = dead_weights(weight, scales, chip)
    widths = slice_sizes(weight.shape[1], core.rows)
    whole = np.repeat(scales, widths, axis=1)  # (O, I)
    codes = magnitude_codes(weight, whole, bits)
    for k, part in enumerate(bit_slices(bits, len(out))):
        digits = np.asarray(slice_targets(weight, codes, whole, part, bits), np.float32)
        full = scales * np.float32(part.share(bits))
        write_parts(digits, full, dead, chip, key._replace(bit_slice=k), out=out[k])


def write_parts(weight: Floats, scales: Floats, dead: Flags | None, chip: Chip, key: NoiseKey, *, out: Floats) -> None:
    """Stores weights (O, I) crossbar by crossbar, device by device."""
    for i, (first, last) in enumerate(slice_bounds(weight.shape[1], chip.core.rows)):
        for j, (start, stop) in enumerate(slice_bounds(weight.shape[0], chip.core.cols)):
            area = (slice(start, stop), slice(first, last))
            part = Part(weight[area], scales[start:stop, i : i + 1], None if dead is None else dead[area])
            out[area] = stored_slice(part, chip, key._replace(i=i, j=j))


def scales_of(weight: Floats, chip: Chip) -> Floats:
    """Weights that map to g_max, writable (O, S)."""
    return np.array(scale_factors(weight, chip.device, rows=chip.core.rows, cols=chip.core.cols), np.float32)


def dead_weights(weight: Floats, scales: Floats, chip: Chip) -> Flags | None:
    """Which weights (O, I) lie in the dead zone; None without one."""
    if not chip.device.dead_zone:
        return None
    whole = np.repeat(scales, slice_sizes(weight.shape[1], chip.core.rows), axis=1)
    found: Flags = np.abs(weight) < np.float32(chip.device.dead_zone) * whole
    return found


def checked(weight: Tensor, chip: Chip) -> Tensor:
    """The targets in float32.

    Raises:
        SpecError: they hold NaN or infinity, or the chip has no state that could be computed.
    """
    target = weight.detach().float()
    is_finite = not target.numel() or all(torch.isfinite(end) for end in torch.aminmax(target))
    problems = [] if is_finite else [Problem("holds NaN or infinity", "weight")]
    broken = core_problems(chip.device, chip.core)
    problems += [*broken, *scale_problems(chip.scale), *read_out_problems(chip)]
    if not broken and (aged := time_problem(chip.device, chip.time_s)) is not None:
        problems.append(Problem(aged, "time_s"))
    if problems:
        raise SpecError(problems)
    return target


def read_out_problems(chip: Chip) -> list[Problem]:
    """A compensation that is read through converters that are not there."""
    wanted = chip.core.drift_compensation
    if wanted is None or wanted.read != "read_out" or chip.time_s <= 0 or chip.read_out is not None:
        return []
    message = "read_out needs the converters of the tile, which are left out here; write exact"
    return [Problem(message, f"analog_cores.{chip.core.name}.drift_compensation.read")]
