"""Products of all matrices of one block on the tiles of a core."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from dse.cost.tile import MvmCost, Tile
from dse.units import Quantity
from dse.workload.blocks import BlockClass, Matrix


def block_products(tile: Tile, block_class: BlockClass) -> MvmCost:
    """Cost of one visit of a block: every matrix once, matrices of equal depth side by side, depths in a row.

    Partly filled crossbars cost by what they use, except on a lumped core.
    """
    parts: dict[str, Quantity] = {}
    depths: dict[int, Quantity] = {}
    busy: Quantity = 0.0
    alike: dict[tuple[int, int, int], list[Matrix]] = defaultdict(list)
    for matrix in block_class.matrices:
        alike[matrix.n_in, matrix.n_out, matrix.depth].append(matrix)
    for (_, _, depth), matrices in alike.items():
        one, n = tile.matrix(matrices[0]), len(matrices)
        for part, energy in one.parts_pj.items():
            parts[part] = parts.get(part, 0.0) + n * energy
        depths[depth] = np.maximum(depths.get(depth, 0.0), one.latency_ns)
        busy = busy + n * one.busy_ns
    return MvmCost(parts_pj=parts, latency_ns=sum(depths.values(), 0.0), busy_ns=busy)
