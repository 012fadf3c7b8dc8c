"""Switching tiles off while no stage runs that has weights on them, and on again."""

from __future__ import annotations

import numpy as np

from dse.spec.architecture import AnalogCore, Architecture
from dse.units import Quantity
from dse.workload.blocks import BlockClass
from dse.workload.build import Workload


def tiles_on(*, n_slices: Quantity, n_tiles: Quantity) -> Quantity:
    """Tiles that hold weights of a stage [-]: its slices, spread over as many tiles as there are."""
    return np.minimum(n_slices, n_tiles)


def wake_ns(core: AnalogCore) -> Quantity:
    """Time that a stage waits until its tiles are on, whatever runs before it [ns]."""
    idle = core.idle
    if idle is None or not idle.is_gated or idle.wake == "hidden" or idle.wake_ns is None:
        return 0.0
    return idle.wake_ns


def late_wake_ns(core: AnalogCore, before_ns: Quantity) -> Quantity:
    """Time that a stage still waits for tiles which wake while the stage before runs: what that is too short for [ns].

    Args:
        core: analog group.
        before_ns: time of the stage before.
    """
    idle = core.idle
    if idle is None or not idle.is_gated or idle.wake == "exposed" or idle.wake_ns is None:
        return 0.0
    return np.maximum(0.0, idle.wake_ns - before_ns)


def least_upkeep_pj(
    arch: Architecture, workload: Workload, core: AnalogCore, block_class: BlockClass, path_ns: Quantity
) -> Quantity:
    """Least energy of a step that gating adds for each block placed on a group [pJ].

    Its slices' tiles wake and are on for the block's own path. A stage with more slices than the group has tiles wakes
    each tile once, so that a block counts the share of one then; a stage lasts longer than one path; stages of a
    pipeline overlap, so that only waking counts. All this makes it a lower end, as a mapping program needs it; the
    evaluation counts tiles and times of the stages.
    """
    idle = core.idle
    if idle is None or not idle.is_gated or idle.wake_pj is None or idle.gated_mw is None:
        return 0.0
    own = block_class.n_crossbars(rows=core.rows, cols=core.cols)
    n_tiles = arch.n_tiles(core)
    share = np.minimum(1.0, n_tiles / np.maximum(most_slices(workload, core, block_class), 1.0))
    on_pj = 0.0 if arch.composition == "pipelined" else own * (idle.on_mw - idle.gated_mw) * path_ns
    return share * (own * idle.wake_pj + on_pj)


def most_slices(workload: Workload, core: AnalogCore, block_class: BlockClass) -> Quantity:
    """Slices of a stage when everything that can share it with a block is on the group."""
    stage = ("expert", "shared", "ffn") if block_class.kind in ("expert", "shared", "ffn") else (block_class.kind,)
    copies = {"expert": workload.model.n_experts}
    return sum(
        (
            copies.get(other.kind, 1) * other.n_crossbars(rows=core.rows, cols=core.cols)
            for other in workload.classes
            if other.kind in stage
        ),
        np.float64(0),
    )
