"""Weights after programming: target plus an error that depends on the target conductance."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from dse.devices.sigma import Polynomials, law_value, off_state_share, polynomial, sigma_law
from dse.noise.key import NoiseKey, Sign
from dse.noise.normals import NormalStream, chunk_rows
from dse.spec.device import Device
from dse.spec.programming_noise import ProgrammingNoise

# r, n: rows and inputs of one slice, or of one chunk of it


class Branch(NamedTuple):
    """One polynomial of sigma in −r, scale and sign of the draw included."""

    above: Tensor
    """Level −r below which it holds."""
    coefficients: tuple[Tensor, ...]
    """Highest power first."""


@dataclass(frozen=True, slots=True)
class ErrorLaw:
    """The programming error of one device as plain numbers, all as shares of g_max."""

    branches: tuple[Branch, ...]
    """Polynomials of sigma; the first holds for small conductances."""
    sign: Sign
    """Sign of the draw."""
    clamp_sigma: bool
    """Whether the polynomial goes below zero somewhere in its range."""
    off: float
    """Conductance of a zero weight."""
    off_sigma: float
    """Sigma of the unused device of a pair, sign of the draw included; 0 with one device."""
    pair: bool
    """Whether conductances are clamped at zero, device by device."""
    dead_zone: float
    """Share of the scale below which a weight becomes 0."""


@lru_cache(maxsize=64)
def error_law(device: Device, noise: ProgrammingNoise, *, sign: Sign, scale: float) -> ErrorLaw | None:
    """The law of a device with sigma multiplied by ``scale`` and draws by ``sign``; devices compare by identity.

    None where sigma is no polynomial.
    """
    law = sigma_law(noise, device, scale=scale)
    if not isinstance(law, Polynomials):
        return None
    off, pair = off_state_share(device), device.pair == "both_devices"
    return ErrorLaw(
        branches=tuple(
            Branch(
                torch.tensor(-start),
                tuple(torch.tensor(c * sign * (-1) ** power) for power, c in reversed(list(enumerate(cs)))),
            )
            for start, cs in zip(law.starts, law.coefficients, strict=True)
        ),
        sign=sign,
        clamp_sigma=goes_below_zero(law, off),
        off=off,
        off_sigma=float(law_value(law, off)) * sign if pair else 0.0,
        pair=pair,
        dead_zone=float(device.dead_zone),
    )


def goes_below_zero(law: Polynomials, off: float) -> bool:
    """Whether a polynomial is negative somewhere between ``off`` and 1."""
    ends = (*law.starts, 1.0)
    return any(
        bool(np.any(polynomial(cs, np.linspace(max(start, off), max(stop, off), 1001)) < 0))
        for (start, stop), cs in zip(pairwise(ends), law.coefficients, strict=True)
    )


def write_slice(target: Tensor, scale: Tensor, law: ErrorLaw, key: NoiseKey, *, clip: bool, out: Tensor) -> None:
    """Programs one slice, in chunks of rows.

    Args:
        target: target weights (r, n).
        scale: weight that maps to g_max, per row (r, 1).
        law: the device.
        key: name of the draw; the unused devices of pairs have a stream of their own.
        clip: whether targets may lie beyond the scale.
        out: receives the weights (r, n).
    """
    used, unused = NormalStream(key), NormalStream(key._replace(effect="programming.unused"))
    width, step = target.shape[1], chunk_rows(target.shape[1])
    scratch = torch.empty(3, min(step, len(target)) * width)
    gain = torch.where(scale > torch.finfo(scale.dtype).tiny, scale.reciprocal(), 0.0)
    for start in range(0, len(target), step):
        w, s, g = target[start : start + step], scale[start : start + step], gain[start : start + step]
        level, sigma, normal = (buffer[: w.numel()].view_as(w) for buffer in scratch)
        if clip:
            w = torch.maximum(torch.minimum(w, s), -s)
        torch.abs(w, out=level).mul_(-g)  # −|w| / s
        dead = level > -law.dead_zone if law.dead_zone else None
        write_error(level, sigma, normal, law, used=used, unused=unused)
        torch.copysign(s / (1 - law.off), w, out=level)
        torch.addcmul(w, sigma, level, out=out[start : start + step])
        if dead is not None:
            out[start : start + step].masked_fill_(dead, 0.0)


def write_error(
    level: Tensor, sigma: Tensor, normal: Tensor, law: ErrorLaw, *, used: NormalStream, unused: NormalStream
) -> None:
    """Leaves in ``sigma`` the change of the pair's difference, as a share of g_max; overwrites all three buffers.

    A device at target r that gets the normal ξ ends at max(0, r + σ(r)·ξ), so it changes by max(−r, σ(r)·ξ);
    the unused one of a pair likewise, from r = ``law.off``.

    Args:
        level: −|w| / s on entry.
        sigma: receives the result.
        normal: scratch.
        law: the device.
        used: stream of the devices that hold the weights.
        unused: stream of the other devices of the pairs.
    """
    if law.off:
        level.mul_(1 - law.off).sub_(law.off)  # −r of the used device
    write_polynomial(law.branches[0].coefficients, level, out=sigma)
    for branch in law.branches[1:]:
        write_polynomial(branch.coefficients, level, out=normal)
        is_above = torch.sub(branch.above, level).sign_().clamp_(min=0)  # 1 where r lies above; faster than a mask
        sigma.addcmul_(normal.sub_(sigma), is_above)
    if law.clamp_sigma:
        sigma.clamp_(min=0) if law.sign > 0 else sigma.clamp_(max=0)
    used.fill(normal.numpy())
    sigma.mul_(normal)
    if law.pair:
        torch.maximum(sigma, level, out=sigma)
    if law.off_sigma:
        limit = -law.off / law.off_sigma  # the normal at which the unused device reaches zero
        unused.fill(normal.numpy())
        sigma.sub_(normal.clamp_(min=limit) if law.sign > 0 else normal.clamp_(max=limit), alpha=law.off_sigma)


def write_polynomial(coefficients: tuple[Tensor, ...], x: Tensor, *, out: Tensor) -> None:
    """The polynomial with these coefficients, highest power first, at x."""
    if len(coefficients) == 1:
        out.fill_(coefficients[0])
        return
    torch.add(coefficients[1], x, alpha=coefficients[0].item(), out=out)
    for coefficient in coefficients[2:]:
        torch.addcmul(coefficient, out, x, out=out)
