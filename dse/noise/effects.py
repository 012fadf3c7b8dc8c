"""Which effects a measurement of accuracy holds, and which the files leave out."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from dse.noise.digital import WeightFormat
from dse.spec.architecture import AnalogCore

ALWAYS = ("programming noise", "DAC quantisation and clipping", "ADC quantisation and clipping")
NEVER = ("fp8 weights and activations of digital units",)
"""Rounding that the mapping or the scenario may ask for and that is left out."""


class Effects(NamedTuple):
    """Names of effects."""

    simulated: tuple[str, ...]
    left_out: tuple[str, ...]
    """Not stated by the files of any core in use, or not part of the simulation."""


def effects_of(cores: Collection[AnalogCore], *, time_s: float, formats: Collection[WeightFormat] = ()) -> Effects:
    """What happens to the weights and products of some core groups at an age of the weights [s].

    Args:
        cores: core groups of the analog blocks.
        time_s: age of the weights [s].
        formats: formats of the digital blocks in whole numbers.
    """
    stated = {
        "conductance drift": time_s > 0,
        "read noise": any(core.device.read_noise is not None for core in cores),
        "short-term read noise": any(core.read is not None and core.read.noise is not None for core in cores),
        "output noise": any(core.output_noise is not None for core in cores),
        "saturation of output stages": any(core.s_shape is not None for core in cores),
        "stuck devices": any(core.device.faults is not None for core in cores),
        "IR drop": any(core.ir_drop is not None for core in cores),
        "offset voltages": any(core.v_offset is not None for core in cores),
        "drift compensation": time_s > 0 and any(core.drift_compensation is not None for core in cores),
    }
    found = [effect for effect, is_stated in stated.items() if is_stated]
    missing = [effect for effect, is_stated in stated.items() if not is_stated]
    if time_s == 0:
        missing.remove("drift compensation")
    digital = [f"int{bits} weights of digital units" for bits in sorted({form.bits for form in formats})]
    return Effects((*(ALWAYS if cores else ()), *(found if cores else ()), *digital), (*missing, *NEVER))
