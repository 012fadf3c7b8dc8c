"""Conductances of the devices of one slice, as one fabricated chip has them some time after programming."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from dse.devices.aging import curve_value, power_law_age, read_spread, relaxation, state_at
from dse.devices.sigma import SigmaLaw, law_value, off_state_share, polynomial, sigma_law
from dse.noise.key import NoiseKey, Sign
from dse.spec.aging import PowerLawDrift
from dse.spec.device import Device

# All conductances are shares of g_max.

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class CellLaw:
    """Everything that happens to the conductance of one device, as plain numbers."""

    device: Device
    sign: Sign
    """Sign of every normal."""
    sigma: SigmaLaw
    """Programming noise, all factors included."""
    shift: tuple[float, ...]
    """Coefficients of the mean shift in r."""
    is_clamped: bool
    """Whether conductances below 0 become 0."""
    off: float
    """Smallest conductance."""
    loss: float
    """Mean loss of a logarithmic drift."""
    relaxation: float
    """Standard deviation of a logarithmic drift."""
    age: float
    """``ln(1 + t / t0)`` of a power law, its scale included."""
    read: float
    """Factor on Q of the read noise."""


@lru_cache(maxsize=64)
def cell_law(device: Device, *, time_s: float, sign: Sign, scale: float) -> CellLaw:
    """The law of a device at a time, with the sigma of programming multiplied by ``scale``."""
    state = state_at(device, time_s)
    loss, spread = relaxation(device, time_s)
    return CellLaw(
        device=device,
        sign=sign,
        sigma=sigma_law(state.noise, device, scale=scale),
        shift=state.shift,
        is_clamped=device.pair == "both_devices",
        off=off_state_share(device),
        loss=loss,
        relaxation=spread,
        age=power_law_age(device, time_s),
        read=read_spread(device.read_noise, time_s),
    )


class CellStreams:
    """The random streams of one device of every weight of a slice, one for each effect."""

    def __init__(self, key: NoiseKey, suffix: str = "") -> None:
        """Names the streams; the first device of a pair has no suffix."""
        self.programming, self.drift, self.read, self.faults = (
            key._replace(effect=effect + suffix).generator() for effect in ("programming", "drift", "read", "faults")
        )


def conductances(r: Floats, law: CellLaw, streams: CellStreams) -> Floats:
    """Conductances at targets r, faults left out: programmed, drifted, read; r is overwritten.

    The programmed conductance is ``max(0, r + σ(r) · ξ)``; a power law multiplies it by ``exp(−L · |μ + σ_ν ξ|)``,
    read noise by ``max(0, 1 + q · ξ)``, each with normals of its own.
    """
    change = law_value(law.sigma, r).astype(np.float32, copy=False) * normals(r.shape, streams.programming, law.sign)
    if law.relaxation or law.loss:
        change += law.relaxation * normals(r.shape, streams.drift, law.sign) - law.loss
    if law.shift:
        change += polynomial(law.shift, r)
    factor = later_factor(r, law, streams)
    r += change
    if law.is_clamped:
        np.maximum(r, 0, out=r)
    if factor is not None:
        r *= factor
    return r


def later_factor(r: Floats, law: CellLaw, streams: CellStreams) -> Floats | None:
    """What drift and read noise multiply a programmed conductance by, or None."""
    factor = None
    if law.age:
        drift = law.device.drift
        assert isinstance(drift, PowerLawDrift)
        exponent = normals(r.shape, streams.drift, law.sign)
        exponent *= curve_value(drift.exponent_std, r)
        exponent += curve_value(drift.exponent_mean, r)
        np.abs(exponent, out=exponent)
        exponent *= -law.age
        factor = np.exp(exponent, out=exponent)
    if law.read:
        assert law.device.read_noise is not None
        read = normals(r.shape, streams.read, law.sign)
        read *= curve_value(law.device.read_noise.q, r) * law.read
        read += 1
        np.maximum(read, 0, out=read)
        factor = read if factor is None else np.multiply(factor, read, out=factor)
    return factor


def add_faults(g: Floats, law: CellLaw, streams: CellStreams) -> None:
    """Sets the stuck devices to their conductance, whatever was there; the antithetic chip has the same ones."""
    faults = law.device.faults
    if faults is None:
        return
    place = torch.rand(g.shape, generator=streams.faults).numpy()
    low, high = float(faults.stuck_at_g_min_fraction), float(faults.stuck_at_g_max_fraction)
    g[place < low] = law.off
    g[place >= np.float32(1 - high)] = 1.0


def normals(shape: tuple[int, ...], stream: torch.Generator, sign: Sign) -> Floats:
    """Standard normals, turned round for the antithetic chip."""
    drawn: Floats = torch.empty(shape).normal_(generator=stream).numpy()
    return drawn if sign > 0 else np.negative(drawn, out=drawn)
