"""What cannot be simulated, or not as it is described."""

from __future__ import annotations

import dataclasses
from functools import lru_cache

from dse.errors import Problem
from dse.spec.architecture import AnalogCore
from dse.spec.converter_range import range_violations
from dse.spec.device import Device
from dse.spec.device_checks import device_violations
from dse.spec.values import value_problems
from dse.spec.weight_checks import weight_violations

FEWEST_BITS = 2
"""Bits of an input converter that has codes on both sides of 0."""


@lru_cache(maxsize=64)
def core_problems(device: Device, core: AnalogCore) -> tuple[Problem, ...]:
    """What of a core with this device breaks the rules of specs, as it may where it was built in Python."""
    whole, path = dataclasses.replace(core, device=device), f"analog_cores.{core.name}"
    values = [dataclasses.replace(problem, path=f"{path}.{problem.path}") for problem in value_problems(whole)]
    if values:
        return tuple(values)
    broken = [
        *range_violations(whole),
        *weight_violations(whole),
        *device_violations(device, ("analog_cores", core.name, "device")),
    ]
    return (*(Problem(violation.message, violation.path) for violation in broken), *bit_problems(core))


def bit_problems(core: AnalogCore) -> list[Problem]:
    """Slices of weights that have no bits."""
    if core.weight is None or core.weight.bits is not None or int(core.weight.bit_slices) == 1:
        return []
    message = f"{core.weight.bit_slices:g} slices need to know the bits of a weight; add bits: 8"
    return [Problem(message, f"analog_cores.{core.name}.weight.bit_slices")]


def unmodelled(core: AnalogCore) -> list[Problem]:
    """What of a core has a cost but no noise."""
    if int(core.dac.bits) >= FEWEST_BITS:
        return []
    message = (
        f"accuracy needs inputs of {FEWEST_BITS} bits or more (got {core.dac.bits:g}); a 1-bit converter that takes "
        "the bits of an input one after the other is  bits: 8, encoding: bit_serial"
    )
    return [Problem(message, f"analog_cores.{core.name}.dac.bits")]


def scale_problems(scale: float) -> list[Problem]:
    """What is wrong with the factor on sigma."""
    is_usable = 0 <= scale < float("inf")
    return [] if is_usable else [Problem(f"expected a finite number >= 0 (got {scale:g})", "scale")]
