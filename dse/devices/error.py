"""Mean and variance of a programmed weight in closed form."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from dse.devices.scaling import Array, scale_factors
from dse.devices.sigma import off_state_share, sigma_share
from dse.devices.slices import slice_sizes
from dse.spec.device import Device
from dse.units import Quantity


class Moments(NamedTuple):
    """Mean and variance, element by element."""

    mean: NDArray[np.float64]
    variance: NDArray[np.float64]


def rectified_moments(mean: ArrayLike, std: ArrayLike) -> Moments:
    """Moments of max(0, X) with X normal.

    ``E = μΦ(a) + σφ(a)``, ``E² = (μ² + σ²)Φ(a) + μσφ(a)``, ``a = μ/σ``
    """
    mean, std = np.broadcast_arrays(np.asarray(mean, np.float64), np.asarray(std, np.float64))
    a = np.divide(mean, std, out=np.full(mean.shape, np.inf), where=std > 0)
    below, density = ndtr(a), np.exp(-0.5 * np.square(a)) / np.sqrt(2 * np.pi)
    first = mean * below + std * density
    second = (np.square(mean) + np.square(std)) * below + mean * std * density
    return Moments(first, np.maximum(second - np.square(first), 0.0))


def share_moments(share: ArrayLike, device: Device) -> Moments:
    """Moments of the programmed weight as a share of its scale [-].

    Args:
        share: target weight / scale, in [-1, 1].
        device: polynomial, pair, g_min and dead zone.
    """
    share = np.asarray(share, np.float64)
    magnitude, off = np.abs(share), off_state_share(device)
    used = off + (1 - off) * magnitude
    if device.pair == "single_signed":
        mean, variance = share, np.square(sigma_share(used, device) / (1 - off))
    else:
        on, unused = (
            rectified_moments(used, sigma_share(used, device)),
            rectified_moments(off, sigma_share(off, device)),
        )
        mean = np.copysign((on.mean - unused.mean) / (1 - off), share)
        variance = (on.variance + unused.variance) / np.square(1 - off)
    dead = magnitude < device.dead_zone_fraction
    return Moments(np.where(dead, 0.0, mean), np.where(dead, 0.0, variance))


def weight_moments(weight: Array, device: Device, *, rows: Quantity, cols: Quantity) -> Moments:
    """Moments of every programmed weight of a matrix, in units of the weights; shapes [outputs, inputs].

    Args:
        weight: matrix [outputs, inputs].
        device: scopes, clipping and noise.
        rows: weights along the input of one crossbar.
        cols: weights along the output of one crossbar.
    """
    per_slice = scale_factors(weight, device, rows=rows, cols=cols)  # (O, S)
    scale = np.repeat(per_slice, slice_sizes(weight.shape[1], rows), axis=1).astype(np.float64)  # (O, I)
    share = np.divide(weight, scale, out=np.zeros(weight.shape), where=scale > 0)
    mean, variance = share_moments(np.clip(share, -1.0, 1.0), device)
    return Moments(mean * scale, variance * np.square(scale))
