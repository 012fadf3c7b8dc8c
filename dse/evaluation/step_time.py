"""Time of a step from the times of its stages: serial, overlapped or pipelined, and what it is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from dse.cost.table import CostTable
from dse.evaluation.timeline import GroupTime, StageTime
from dse.spec.architecture import Architecture
from dse.units import Quantity

# P design points

Array = NDArray[np.float64]
Shares = dict[str, Array]
"""What the time of a resource is spent on → time, (P,) [ns]."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class StepTime:
    """Time of a step, (P,) each [ns]: the longer of its critical path and of the work of its busiest resource."""

    latency_ns: Array
    critical_ns: Mapping[str, Array]
    """Resource → its share of what binds; the shares add up to the latency."""
    path_ns: Array
    """Critical path of one micro-batch (of the whole batch where it is not split)."""
    busy_ns: Mapping[str, Array]
    """Resource → time it works for the whole batch."""
    contended_ns: Array
    """Time of a step with the waits of dependent products on shared tiles; at least ``latency_ns``."""


def step_time(
    arch: Architecture,
    costs: CostTable,
    stages: Sequence[StageTime],
    *,
    micro_batches: Array,
    tile_work_ns: Mapping[str, Array],
) -> StepTime:
    """Composes the stages of one micro-batch to the time of a step.

    ``T = max(critical path of one micro-batch, micro_batches · time of the busiest resource)``. A sequence starts its
    next token only after its last one, so that no step is shorter than the path; and no resource does the work of
    two micro-batches at once. Without a split the path is never the shorter one. Bounds: path <= T <= the serial sum
    of all micro-batches.

    Args:
        arch: its composition says how groups of a stage combine (``StageTime.side_by_side``).
        costs: which groups are analog.
        stages: of one micro-batch.
        micro_batches: parts of the batch, (P,); 1 where it is not split.
        tile_work_ns: analog group → expected work of its fullest tile for one micro-batch, all layers together, (P,).
    """
    path_ns = np.asarray(sum((s.multiplicity * s.total for s in stages), np.zeros(micro_batches.shape)))
    contended_ns = np.asarray(sum((s.multiplicity * s.contended_total for s in stages), np.zeros(micro_batches.shape)))
    critical = path_shares(stages)
    is_pipelined = arch.composition == "pipelined"
    found = resource_shares(costs, stages, tile_work_ns, is_opened=is_pipelined)
    if not is_pipelined:
        busy_ns = {name: np.asarray(sum(shares.values())) for name, shares in found.items()}
        return StepTime(
            latency_ns=path_ns, critical_ns=critical, path_ns=path_ns, busy_ns=busy_ns, contended_ns=contended_ns
        )
    busy = {name: {what: micro_batches * time for what, time in shares.items()} for name, shares in found.items()}
    totals = {name: np.asarray(sum(shares.values())) for name, shares in busy.items()}
    longest = reduce(np.maximum, totals.values(), path_ns)
    unclaimed = path_ns < longest
    shares = {name: ~unclaimed * time for name, time in critical.items()}
    for name, total in totals.items():
        binds = unclaimed & (total == longest)
        unclaimed = unclaimed & ~binds
        for what, time in busy[name].items():
            shares[what] = shares.get(what, 0.0) + binds * time
    return StepTime(
        latency_ns=longest,
        critical_ns=shares,
        path_ns=path_ns,
        busy_ns=totals,
        contended_ns=np.maximum(longest, contended_ns),
    )


def path_shares(stages: Sequence[StageTime]) -> Shares:
    """Resource → its share of the critical path of one micro-batch; the shares add up to the path."""
    shares: Shares = {}
    for stage in stages:
        slowest = reduce(np.maximum, [g.total for g in stage.groups.values()])
        claimed = np.zeros(slowest.shape, dtype=bool)
        for time in stage.groups.values():
            weight = stage.multiplicity
            if stage.side_by_side:
                counts = (time.total == slowest) & ~claimed
                claimed |= counts
                weight = counts * stage.multiplicity
            add_group(shares, time, weight)
    return shares


def resource_shares(
    costs: CostTable, stages: Sequence[StageTime], tile_work_ns: Mapping[str, Array], *, is_opened: bool
) -> dict[str, Shares]:
    """Resource → what its time for one micro-batch is spent on; of a unit that is not opened only the sum, as ``work``.

    A digital unit runs the kernels of all stages one after the other. A link carries all its transfers one after the
    other; its latency occupies nothing. Of an analog group the resource is a tile: it works for the slices of all
    layers that it holds, which is its expected work over many steps, at least as long as the busiest tile of any one
    stage and at most as long as the busiest tiles of all stages together.
    """
    found: dict[str, Shares] = {}
    largest: Shares = {}
    for stage in stages:
        for group, time in stage.groups.items():
            weight = np.asarray(stage.multiplicity, np.float64)
            if not costs.is_analog[group]:
                shares = found.setdefault(group, {})
                if is_opened:
                    add_group(shares, time, stage.multiplicity)
                else:
                    shares["work"] = shares.get("work", 0.0) + stage.multiplicity * time.total
                continue
            load, link = time.bound_by[f"{group} tile load"], found.setdefault(f"{group} link", {})
            link["link bandwidth"] = link.get("link bandwidth", 0.0) + weight * time.added["link bandwidth"]
            tile, name = found.setdefault(f"{group} tile", {}), f"{group} tile load"
            tile[name] = tile.get(name, 0.0) + weight * load
            largest[group] = np.maximum(largest.get(group, 0.0), load)
    for group, load in largest.items():
        tile, name = found[f"{group} tile"], f"{group} tile load"
        tile[name] = np.minimum(tile[name], np.maximum(load, tile_work_ns[group]))
    return found


def add_group(shares: Shares, time: GroupTime, weight: Quantity) -> None:
    """Adds the time of a group to what it is spent on: the resource that binds, and what adds to it."""
    top = reduce(np.maximum, time.bound_by.values())
    left, weighted = np.True_, weight * top

    def add(name: str, value: Array) -> None:
        shares[name] = shares[name] + value if name in shares else value

    *others, last = time.bound_by
    for resource in others:
        binds = left & (time.bound_by[resource] == top)
        left = left & ~binds
        add(resource, binds * weighted)
    add(last, left * weighted)
    for name, value in time.added.items():
        add(name, weight * value)
