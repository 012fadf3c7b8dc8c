"""Power that is drawn for the whole step, whatever the placement."""

from __future__ import annotations

from dse.cost.option import host_unit
from dse.cost.programming import refresh
from dse.spec.architecture import Architecture, FlatPower
from dse.units import Quantity


def idle_power_mw(arch: Architecture) -> dict[str, Quantity]:
    """Idle power by group [mW]: built tiles, digital units counted per operation.

    Tiles with per-layer gating count as switched off; what they draw while their layer runs comes on top. A group
    whose ``idle`` is left out draws nothing.
    """
    idle: dict[str, Quantity] = {}
    for core in arch.analog_cores:
        if core.idle is not None:
            gated_mw = core.idle.gated_mw if core.idle.is_gated else None
            idle[core.name] = arch.n_built_tiles(core) * (core.idle.on_mw if gated_mw is None else gated_mw)
    for unit in arch.digital_units:
        if not isinstance(unit.energy, FlatPower):
            idle[unit.name] = arch.n_units(unit) * unit.energy.idle_mw
    return idle


def refresh_power_mw(arch: Architecture) -> dict[str, Quantity]:
    """Mean power of refreshing analog groups against drift [mW]."""
    host_die = host_unit(arch).die
    found = {core.name: refresh(arch, core, host_die) for core in arch.analog_cores}
    return {name: each.power_mw for name, each in found.items() if each is not None}


def refresh_time_fraction(arch: Architecture) -> dict[str, Quantity]:
    """Share of all time that refreshing takes, by analog group that is refreshed [-]; groups refresh side by side."""
    host_die = host_unit(arch).die
    found = {core.name: refresh(arch, core, host_die) for core in arch.analog_cores}
    return {name: each.time_fraction for name, each in found.items() if each is not None}


def flat_power_mw(arch: Architecture) -> dict[str, Quantity]:
    """Power of the flat-power units by group [mW], drawn while anything is placed on them."""
    return {u.name: arch.n_units(u) * u.energy.power_mw for u in arch.digital_units if isinstance(u.energy, FlatPower)}


def standing_power_mw(arch: Architecture) -> Quantity:
    """Idle power of all groups, drift refresh and, if the host unit is a flat-power one, its power [mW]."""
    standing = sum(idle_power_mw(arch).values(), 0.0) + sum(refresh_power_mw(arch).values(), 0.0)
    return standing + flat_power_mw(arch).get(host_unit(arch).name, 0.0)
