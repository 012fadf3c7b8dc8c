"""What it takes to write a mapping into the tiles, and to keep it there."""

from __future__ import annotations

from collections.abc import Mapping as MappingABC
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from dse.cost.option import host_unit
from dse.cost.programming import lifetime_s, programming_cost, refresh
from dse.spec.architecture import Architecture
from dse.units import at_point


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class GroupProgramming:
    """Programming of one analog group of one design."""

    group: str
    crossbars: float
    """Crossbars that the mapping fills."""
    time_ns: float
    """Time to write them once [ns]."""
    bound_by: str
    """What that time is limited by: ``pulses``, ``power``, ``host link`` or ``network``."""
    energy_pj: float
    """Energy of writing them once [pJ]."""
    endurance_fraction: float | None
    """Share of the endurance of a device that one programming uses up; None: not stated."""
    refresh_interval_s: float | None
    """Time between two refreshes [s]; None: written once."""
    refresh_time_fraction: float
    """Share of all time that refreshing takes."""
    refresh_power_mw: float
    """Mean power of refreshing [mW]."""
    lifetime_s: float | None
    """Time until refreshing has used up the endurance [s]; None: not refreshed, or endurance not stated."""


def group_programming(arch: Architecture, units_needed: MappingABC[str, ArrayLike]) -> tuple[GroupProgramming, ...]:
    """Programming of every analog group that says how it is written (first design point)."""
    host_die, found = host_unit(arch).die, []
    for core in arch.analog_cores:
        program = core.program
        if program is None:
            continue
        crossbars = at_point(units_needed[core.name])
        cost = programming_cost(arch, core, program, host_die, crossbars)
        times = {name: at_point(time) for name, time in cost.bound_by_ns.items()}
        again = refresh(arch, core, host_die)
        endurance = None if cost.endurance_fraction is None else at_point(cost.endurance_fraction)
        interval = None if program.refresh_interval_s is None else at_point(program.refresh_interval_s)
        lasts = None
        if interval is not None and endurance is not None:
            lasts = at_point(lifetime_s(refresh_interval_s=interval, endurance_fraction=np.float64(endurance)))
        found.append(
            GroupProgramming(
                group=core.name,
                crossbars=crossbars,
                time_ns=at_point(cost.time_ns),
                bound_by=max(times, key=times.__getitem__),
                energy_pj=at_point(cost.energy_pj),
                endurance_fraction=endurance,
                refresh_interval_s=interval,
                refresh_time_fraction=0.0 if again is None else at_point(again.time_fraction),
                refresh_power_mw=0.0 if again is None else at_point(again.power_mw),
                lifetime_s=lasts,
            )
        )
    return tuple(found)
