"""Silicon area of an architecture by part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dse.cost.tile import tile_area_mm2
from dse.spec.architecture import Architecture
from dse.units import Quantity


@dataclass(frozen=True, slots=True, eq=False)
class AreaPart:
    """Area of one kind of part in the whole machine."""

    part: str
    die: str
    area_mm2: Quantity


def area_parts(arch: Architecture) -> tuple[AreaPart, ...]:
    """Area of tiles, digital units, routers and the fixed part of each die [mm²]; memory stacks are not counted."""
    parts = [AreaPart(f"{c.name} tiles", c.die, arch.n_built_tiles(c) * tile_area_mm2(c)) for c in arch.analog_cores]
    parts += [AreaPart(f"{u.name} units", u.die, arch.n_units(u) * u.area_mm2) for u in arch.digital_units]
    parts += [
        AreaPart(f"{c.die} network", c.die, arch.n_built_tiles(c) * network.router_area_mm2)
        for c in arch.analog_cores
        if (network := arch.network_within(c.die)) is not None and np.any(network.router_area_mm2)
    ]
    parts += [AreaPart("fixed", d.name, d.count * d.fixed_area_mm2) for d in arch.dies]
    return tuple(parts)
