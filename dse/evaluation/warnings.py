"""What a reader should know before trusting a result: energy beyond its boundary, dies that cannot be cooled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dse.cost.package import die_counts
from dse.evaluation.energy import Part
from dse.spec.architecture import Architecture
from dse.units import at_point

HOT_MW_PER_MM2: Final = 1000.0
"""Power density that needs more than air or a cold plate [mW/mm²]: 700 W over the 814 mm² of an H100 are 860."""
OFF_DIE: Final = ("weight memory", "KV cache")
"""Components of energy that are spent in memory stacks beside the die."""


LEFT_OUT: Final = {
    "macro": (
        "memories, links and digital units",
        ("digital compute", "attention scores", "vector work", "flat power"),
    ),
    "die": ("memories and links between dies", ()),
}
"""Energy boundary → what it leaves out, in words, and the components of it beside those of memories and links."""
OUTSIDE_A_DIE: Final = (*OFF_DIE, "links", "exchange")
"""Components of energy that are spent outside of dies."""


def boundary_warnings(arch: Architecture, parts_pj: Mapping[Part, NDArray[np.float64]]) -> tuple[str, ...]:
    """Energy that the result counts although the stated boundary leaves it out (first design point)."""
    if arch.energy_boundary not in LEFT_OUT:
        return ()
    what, more = LEFT_OUT[arch.energy_boundary]
    total = sum(at_point(energy) for energy in parts_pj.values())
    outside = sum(at_point(energy) for part, energy in parts_pj.items() if part.component in (*OUTSIDE_A_DIE, *more))
    if outside <= 0:
        return ()
    return (
        f"energy_boundary: {arch.energy_boundary} leaves out {what}, but {100 * outside / total:.3g} % of the energy "
        "counted here is theirs; write energy_boundary: package",
    )


def power_density_warnings(
    arch: Architecture, parts_pj: Mapping[Part, NDArray[np.float64]], *, step_ns: float
) -> tuple[str, ...]:
    """Dies whose mean power over their area is above ``HOT_MW_PER_MM2`` (first design point)."""
    die_of = {c.name: c.die for c in arch.analog_cores} | {u.name: u.die for u in arch.digital_units}
    power_mw: dict[str, float] = {}
    for part, energy in parts_pj.items():
        if part.component not in OFF_DIE:
            name = die_of[part.group]
            power_mw[name] = power_mw.get(name, 0.0) + at_point(energy) / step_ns
    found = []
    for die in die_counts(arch):
        area = at_point(die.area_mm2) * at_point(die.count)
        density = power_mw.get(die.name, 0.0) / area if area else 0.0
        if density > HOT_MW_PER_MM2:
            found.append(
                f"die {die.name} spends {density / 1e3:.3g} W/mm², above {HOT_MW_PER_MM2 / 1e3:g} W/mm² (assumed limit "
                "of liquid cooling); spread its tiles or units over more area"
            )
    return tuple(found)
