"""Work of the tiles of an analog group over all layers: what binds when micro-batches follow each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dse.cost.table import CostTable
from dse.evaluation.packed import PackedVisits
from dse.evaluation.profile import Entry, LayerProfile
from dse.evaluation.tile_load import distinct, mean_product_ns, tile_loads
from dse.spec.architecture import AnalogCore, Architecture
from dse.units import Quantity, at_point
from dse.workload.build import Workload

# P design points, N blocks of all layers

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class TileWork:
    """Work of the tiles of one analog group for one micro-batch, all layers together, (P,)."""

    fullest_ns: Array
    """Expected work of the fullest tile [ns]: over many steps a tile works for its mean load."""
    of_other_stages_ns2: Array
    """Largest ``W² − Σ_stages w²`` of a tile of which W is the work and w that in one stage [ns²]."""
    busiest_stage_ns: Array
    """Busiest tile of the busiest stage, for all micro-batches together over their number [ns]."""
    die_imbalance: Quantity = 1.0
    """Visits on the busiest die over the mean of all dies; 1 where nothing is packed."""


def tile_work(
    arch: Architecture,
    workload: Workload,
    costs: CostTable,
    profiles: Sequence[LayerProfile],
    packed: Mapping[str, PackedVisits],
    *,
    tokens: Array,
    micro_batches: Array,
) -> dict[str, TileWork]:
    """Analog group → work of its tiles; empty without a pipeline, where nothing depends on it.

    Args:
        arch: architecture.
        workload: of one micro-batch.
        costs: unit costs.
        profiles: where the blocks are.
        packed: what the mapping's slices put on the tiles.
        tokens: of one micro-batch, (P,).
        micro_batches: parts of the batch, (P,).
    """
    if arch.composition != "pipelined":
        return {}
    busiest = busiest_stages_ns(arch, workload, costs, profiles, tokens=tokens, micro_batches=micro_batches)
    found = {}
    for core in (core for core in arch.analog_cores if core.name in busiest):
        fullest, others = work_per_token(
            arch, core, costs, profiles, packed=packed.get(core.name), head_visits=head_visits(workload)
        )
        uneven = imbalance(arch, core, costs, profiles, packed.get(core.name))
        found[core.name] = TileWork(tokens * fullest, np.square(tokens) * others, busiest[core.name], uneven)
    return found


def imbalance(
    arch: Architecture,
    core: AnalogCore,
    costs: CostTable,
    profiles: Sequence[LayerProfile],
    packed: PackedVisits | None,
) -> Quantity:
    """Visits on the busiest die of a group over the mean of its dies; 1 for designs with other slices than packed."""
    if packed is None:
        return 1.0
    placed: Quantity = 0.0
    for entries in stages_in_order(profiles):
        for entry in (e for e in entries if costs.options[e.option_index].group == core.name):
            placed = placed + entry.n_blocks * costs.of(*entry.at).units
    uneven = arch.die(core.die).count * packed.busiest_die_fraction
    return np.where(np.asarray(placed) == sum(packed.n_slices.values()), uneven, 1.0)


def busiest_stages_ns(
    arch: Architecture,
    workload: Workload,
    costs: CostTable,
    profiles: Sequence[LayerProfile],
    *,
    tokens: Array,
    micro_batches: Array,
) -> dict[str, Array]:
    """Analog group → expected load of the busiest tile of a stage in a whole step, over the micro-batches, (P,) [ns].

    Of the stage where it is largest. The tokens of all micro-batches count together: another tile may be the busiest
    one of each, and none of them waits for the others to end the stage.
    """
    whole, largest = tokens * micro_batches, dict[str, Array]()
    for profile in profiles:
        for stage, entries in profile.entries.items():
            packed = {group: tiles for (name, group), tiles in profile.packed.items() if name == stage}
            for group, load in tile_loads(arch, workload, costs, entries, packed=packed, tokens=whole).items():
                is_routed = any(e.routing is not None for e in entries if costs.options[e.option_index].group == group)
                mean = load.mean / micro_batches if is_routed else load.mean
                largest[group] = np.maximum(largest.get(group, 0.0), mean)
    return largest


def work_per_token(
    arch: Architecture,
    core: AnalogCore,
    costs: CostTable,
    profiles: Sequence[LayerProfile],
    *,
    packed: PackedVisits | None,
    head_visits: Quantity,
) -> tuple[Array, Array]:
    """Work of the fullest tile per token, (P,) [ns], and the largest ``W² − Σ_stages w²`` of a tile, (P,) [ns²].

    ``W = Σ_slices λ_b · T_mvm`` with the slices where the mapping puts them if it has as many as the design point,
    else those of all layers one after the other round the tiles.
    """
    stages = [
        own
        for entries in stages_in_order(profiles)
        if (own := [e for e in entries if costs.options[e.option_index].group == core.name])
    ]
    entries = [e for own in stages for e in own]

    def spread(value: Quantity) -> Array:
        return np.broadcast_to(np.asarray(value, np.float64), (costs.n_points,))

    kinds, n_tiles = dict.fromkeys(e.at for e in entries), spread(arch.n_tiles(core))
    units = {kind: spread(costs.of(*kind).units) for kind in kinds}
    latency = {
        kind: spread(
            mean_product_ns(arch, core, costs.of(*kind))
            * (head_visits if costs.classes[kind[0]].kind == "head" else 1.0)
        )
        for kind in kinds
    }
    at, inverse = distinct([n_tiles, *units.values(), *latency.values()])
    found = np.zeros((len(at), 2))
    for number, point in enumerate(at):
        slices = {kind: round(float(units[kind][point])) for kind in kinds}
        time = {kind: float(latency[kind][point]) for kind in kinds}
        wanted: dict[int, int] = {}
        for e in entries:
            wanted[e.class_index] = wanted.get(e.class_index, 0) + e.n_blocks * slices[e.at]
        if packed is not None and all(packed.n_slices.get(c) == count for c, count in wanted.items()):
            work, squares = packed_work(packed, {kind[0]: time[kind] for kind in kinds})
        else:
            work, squares = work_in_order(stages, slices, time, round(float(n_tiles[point])))
        found[number] = work.max(), max(0.0, float((np.square(work) - squares).max()))
    return found[inverse, 0], found[inverse, 1]


def head_visits(workload: Workload) -> Quantity:
    """Visits of the head per token over those of the first design, which entries keep: 1 but for prompts that vary."""
    scenario = workload.scenario
    return at_point(scenario.prompt_tokens) / scenario.prompt_tokens if scenario.phase == "prefill" else 1.0


def packed_work(packed: PackedVisits, product_ns: Mapping[int, float]) -> tuple[Array, Array]:
    """Work of every tile per token [ns] and the sum of the squares of its stages [ns²], by the mapping's slices."""
    work = sum(packed.per_token[c] * time for c, time in product_ns.items())
    squares = sum(
        both * product_ns[a] * product_ns[b]
        for (a, b), both in packed.in_one_stage.items()
        if a in product_ns and b in product_ns
    )
    return np.asarray(work), np.asarray(squares)


def work_in_order(
    stages: Sequence[Sequence[Entry]],
    slices: Mapping[tuple[int, int], int],
    product_ns: Mapping[tuple[int, int], float],
    n_tiles: int,
) -> tuple[Array, Array]:
    """The same for slices one after the other round the tiles."""
    work, squares, start = np.zeros(n_tiles), np.zeros(n_tiles), 0
    for entries in stages:
        load = np.concatenate([np.repeat(e.visits_per_token * product_ns[e.at], slices[e.at]) for e in entries])
        tile, start = (start + np.arange(len(load))) % n_tiles, (start + len(load)) % n_tiles
        if len(load) <= n_tiles:
            work[tile] += load
            squares[tile] += np.square(load)
        else:
            of_stage = np.bincount(tile, load, n_tiles)
            work, squares = work + of_stage, squares + np.square(of_stage)
    return work, squares


def stages_in_order(profiles: Sequence[LayerProfile]) -> Iterator[tuple[Entry, ...]]:
    """Entries of every stage of all layers, equal layers one after the other."""
    for profile in profiles:
        for _ in range(profile.multiplicity):
            yield from profile.entries.values()
