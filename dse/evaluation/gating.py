"""Energy of tiles that are switched on for the stages that have weights on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dse.cost.gating import on_energy_pj, tiles_on
from dse.cost.table import CostTable
from dse.evaluation.energy import Part
from dse.evaluation.timeline import StageTime
from dse.spec.architecture import Architecture

Array = NDArray[np.float64]


def gating_parts(arch: Architecture, costs: CostTable, stages: Sequence[StageTime]) -> dict[Part, Array]:
    """Part → energy that per-layer gating adds to that of tiles which are always off [pJ], (P,) each.

    In each stage the tiles with weights of its blocks wake once, whether a token visits them or not, and are on until
    the stage ends.
    """
    parts: dict[Part, Array] = {}
    for stage in stages:
        for core in (core for core in arch.analog_cores if core.idle is not None and core.idle.is_gated):
            own = [entry for entry in stage.entries if costs.options[entry.option_index].group == core.name]
            slices = sum((e.n_blocks * costs.units[:, e.class_index, e.option_index] for e in own), np.float64(0))
            if not np.any(slices):
                continue
            idle = core.idle
            assert idle is not None
            assert idle.gated_mw is not None
            assert idle.wake_pj is not None
            tiles = stage.multiplicity * tiles_on(n_slices=slices, n_tiles=arch.n_tiles(core))
            on_pj = on_energy_pj(tiles=tiles, on_mw=idle.on_mw, gated_mw=idle.gated_mw, time_ns=stage.total)
            for component, energy in (("idle", on_pj), ("wake-up", tiles * idle.wake_pj)):
                part = Part(component, "all", core.name)
                parts[part] = parts.get(part, 0.0) + np.broadcast_to(energy, (costs.n_points,))
    return parts
