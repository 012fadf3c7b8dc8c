"""Work of the fullest tile of an analog group over all layers: what binds when micro-batches follow each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from dse.cost.table import CostTable
from dse.evaluation.packed import PackedVisits
from dse.evaluation.profile import Entry, LayerProfile
from dse.evaluation.tile_load import distinct, mean_product_ns
from dse.spec.architecture import AnalogCore, Architecture
from dse.units import Quantity

# P design points, N blocks of all layers

Array = NDArray[np.float64]


def tile_work_ns(
    arch: Architecture,
    costs: CostTable,
    profiles: Sequence[LayerProfile],
    tokens: Array,
    packed: Mapping[str, PackedVisits],
) -> dict[str, Array]:
    """Analog group → expected work of its fullest tile, (P,) [ns]; without a pipeline nothing depends on it: inf."""
    if arch.composition != "pipelined":
        return {core.name: np.full(tokens.shape, np.inf) for core in arch.analog_cores}
    return {
        core.name: fullest_tile_ns(arch, core, costs, profiles, tokens, packed=packed.get(core.name))
        for core in arch.analog_cores
    }


def fullest_tile_ns(
    arch: Architecture,
    core: AnalogCore,
    costs: CostTable,
    profiles: Sequence[LayerProfile],
    tokens: Array,
    *,
    packed: PackedVisits | None,
) -> Array:
    """Expected work of the fullest tile in a step of that many tokens, (P,) [ns].

    ``n · max_tile Σ_slices λ_b · T_mvm`` with the slices where the mapping puts them if it has as many as the design
    point, else those of all layers one after the other round the tiles. Over many steps a tile works for its mean
    load: how it varies from step to step evens out in the queue before it.
    """
    entries = [e for e in blocks_in_order(profiles) if costs.options[e.option_index].group == core.name]
    if not entries:
        return np.zeros(tokens.shape)

    def spread(value: Quantity) -> Array:
        return np.broadcast_to(np.asarray(value, np.float64), tokens.shape)

    n_tiles = spread(arch.n_tiles(core))
    kinds = sorted({e.at for e in entries})
    units = {kind: spread(costs.of(*kind).units) for kind in kinds}
    product = {kind: spread(mean_product_ns(arch, core, costs.of(*kind))) for kind in kinds}
    at, inverse = distinct([n_tiles, *units.values(), *product.values()])
    blocks = {kind: sum(e.n_blocks for e in entries if e.at == kind) for kind in kinds}
    per_token = np.zeros(len(at))
    for number, point in enumerate(at):
        wanted: dict[int, int] = {}
        for kind in kinds:
            wanted[kind[0]] = wanted.get(kind[0], 0) + blocks[kind] * round(float(units[kind][point]))
        if packed is not None and all(packed.n_slices.get(c) == count for c, count in wanted.items()):
            work_ns = sum(packed.per_token[kind[0]] * product[kind][point] for kind in kinds if kind[0] in wanted)
            per_token[number] = float(np.max(work_ns))
            continue
        slices = np.repeat(
            [round(float(units[e.at][point])) for e in entries],
            [e.n_blocks for e in entries],
        )
        work = np.concatenate([e.visits_per_token * product[e.at][point] for e in entries])
        tile = np.arange(int(slices.sum())) % round(float(n_tiles[point]))
        per_token[number] = np.bincount(tile, weights=np.repeat(work, slices)).max()
    return np.asarray(tokens * per_token[inverse])


def blocks_in_order(profiles: Sequence[LayerProfile]) -> Iterator[Entry]:
    """Entries of all layers, equal layers one after the other."""
    for profile in profiles:
        for _ in range(profile.multiplicity):
            for entries in profile.entries.values():
                yield from entries
