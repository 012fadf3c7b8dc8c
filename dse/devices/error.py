"""Mean and variance of a stored weight in closed form."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from dse.devices.aging import curve_value, drift_factor_moments, log_share, read_spread, relaxation, state_at
from dse.devices.bit_slices import bit_slices, magnitude_codes, slice_targets
from dse.devices.mapping import SECOND_IS_DEVICE, Scheme, targets, weight_gain
from dse.devices.scaling import Array, scale_factors
from dse.devices.sigma import law_value, off_state_share, polynomial, sigma_law
from dse.devices.slices import slice_sizes
from dse.spec.aging import ReadNoise
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


def device_moments(r: ArrayLike, device: Device, *, time_s: float = 0.0, is_clamped: bool = True) -> Moments:
    """Moments of the conductance of one device at target r, as shares of g_max [-].

    Programming, drift, read noise and faults are independent given the target: programmed conductance times drift
    factor times ``max(0, 1 + q · normal)``, and with the probability of each fault that fault's conductance. Where q
    depends on the programmed conductance, the mean over that is taken by quadrature.

    Args:
        r: target conductance / g_max.
        device: its laws.
        time_s: time after programming [s].
        is_clamped: whether conductances below 0 become 0.
    """
    r = np.asarray(r, np.float64)
    state, (loss, spread) = state_at(device, time_s), relaxation(device, time_s)
    sigma = np.hypot(law_value(sigma_law(state.noise, device, scale=state.scale), r), spread)
    target = r - loss + (polynomial(state.shift, r) if state.shift else 0.0)
    factor = drift_factor_moments(r, device, time_s)
    if device.read_noise is not None and device.read_noise.q_of == "programmed":
        first, second = _read_moments(target, sigma, device.read_noise, time_s, is_clamped=is_clamped)
    else:
        found = rectified_moments(target, sigma) if is_clamped else Moments(target, np.square(sigma))
        first, second = found.mean, found.variance + np.square(found.mean)
        if device.read_noise is not None:
            q = curve_value(device.read_noise.q, r, log_share(r)) * read_spread(device.read_noise, time_s)
            read = rectified_moments(1.0, q)
            first, second = first * read.mean, second * (read.variance + np.square(read.mean))
    return with_faults(first * factor.first, second * factor.second, device)


QUADRATURE_POINTS = 64
FARTHEST_SIGMA = 8.0
"""Standard deviations at which the quadrature ends."""


def _read_moments(
    target: NDArray[np.float64], sigma: NDArray[np.float64], noise: ReadNoise, time_s: float, *, is_clamped: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """First and second moment of ``g · max(0, 1 + q(|g|) · normal)``, g normal, below 0 cut to 0 or not.

    A Gauss-Legendre rule over the part of the normal that is not cut.
    """
    points, weights = np.polynomial.legendre.leggauss(QUADRATURE_POINTS)
    safe = np.where(sigma > 0, sigma, 1.0)
    lowest = np.where(sigma > 0, -target / safe, -FARTHEST_SIGMA) if is_clamped else np.full_like(sigma, -np.inf)
    start = np.clip(lowest, -FARTHEST_SIGMA, FARTHEST_SIGMA)
    half = (FARTHEST_SIGMA - start) / 2
    spread = read_spread(noise, time_s)
    first, second = np.zeros_like(target), np.zeros_like(target)
    for point, weight in zip(points, weights, strict=True):
        normal = start + half * (1 + point)
        mass = weight * half * np.exp(-0.5 * np.square(normal)) / np.sqrt(2 * np.pi)
        g = target + sigma * normal
        read = rectified_moments(1.0, curve_value(noise.q, np.abs(g), log_share(np.abs(g))) * spread)
        first += mass * g * read.mean
        second += mass * np.square(g) * (read.variance + np.square(read.mean))
    return first, second


def with_faults(mean: NDArray[np.float64], second: NDArray[np.float64], device: Device) -> Moments:
    """Moments of a conductance of that mean and second moment, or with the probability of each fault of that fault."""
    if device.faults is not None:
        low, high = float(device.faults.stuck_at_g_min_fraction), float(device.faults.stuck_at_g_max_fraction)
        off = off_state_share(device)
        mean = (1 - low - high) * mean + low * off + high
        second = (1 - low - high) * second + low * off**2 + high
    return Moments(mean, np.maximum(second - np.square(mean), 0.0))


def share_moments(share: ArrayLike, device: Device, *, scheme: Scheme = "differential", time_s: float = 0.0) -> Moments:
    """Moments of the stored weight as a share of its scale [-].

    Args:
        share: target weight / scale, in [-1, 1].
        device: its laws, pair, g_min and dead zone.
        scheme: how a weight is stored.
        time_s: time after programming [s].

    Valid for: no wires, no offset voltages, no drift compensation.
    """
    share = np.asarray(share, np.float64)
    off = off_state_share(device)
    is_pair = device.pair == "both_devices"
    target = targets(share, scheme, off)
    first = device_moments(target.first, device, time_s=time_s, is_clamped=is_pair)
    second = Moments(np.asarray(target.second, np.float64), np.zeros(()))
    if is_pair and SECOND_IS_DEVICE[scheme]:
        second = device_moments(target.second, device, time_s=time_s)
    gain = weight_gain(scheme, off)
    mean, variance = (first.mean - second.mean) * gain, (first.variance + second.variance) * gain**2
    if scheme == "differential":
        mean = np.copysign(1.0, share) * mean
    dead = np.abs(share) < device.dead_zone
    if np.any(dead):
        quiet = _quiet_moments(device, scheme)
        mean = np.where(dead, quiet.mean, mean)
        variance = np.where(dead, quiet.variance, variance)
    return Moments(mean, variance)


def _quiet_moments(device: Device, scheme: Scheme) -> Moments:
    """Moments of a weight in the dead zone: no noise, only faults."""
    off = off_state_share(device)
    target = targets(0.0, scheme, off)
    first, second = (with_faults(np.asarray(g), np.square(np.asarray(g)), device) for g in target)
    is_device = device.pair == "both_devices" and SECOND_IS_DEVICE[scheme]
    second = second if is_device else Moments(np.asarray(target.second), np.zeros(()))
    gain = weight_gain(scheme, off)
    mean = 0.0 if scheme == "differential" and is_device else (first.mean - second.mean) * gain
    return Moments(np.asarray(mean), np.asarray((first.variance + second.variance) * gain**2))


def weight_moments(
    weight: Array,
    device: Device,
    *,
    rows: Quantity,
    cols: Quantity,
    scheme: Scheme = "differential",
    time_s: float = 0.0,
    bits: int | None = None,
    n_bit_slices: int = 1,
) -> Moments:
    """Moments of every stored weight of a matrix, in units of the weights; shapes [outputs, inputs].

    Args:
        weight: matrix [outputs, inputs].
        device: scopes, clipping and noise.
        rows: weights along the input of one crossbar.
        cols: weights along the output of one crossbar.
        scheme: how a weight is stored.
        time_s: time after programming [s].
        bits: of a stored weight, sign included; None: continuous.
        n_bit_slices: columns of cells that share them.
    """
    per_slice = scale_factors(weight, device, rows=rows, cols=cols)  # (O, S)
    scale = np.repeat(per_slice, slice_sizes(weight.shape[1], rows), axis=1).astype(np.float64)  # (O, I)
    share = np.divide(weight, scale, out=np.zeros(weight.shape), where=scale > 0)
    if bits is None:
        mean, variance = share_moments(np.clip(share, -1.0, 1.0), device, scheme=scheme, time_s=time_s)
        return Moments(mean * scale, variance * np.square(scale))
    mean, variance = np.zeros(weight.shape), np.zeros(weight.shape)
    codes = magnitude_codes(share, np.ones_like(share), bits)
    for part in bit_slices(bits, n_bit_slices):
        size = part.share(bits)
        digits = slice_targets(share, codes, np.ones_like(share), part, bits) / size
        found = share_moments(digits, replace(device, dead_zone=0.0), scheme=scheme, time_s=time_s)
        mean, variance = mean + size * found.mean, variance + size**2 * found.variance
    dead = np.abs(share) < device.dead_zone
    return Moments(np.where(dead, 0.0, mean * scale), np.where(dead, 0.0, variance * np.square(scale)))
