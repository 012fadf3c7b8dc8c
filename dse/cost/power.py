"""Power that is drawn for the whole step, whatever the placement."""

from __future__ import annotations

from dse.cost.option import host_unit
from dse.spec.architecture import Architecture, FlatPower
from dse.units import Quantity


def idle_power_mw(arch: Architecture) -> dict[str, Quantity]:
    """Idle power by group [mW]: tiles that are on, digital units counted per operation."""
    idle: dict[str, Quantity] = {c.name: arch.n_tiles(c) * c.idle.on_mw for c in arch.analog_cores}
    for unit in arch.digital_units:
        if not isinstance(unit.energy, FlatPower):
            idle[unit.name] = arch.n_units(unit) * unit.energy.idle_mw
    return idle


def flat_power_mw(arch: Architecture) -> dict[str, Quantity]:
    """Power of the flat-power units by group [mW], drawn while anything is placed on them."""
    return {u.name: arch.n_units(u) * u.energy.power_mw for u in arch.digital_units if isinstance(u.energy, FlatPower)}


def standing_power_mw(arch: Architecture) -> Quantity:
    """Idle power of all groups and, if the host unit is a flat-power one, its power [mW]."""
    standing = sum(idle_power_mw(arch).values(), 0.0)
    return standing + flat_power_mw(arch).get(host_unit(arch).name, 0.0)
