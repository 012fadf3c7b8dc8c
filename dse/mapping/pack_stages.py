"""Tiles of the slices of all stages where the stages run one after the other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dse.mapping.die_rings import DieRings
from dse.mapping.pack_slices import GroupSlices
from dse.mapping.sampled_tiles import parted, sampled_visits
from dse.mapping.stage_peak import StepKind, stage_peak
from dse.mapping.tile_choice import meet, stage_tiles

Array = NDArray[np.float64]
Indices = NDArray[np.int64]


def serial_tiles(
    slices: GroupSlices, steps: tuple[StepKind, ...], *, n_tiles: int, n_tiers: int, per_die: int, seed: int
) -> Indices:
    """(S,): tile of every slice: blocks whole on dies that are equally busy in each stage, else round the tiles."""
    spread = die_tiles(slices, n_tiles=n_tiles, n_tiers=n_tiers, per_die=per_die)
    if spread is not None:
        return spread
    return ring_tiles(slices, steps, n_tiles=n_tiles, seed=seed)


def die_tiles(slices: GroupSlices, *, n_tiles: int, n_tiers: int, per_die: int) -> Indices | None:
    """(S,): tile of every slice, every block whole on a die; None where there is no room for one of them."""
    rings = DieRings(n_tiles // per_die, per_die, n_tiers)
    tile = np.empty(len(slices.block), dtype=np.int64)
    for own in slices.in_stages():
        _, begins, lengths = np.unique(slices.block[own], return_index=True, return_counts=True)
        found = rings.stage(lengths.tolist(), np.add.reduceat(slices.load[own], begins).tolist())
        if found is None:
            return None
        tile[own] = found
    return tile


def ring_tiles(slices: GroupSlices, steps: tuple[StepKind, ...], *, n_tiles: int, seed: int) -> Indices:
    """(S,): tile of every slice, stage after stage round the tiles.

    A stage with more slices than tiles is packed once for all stages like it.
    """
    tile, first = np.empty(len(slices.block), dtype=np.int64), 0
    piece, known = slices.piece, dict[tuple[bytes, ...], Indices]()
    for own in slices.in_stages():
        key = signature(slices, steps, own)
        if len(own) <= n_tiles:
            found = np.arange(len(own))
        elif key in known:
            found = known[key]
        else:
            found = known[key] = shared_tiles(
                slices, steps, own, piece[own] - piece[own[0]], n_tiles=n_tiles, seed=seed
            )
        tile[own] = (first + found) % n_tiles
        first = (first + len(own)) % n_tiles
    return tile


def signature(slices: GroupSlices, steps: tuple[StepKind, ...], own: Indices) -> tuple[bytes, ...]:
    """What stages share that are packed alike: loads, blocks, copies; each traced layer has its own steps."""
    block = slices.blocks[int(slices.block[own[0]])]
    traced = block.layer is not None and any(
        block.layer in s.routings and s.routings[block.layer].trace is not None for s in steps
    )
    where = str(block.layer).encode() if traced else b""
    first = slices.block[own[0]]
    return where, slices.load[own].tobytes(), (slices.block[own] - first).tobytes(), slices.copy[own].tobytes()


def shared_tiles(
    slices: GroupSlices, steps: tuple[StepKind, ...], own: Indices, piece: Indices, *, n_tiles: int, seed: int
) -> Indices:
    """(S,): tiles of a stage with more slices than tiles: the best of round robin, mean loads, and sampled steps."""
    choices = [np.arange(len(own)) % n_tiles, stage_tiles(slices.load[own], n_tiles, piece)]
    number, block = np.unique(slices.block[own], return_inverse=True)
    blocks = [slices.blocks[n] for n in number.tolist()]
    layer, step = blocks[0].layer, max(steps, key=lambda s: s.weight)
    if layer is not None and any(b.expert is not None for b in blocks):
        visits = sampled_visits(step.routings[layer], step.tokens, seed)
        columns = [np.full(len(visits), step.tokens) if b.expert is None else visits[:, b.expert] for b in blocks]
        samples = np.stack(columns, axis=1)
        choices += [parted(samples, block, choice, n_tiles) for choice in choices[: 1 if same(*choices) else 2]]
    allowed = [choice for choice in choices if not meet(choice, piece, n_tiles)]
    return min(allowed, key=lambda choice: stage_peak(steps, slices, own, choice, n_tiles).visits)


def same(first: Indices, second: Indices) -> bool:
    """Whether two packings are one."""
    return bool((first == second).all())
