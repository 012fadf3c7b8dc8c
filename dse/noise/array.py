"""One slice of a matrix on its crossbar: conductances of its devices, wires and column offsets, drift undone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dse.devices.ir_drop import Sides, with_ir_drop
from dse.devices.mapping import SECOND_IS_DEVICE, Scheme, targets, weight_gain
from dse.noise.cells import CellLaw, CellStreams, Conductances, add_faults, cell_law, conductances
from dse.noise.compensation import ReadOut, drift_gain
from dse.noise.key import NoiseKey, Sign
from dse.noise.normals import Floats, chunk_rows, standard_normals
from dse.spec.architecture import AnalogCore
from dse.spec.array_effects import LinearNetwork
from dse.spec.device import Device

# r outputs and n inputs of one slice, or of one chunk of it


@dataclass(frozen=True, slots=True)
class Chip:
    """A fabricated chip at the time of an evaluation."""

    device: Device
    core: AnalogCore
    time_s: float
    """Time after programming [s]."""
    sign: Sign
    """−1 for the antithetic chip."""
    scale: float
    """Further factor on the sigma of programming."""
    read_out: ReadOut | None = None
    """How a tile is read for drift compensation; needed where the core says ``read_out``."""

    @property
    def scheme(self) -> Scheme:
        """How a weight is stored."""
        return self.core.weight.scheme if self.core.weight is not None else "differential"

    @property
    def law(self) -> CellLaw:
        """What happens to its devices."""
        return cell_law(self.device, time_s=self.time_s, sign=self.sign, scale=self.scale)

    @property
    def is_programming_only(self) -> bool:
        """Whether a stored weight is its target plus the programming noise of a pair."""
        core, law = self.core, self.law
        aged = law.age or law.read or law.loss or law.relaxation or law.shift
        wired = isinstance(core.ir_drop, LinearNetwork) or core.v_offset is not None
        return not (aged or wired or self.device.faults is not None or self.scheme != "differential")


class Part(NamedTuple):
    """Targets of one slice."""

    weight: Floats
    """(r, n)."""
    scale: Floats
    """Weight that maps to g_max, per row (r, 1)."""
    dead: NDArray[np.bool_] | None
    """Weights that become exactly 0 (r, n); None: none."""


def stored_slice(part: Part, chip: Chip, key: NoiseKey) -> Floats:
    """The weights (r, n) of one slice as inputs meet them."""
    wanted = chip.core.drift_compensation if chip.time_s > 0 else None
    first, second = slice_conductances(part, chip, key, keep_then=wanted is not None)
    found = effective_shares(first.now, second.now, part, chip, key)
    if wanted is not None:
        assert first.then is not None
        assert second.then is not None
        before = effective_shares(first.then, second.then, part, chip, key)
        found *= drift_gain(before, found, scale=part.scale, wanted=wanted, read_out=chip.read_out, key=key)
    found *= part.scale
    return found


def effective_shares(first: Floats, second: Floats, part: Part, chip: Chip, key: NoiseKey) -> Floats:
    """Weights as shares of the scale, from the conductances of their devices, which may be overwritten."""
    core, gain = chip.core, np.float32(weight_gain(chip.scheme, chip.law.off))
    if not isinstance(core.ir_drop, LinearNetwork) and core.v_offset is None:
        difference = np.subtract(first, second, out=first)
        difference *= gain
        return turned(difference, part.weight, chip.scheme)
    sides = oriented(first, second, part.weight, chip.scheme)
    if isinstance(core.ir_drop, LinearNetwork):
        sides = with_ir_drop(sides, core.ir_drop, g_max_usiemens=float(chip.device.g_max_usiemens))
    plus, minus = sides.plus, second if sides.minus is None else sides.minus
    if core.v_offset is not None:
        normal = chip.sign * standard_normals(key._replace(effect="v_offset"), (len(plus), 1))
        offset = np.maximum(normal, 0) * np.float32(core.v_offset.std_fraction)
        plus, minus = plus * (1 - offset), minus * (1 + offset)
    effective: Floats = (plus - minus) * gain
    return effective


def oriented(first: Floats, second: Floats, weight: Floats, scheme: Scheme) -> Sides:
    """Conductances of the positive and the negative devices."""
    if scheme == "differential":
        half = turned(np.float32(0.5) * (first - second), weight, scheme)
        middle = np.float32(0.5) * (first + second)
        return Sides(middle + half, middle - half)
    return Sides(first, None if scheme == "offset" else np.broadcast_to(second, first.shape))


def turned(magnitude: Floats, weight: Floats, scheme: Scheme) -> Floats:
    """Differences of a differential pair with the signs of the weights; overwrites them."""
    if scheme == "differential":
        magnitude *= np.copysign(np.float32(1), weight)
    return magnitude


def slice_conductances(part: Part, chip: Chip, key: NoiseKey, *, keep_then: bool) -> tuple[Conductances, Conductances]:
    """Conductances of the two devices of every weight, as shares of g_max; a shared second one is (1, n) or (1, 1)."""
    law, scheme = chip.law, chip.scheme
    rows, width = part.weight.shape
    quiet = targets(0.0, scheme, law.off)
    one, two = CellStreams(key, law.sign), CellStreams(key, law.sign, ".unused")
    shared = shared_second(width, chip, two, keep_then=keep_then)
    first = blank(rows, width, keep_then=keep_then)
    second = blank(rows, width, keep_then=keep_then) if shared is None else shared
    step = chunk_rows(width)
    for start in range(0, rows, step):
        area = slice(start, start + step)
        target = targets(shares(part.weight[area], part.scale[area]), scheme, law.off)
        dead = None if part.dead is None else part.dead[area]
        finish(target.first, rows_of(first, area), law, one, dead=dead, quiet=quiet.first)
        if shared is None:
            finish(target.second, rows_of(second, area), law, two, dead=dead, quiet=quiet.second)
    return first, second


def shared_second(width: int, chip: Chip, streams: CellStreams, *, keep_then: bool) -> Conductances | None:
    """What every weight of a column is compared with, where weights have no second device of their own."""
    law, scheme = chip.law, chip.scheme
    has_device = SECOND_IS_DEVICE[scheme] and law.is_clamped
    if has_device and scheme != "unit_column":
        return None
    target = targets(0.0, scheme, law.off).second
    second = blank(1, width if has_device else 1, keep_then=keep_then)
    if has_device:
        finish(target, second, law, streams)
        return second
    for place in second:
        if place is not None:
            place[:] = target
    return second


def blank(rows: int, width: int, *, keep_then: bool) -> Conductances:
    """Room for conductances."""
    now, then = (np.empty((rows, width), np.float32) for _ in range(2))
    return Conductances(now, then if keep_then else None)


def rows_of(whole: Conductances, area: slice) -> Conductances:
    """Some rows."""
    return Conductances(whole.now[area], None if whole.then is None else whole.then[area])


def finish(
    r: Floats | float,
    out: Conductances,
    law: CellLaw,
    streams: CellStreams,
    *,
    dead: NDArray[np.bool_] | None = None,
    quiet: float = 0.0,
) -> None:
    """Writes conductances at targets r with faults; where weights are dead a device is at ``quiet``, or faulty."""
    conductances(r, out, law, streams)
    if dead is not None:
        for place in out:
            if place is not None:
                place[dead] = quiet
    add_faults(out, law, streams)


def shares(weight: Floats, scale: Floats) -> Floats:
    """Weights as shares of their scale, clipped to [-1, 1]; 0 where the scale is 0."""
    usable = scale > np.finfo(np.float32).tiny
    share = weight * np.divide(1, scale, out=np.zeros_like(scale), where=usable)
    return np.clip(share, -1, 1, out=share)
