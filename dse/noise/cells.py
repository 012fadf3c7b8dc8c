"""Conductances of the devices of one slice, as one fabricated chip has them some time after programming."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from dse.devices.aging import curve_value, log_share, power_law_age, read_spread, relaxation, state_at
from dse.devices.sigma import SigmaLaw, law_value, off_state_share, polynomial, sigma_law
from dse.noise.key import NoiseKey, Sign
from dse.noise.normals import Floats, NormalStream
from dse.spec.aging import PowerLawDrift
from dse.spec.device import Device

# All conductances are shares of g_max.


@dataclass(frozen=True, slots=True)
class CellLaw:
    """Everything that happens to the conductance of one device, as plain numbers."""

    device: Device
    sign: Sign
    """Sign of every normal."""
    sigma: SigmaLaw
    """Distance from the target at that time before drift, all factors included."""
    sigma_then: SigmaLaw
    """The same right after programming."""
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
        sigma=sigma_law(state.noise, device, scale=state.scale * scale),
        sigma_then=sigma_law(device.programming, device, scale=scale),
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

    def __init__(self, key: NoiseKey, sign: Sign, suffix: str = "") -> None:
        """Names the streams; the first device of a pair has no suffix."""
        self.sign = sign
        self.programming, self.drift, self.read = (
            NormalStream(key._replace(effect=effect + suffix)) for effect in ("programming", "drift", "read")
        )
        self.faults = np.random.Generator(key._replace(effect="faults" + suffix).words())

    def normals(self, stream: NormalStream, shape: tuple[int, ...]) -> Floats:
        """Standard normals, turned round for the antithetic chip."""
        drawn = stream.fill(np.empty(shape, np.float32))
        return drawn if self.sign > 0 else np.negative(drawn, out=drawn)


class Conductances(NamedTuple):
    """Conductances of some devices; for drift compensation also those right after programming."""

    now: Floats
    then: Floats | None


def conductances(r: Floats | float, out: Conductances, law: CellLaw, streams: CellStreams) -> None:
    """Writes the conductances at targets r, faults left out: programmed, drifted, read.

    The programmed conductance is ``max(0, r + σ(r) · ξ)``; a power law multiplies it by ``exp(−L · |μ + σ_ν ξ|)``,
    read noise by ``max(0, 1 + q · ξ)``, each with normals of its own.
    """
    normal = streams.normals(streams.programming, out.now.shape)
    if out.then is not None:
        np.multiply(law_value(law.sigma_then, r), normal, out=out.then)
        settle(out.then, r, law)
    g = np.multiply(law_value(law.sigma, r), normal, out=out.now)
    if law.relaxation or law.loss:
        g += np.float32(law.relaxation) * streams.normals(streams.drift, g.shape) - np.float32(law.loss)
    if law.shift:
        g += polynomial(law.shift, r)
    settle(g, r, law)
    if law.age or law.read:
        write_later(g, r, law, streams)


def settle(change: Floats, r: Floats | float, law: CellLaw) -> None:
    """Turns a change of a conductance into the conductance, which does not become negative."""
    change += r
    if law.is_clamped:
        np.maximum(change, 0, out=change)


def write_later(g: Floats, r: Floats | float, law: CellLaw, streams: CellStreams) -> None:
    """Multiplies programmed conductances by what drift and read noise make of them."""
    read, noise = None, law.device.read_noise
    if law.read:
        assert noise is not None
        state = np.abs(g) if noise.q_of == "programmed" else r
        read = streams.normals(streams.read, g.shape)
        read *= curve_value(noise.q, state, log_share(state))
        read *= law.read
        read += 1
    if law.age:
        drift, log_r = law.device.drift, log_share(r)
        assert isinstance(drift, PowerLawDrift)
        exponent = streams.normals(streams.drift, g.shape)
        exponent *= curve_value(drift.exponent_std, r, log_r)
        exponent += curve_value(drift.exponent_mean, r, log_r)
        np.abs(exponent, out=exponent)
        exponent *= -law.age
        g *= np.exp(exponent, out=exponent)
    if read is not None:
        g *= np.maximum(read, 0, out=read)


def add_faults(g: Conductances, law: CellLaw, streams: CellStreams) -> None:
    """Sets the stuck devices to their conductance, whatever was there; the antithetic chip has the same ones."""
    faults = law.device.faults
    if faults is None:
        return
    place = streams.faults.random(g.now.shape, np.float32)
    low, high = float(faults.stuck_at_g_min_fraction), float(faults.stuck_at_g_max_fraction)
    for part in g:
        if part is not None:
            part[place < low] = law.off
            part[place >= np.float32(1 - high)] = 1.0
