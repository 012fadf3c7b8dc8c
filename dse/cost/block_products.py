"""Products of all matrices of one block on the tiles of a core."""

from __future__ import annotations

import numpy as np

from dse.cost.tile import MvmCost, Tile
from dse.units import Quantity
from dse.workload.blocks import BlockClass


def block_products(tile: Tile, block_class: BlockClass) -> MvmCost:
    """Cost of one visit of a block: every matrix once, matrices of equal depth side by side, depths in a row.

    Partly filled crossbars cost by what they use, except on a lumped core.
    """
    parts: dict[str, Quantity] = {}
    depths: dict[int, Quantity] = {}
    busy: Quantity = 0.0
    for matrix in block_class.matrices:
        one = tile.matrix(matrix)
        for part, energy in one.parts_pj.items():
            parts[part] = parts.get(part, 0.0) + energy
        depths[matrix.depth] = np.maximum(depths.get(matrix.depth, 0.0), one.latency_ns)
        busy = busy + one.busy_ns
    return MvmCost(parts_pj=parts, latency_ns=sum(depths.values(), 0.0), busy_ns=busy)
