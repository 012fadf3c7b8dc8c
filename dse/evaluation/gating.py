"""Energy of tiles that are switched on for the stages that have weights on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dse.cost.gating import tiles_on
from dse.cost.table import CostTable
from dse.evaluation.energy import Part
from dse.evaluation.timeline import StageTime
from dse.spec.architecture import Architecture

Array = NDArray[np.float64]


def gating_parts(
    arch: Architecture, costs: CostTable, stages: Sequence[StageTime], *, step_ns: Array
) -> dict[Part, Array]:
    """Part → energy that per-layer gating adds to that of tiles which are always off [pJ], (P,) each.

    In each stage the tiles with weights of its blocks wake once, whether a token visits them or not, and are on until
    the stage ends; no tile is on for longer than the step, however its stages overlap.
    """
    parts: dict[Part, Array] = {}
    for core in arch.analog_cores:
        idle = core.idle
        if idle is None or idle.gated_mw is None or idle.wake_pj is None or not idle.is_gated:
            continue
        wakes, on_tile_ns = np.zeros(costs.n_points), np.zeros(costs.n_points)
        for stage in stages:
            own = [entry for entry in stage.entries if costs.options[entry.option_index].group == core.name]
            if not own:
                continue
            slices = sum((e.n_blocks * costs.of(*e.at).units for e in own), np.float64(0))
            tiles = stage.multiplicity * tiles_on(n_slices=slices, n_tiles=arch.n_tiles(core))
            wakes, on_tile_ns = wakes + tiles, on_tile_ns + tiles * stage.total
        on_tile_ns = np.minimum(on_tile_ns, arch.n_tiles(core) * step_ns)
        if np.any(wakes):
            parts[Part("tiles on", "all", core.name)] = on_tile_ns * idle.on_mw
            parts[Part("idle", "all", core.name)] = -on_tile_ns * idle.gated_mw
            parts[Part("wake-up", "all", core.name)] = wakes * idle.wake_pj
    return parts
