"""How unevenly the traffic of a stage falls on the dies that its packed blocks are on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dse.cost.table import CostTable
from dse.evaluation.packed import PackedTiles
from dse.evaluation.profile import Entry
from dse.units import Quantity

# D dies that hold some block of the stage, N blocks

Array = NDArray[np.float64]


def die_imbalance(costs: CostTable, own: Sequence[Entry], tiles: PackedTiles | None, n_dies: Quantity) -> Quantity:
    """Traffic of the busiest die in a stage over the mean of all dies of the group [-]; 1 where nothing is packed.

    ``D · max_die Σ_blocks λ t share / Σ_blocks λ t``: t is a visit's time on links when all dies carry the same, share
    the part of the block's slices that is on the die. Expected visits: how tokens happen to choose is left out.

    Args:
        costs: time on links of a visit.
        own: blocks of the group in the stage.
        tiles: what the mapping's slices put where, used where it holds as many slices.
        n_dies: dies of the group.
    """
    if (
        tiles is None
        or np.all(np.asarray(n_dies) == 1)
        or not set().union(*(e.names for e in own)) <= set(tiles.blocks)
    ):
        return 1.0
    column = {name: at for at, name in enumerate(tiles.blocks)}
    per_die: Quantity = np.zeros((len(tiles.on_dies), 1))
    total: Quantity = 0.0
    placed: Quantity = 0.0
    for entry in own:
        cost, visits = costs.of(*entry.at), entry.visits_per_token
        on_die = tiles.on_dies[:, [column[name] for name in entry.names]] @ visits  # (D, N) @ (N,) -> (D,)
        per_die = per_die + on_die[:, None] * np.asarray(cost.link_ns_per_visit)
        total = total + float(visits.sum()) * cost.link_ns_per_visit
        placed = placed + entry.n_blocks * cost.units
    known = (np.asarray(placed) == tiles.n_slices) & (np.asarray(total) > 0)
    found = n_dies * np.max(per_die, axis=0) / np.where(known, total, 1.0)
    return np.where(known, found, 1.0) if np.ndim(found) and len(found) > 1 else float(np.where(known, found, 1.0)[0])
