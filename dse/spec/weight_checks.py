"""What must hold between the way a weight is stored and the device that stores it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from dse.spec.violation import Violation

if TYPE_CHECKING:
    from dse.spec.analog_core import AnalogCore


def weight_violations(core: AnalogCore) -> Iterator[Violation]:
    """Every broken rule of how a core stores weights."""
    if core.weight is None:
        return
    steps = ("analog_cores", core.name, "weight")
    if core.weight.scheme != "differential" and core.device.pair != "both_devices":
        message = (
            f"{core.weight.scheme} has no single signed device; write differential, or pair: both_devices in the device"
        )
        yield Violation((*steps, "scheme"), message)
    bits, slices = core.weight.bits, core.weight.bit_slices
    if bits is not None and np.any(np.asarray(slices) > np.asarray(bits) - 1):
        message = f"{np.max(slices):g} slices of {np.min(bits):g} bits leave some without a bit; a sign takes one bit"
        yield Violation((*steps, "bit_slices"), message)
