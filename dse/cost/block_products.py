"""Products of all matrices of one block on the tiles of a core."""

from __future__ import annotations

from collections import Counter

import numpy as np

from dse.cost.crossbar_components import Use, use_of_all
from dse.cost.tile import MvmCost, Tile
from dse.units import Quantity
from dse.workload.blocks import BlockClass, Matrix


def block_products(tile: Tile, block_class: BlockClass, *, copies: int = 1) -> MvmCost:
    """Cost of one visit of a block: every matrix once, matrices of equal depth side by side, depths in a row.

    Partly filled crossbars cost by what they use, except on a lumped core. ``copies`` work side by side.
    """
    uses: list[tuple[int, Use]] = []
    depths: dict[int, Quantity] = {}
    alike = Counter(Matrix("", matrix.n_in, matrix.n_out, matrix.depth) for matrix in block_class.matrices)
    for matrix, n in alike.items():
        use, latency_ns = tile.matrix(matrix)
        uses.append((copies * n, use))
        depths[matrix.depth] = np.maximum(depths.get(matrix.depth, 0.0), latency_ns)
    total = use_of_all(uses)
    return MvmCost(
        parts_pj=tile.parts_pj(total),
        latency_ns=sum(depths.values(), 0.0),
        busy_ns=total.busy_ns,
        products=total.products,
    )
