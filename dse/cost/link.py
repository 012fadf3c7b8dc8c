"""Traffic between the die of an analog core and the host unit's die."""

from __future__ import annotations

import numpy as np

from dse.units import BITS_PER_BYTE, Quantity
from dse.workload.blocks import BlockClass


def bytes_per_visit(
    block_class: BlockClass, *, rows: Quantity, cols: Quantity, activation_bits: int, adc_bits: Quantity
) -> Quantity:
    """Bytes that one visit of an analog block sends and returns [byte].

    To the tiles: one input vector per depth of the block (gate and up share theirs). Back: the output of every
    row slice, ``adc_bits`` wide, because partial sums are added on the host unit. A block's slices are taken to
    sit on one die, so a vector crosses once.
    """
    inputs = {m.depth: m.n_in for m in block_class.matrices}
    outputs = sum((np.ceil(m.n_in / rows) * m.n_out for m in block_class.matrices), np.float64(0))
    return (sum(inputs.values()) * activation_bits + outputs * adc_bits) / BITS_PER_BYTE


def crossings(block_class: BlockClass) -> int:
    """Times a visit crosses the link one after the other: there and back for every depth."""
    return 2 * block_class.path_length
