"""Places blocks on the technology that a rule prefers, where there is room."""

from __future__ import annotations

from math import ceil

import numpy as np
from numpy.typing import NDArray

from dse.errors import Cause, InfeasibleError
from dse.mapping.diagnose import narrower_formats
from dse.mapping.instance import Instance
from dse.mapping.objective import Choice

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]


def place(instance: Instance, prefers_digital: Bools, *, by_fraction: bool) -> Choice:
    """(N,): each block on the preferred technology where its options allow it, dense blocks first.

    Args:
        instance: blocks, options and capacities.
        prefers_digital: (N,): which blocks prefer digital units.
        by_fraction: whether ``digital_fraction`` decides it, so that another one may be advised.

    Raises:
        InfeasibleError: a block has no option, or there is no room left for it.
    """
    choice = np.full(len(instance.names), -1)
    room = instance.capacity.copy()
    has_digital = (instance.allowed & ~instance.is_analog).any(axis=1)
    has_analog = (instance.allowed & instance.is_analog).any(axis=1)
    goes_digital = has_digital & (prefers_digital | ~has_analog)
    for blocks in (~instance.is_expert, instance.is_expert):
        fill(instance, choice, room, mask=blocks & goes_digital, analog=False)
        fill(instance, choice, room, mask=blocks & ~goes_digital, analog=True)
    if (choice < 0).any():
        raise InfeasibleError(shortages(instance, choice, goes_digital, by_fraction=by_fraction))
    return choice


def fill(instance: Instance, choice: Choice, room: Array, *, mask: Bools, analog: bool) -> None:
    """Places the blocks of a mask on the options of one technology in their order, writing choice and room."""
    options = np.flatnonzero(instance.is_analog == analog)
    if analog and mask.any():
        options = options[np.argsort(instance.energy_pj[mask][:, options].mean(axis=0), kind="stable")]
    for option in options:
        waiting = np.flatnonzero(mask & (choice < 0) & instance.allowed[:, option])
        resource = instance.resource[option]
        used = np.cumsum(instance.units[waiting, option])
        placed = waiting[used <= room[resource] * (1 + 1e-12)]
        choice[placed] = option
        room[resource] -= instance.units[placed, option].sum()


def shortages(instance: Instance, choice: Choice, goes_digital: Bools, *, by_fraction: bool) -> list[Cause]:
    """Why blocks stayed unplaced, one cause per technology."""
    causes = []
    for is_digital in (True, False):
        left = np.flatnonzero((choice < 0) & (goes_digital == is_digital))
        if not len(left):
            continue
        options = np.flatnonzero((instance.is_analog != is_digital) & instance.allowed[left].any(axis=0))
        names = f"{len(left)} blocks ({instance.names[left[0]]}{' …' if len(left) > 1 else ''})"
        technology = "digital" if is_digital else "analog"
        if not len(options):
            fix = f"add a group, or allow {technology} options for them"
            causes.append(Cause(f"options[{technology}]", 1.0, 0.0, "options", names, fix))
            continue
        resources = np.unique(instance.resource[options])
        have = float(instance.capacity[resources].sum())
        placed = np.flatnonzero((choice >= 0) & np.isin(instance.resource[choice], resources))
        need = float(instance.units[placed, choice[placed]].sum() + instance.units[left, options[0]].sum())
        unit = instance.resource_unit(int(resources[0]))
        limit = f"capacity[{', '.join(instance.resources[r] for r in resources)}]"
        may_move = bool((instance.allowed[left] & (instance.is_analog == is_digital)).any())
        ways = [f"add {ceil(max(need - have, 1))} {unit}"]
        if narrower := narrower_formats(instance, options):
            ways.append(f"store weights as {' or '.join(narrower)}")
        if may_move and by_fraction:
            ways.append(f"{'lower' if is_digital else 'raise'} digital_fraction")
        elif may_move:
            ways.append(f"choose a rule that leaves experts to {'analog' if is_digital else 'digital'} groups")
        fix = ", or ".join(ways)
        causes.append(Cause(limit, need, have, unit, names, fix))
    return causes
