"""Visits of the busiest tile of a stage in a step, as the mean over steps, and what no packing gets below."""

from __future__ import annotations

from collections.abc import Mapping as MappingABC
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dse.mapping.pack_slices import GroupSlices
from dse.mapping.tile_choice import load_bound
from dse.mapping.tile_contents import contents
from dse.units import at_point
from dse.workload.batch import LayerRouting, layer_routings
from dse.workload.build import Workload
from dse.workload.busiest import TileContents
from dse.workload.routing import visits_per_token
from dse.workload.steps import all_steps

# S slices of the stage, N blocks of the stage, E experts of the layer

Array = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class StepKind:
    """One kind of step of a run."""

    weight: float
    """How often it occurs in a step of the run."""
    tokens: float
    visits_per_token: MappingABC[str, float]
    """Of every block."""
    routings: MappingABC[int, LayerRouting]
    """Of every layer with experts."""


class Peak(NamedTuple):
    """Visits of the busiest tile."""

    visits: float
    """Mean over the steps of the visits of whichever tile is busiest in each."""
    bound: float
    """What no packing gets below."""


def step_kinds(workload: Workload) -> tuple[StepKind, ...]:
    """The steps of a run."""
    return tuple(
        StepKind(
            at_point(step.weight, 0),
            at_point(step.workload.tokens_per_step, 0),
            dict(zip([b.name for b in step.workload.blocks], visits_per_token(step.workload).tolist(), strict=True)),
            layer_routings(step.workload),
        )
        for step in all_steps(workload)
    )


def stage_peak(steps: tuple[StepKind, ...], slices: GroupSlices, own: Indices, tile: Indices, n_tiles: int) -> Peak:
    """Of one stage, added over the kinds of steps.

    Experts: the distribution of ``dse.workload.busiest``, which ``dse evaluate`` takes too. Its bound is the larger of
    what the mean loads say and of the busiest slice, had every slice a tile of its own.

    Args:
        steps: kinds of steps.
        slices: slices of the group.
        own: (S,) those of the stage.
        tile: (S,) their tiles.
        n_tiles: tiles of the group.
    """
    number, block = np.unique(slices.block[own], return_inverse=True)
    blocks = [slices.blocks[n] for n in number.tolist()]
    expert = np.array([-1 if b.expert is None else b.expert for b in blocks])
    is_alone = len(own) <= n_tiles and int(np.bincount(tile).max()) == 1
    held = np.eye(len(blocks), dtype=np.int64) if is_alone else contents(tile, block, len(blocks))
    visits = bound = 0.0
    for step in steps:
        load = step.tokens * np.array([step.visits_per_token[b.name] for b in blocks])
        routing = None if blocks[0].layer is None or (expert < 0).all() else step.routings[blocks[0].layer]
        if routing is None:
            here, least = float((held @ load).max()), load_bound(load[block], n_tiles)
        else:
            here = busiest(routing, step.tokens, held, expert)
            alone = here if is_alone else busiest(routing, step.tokens, np.eye(len(blocks), dtype=np.int64), expert)
            least = max(alone, load_bound(load[block], n_tiles))
        visits, bound = visits + step.weight * here, bound + step.weight * min(least, here)
    return Peak(visits, bound)


def busiest(routing: LayerRouting, tokens: float, held: Indices, expert: Indices) -> float:
    """Mean visits of the busiest tile in a step of n tokens.

    Args:
        routing: how tokens choose.
        tokens: n.
        held: (tiles, N) slices of each block.
        expert: (N,) number of each block among the experts; −1: every token uses it.
    """
    by_expert = np.zeros((len(held), len(routing.visits)), dtype=np.int64)
    by_expert[:, expert[expert >= 0]] = held[:, expert >= 0]
    return routing.busiest(tokens, TileContents(by_expert, held[:, expert < 0].sum(axis=1))).mean
