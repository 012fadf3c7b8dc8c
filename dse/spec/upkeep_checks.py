"""What must hold between the values of a tile's idle power and of its programming."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from dse.spec.violation import Violation

if TYPE_CHECKING:
    from dse.spec.analog_core import AnalogCore
    from dse.spec.tile_upkeep import Idle, Program


def upkeep_violations(core: AnalogCore) -> Iterator[Violation]:
    """Every broken rule of the idle power and the programming of a core group."""
    steps = ("analog_cores", core.name)
    if core.idle is not None:
        yield from _idle(core.idle, (*steps, "idle"))
    if core.program is not None:
        if core.weight is None:
            message = "needs the devices of a weight; add weight: {scheme: differential, devices: …}"
            yield Violation((*steps, "program"), message)
        yield from _program(core.program, (*steps, "program"))
    if np.any(np.asarray(core.working_tiles_per_die) < 1):
        message = f"leaves none of {np.min(core.tiles_per_die):g} tiles for weights; lower it"
        yield Violation((*steps, "spare_fraction"), message)


def _idle(idle: Idle, steps: tuple[str, ...]) -> Iterator[Violation]:
    if idle.is_gated:
        units = {"gated_mw": "mW", "wake_pj": "pJ", "wake_ns": "ns"}
        for key in (key for key in units if getattr(idle, key) is None):
            yield Violation((*steps, "gating"), f"per_layer needs {key}; add {key}: … [{units[key]}]")
    if idle.gated_mw is not None and np.any(np.asarray(idle.gated_mw) > idle.on_mw):
        message = f"a tile that is off must not draw more than on_mw = {np.min(idle.on_mw):g}"
        yield Violation((*steps, "gated_mw"), f"{message} (got {np.max(idle.gated_mw):g})")


def _program(program: Program, steps: tuple[str, ...]) -> Iterator[Violation]:
    endurance = program.endurance_cycles
    if endurance is not None and np.any(np.asarray(endurance) < program.iterations):
        message = (
            f"a device must survive the {np.max(program.iterations):g} pulses of one programming "
            f"(got {np.min(endurance):g})"
        )
        yield Violation((*steps, "endurance_cycles"), message)
