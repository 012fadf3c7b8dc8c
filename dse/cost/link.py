"""Traffic between the die of an analog core and the host unit's die."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dse.spec.link import Link
from dse.units import BITS_PER_BYTE, Quantity
from dse.workload.blocks import BlockClass


class HandOff(NamedTuple):
    """What one visit of an analog block hands over between the dies."""

    n_bytes: Quantity
    """Bytes that cross, both ways [byte]."""
    host_additions: Quantity
    """Additions that the host unit makes."""
    die_additions: Quantity
    """Additions that the adders of the analog die make."""


def distinct_dies(*, n_dies: Quantity, choices: Quantity, chance: Quantity = 1.0) -> Quantity:
    """Expected number of different dies that hold one of a token's experts [-].

    ``D · (1 − (1 − c/D)^k)``: k experts, each with the chance c on one of D dies at random, else elsewhere. With packed
    slices the evaluation counts them.

    >>> distinct_dies(n_dies=4, choices=8)
    3.5995...
    """
    return n_dies * (1 - (1 - chance / n_dies) ** choices)


def hand_off(
    block_class: BlockClass,
    link: Link | None,
    *,
    rows: Quantity,
    cols: Quantity,
    activation_bits: int,
    adc_bits: Quantity,
    sharing: Quantity,
) -> HandOff:
    """What one visit of an analog block hands over between its die and the host unit.

    In: one vector per depth of the block (gate and up share theirs); with ``broadcast`` the first of them counts
    ``sharing``, because the experts of a token on one die share it. Out, ``reduce: host``: the output of every row
    slice, ``adc_bits`` wide, added on the host unit. Out, ``reduce: die``: one sum per output, as wide as an
    activation; the last one counts ``sharing``, because the experts of a token on one die are added there.

    Args:
        block_class: class of the block; its slices are taken to sit on one die.
        link: the link; None where both are on one die and no byte crosses.
        rows: rows of a crossbar.
        cols: columns of a crossbar.
        activation_bits: bits of an input, and of a sum.
        adc_bits: bits of an output of a crossbar.
        sharing: dies per chosen expert; see ``crossings_per_visit``.
    """
    last = block_class.path_length - 1
    inputs: dict[int, Quantity] = {m.depth: np.float64(m.n_in) for m in block_class.matrices}
    additions = block_class.n_partial_sums(rows=rows, cols=cols) * cols
    if link is None:
        return HandOff(0.0, additions, 0.0)
    inputs[0] = inputs[0] * (sharing if link.broadcast else 1.0)
    to_tiles = sum(inputs.values(), np.float64(0)) * activation_bits
    if link.reduce == "host":
        outputs = sum((np.ceil(m.n_in / rows) * m.n_out for m in block_class.matrices), np.float64(0))
        return HandOff((to_tiles + outputs * adc_bits) / BITS_PER_BYTE, additions, np.float64(0))
    sums = sum((m.n_out * (sharing if m.depth == last else 1.0) for m in block_class.matrices), np.float64(0))
    joined = sum((m.n_out * np.maximum(1 - sharing, 0) for m in block_class.matrices if m.depth == last), np.float64(0))
    return HandOff((to_tiles + sums * activation_bits) / BITS_PER_BYTE, np.float64(0), additions + joined)


def crossings_per_visit(block_class: BlockClass, *, n_dies: Quantity, top_k: int) -> Quantity:
    """Dies that hold one of a token's k experts, per expert [-]; 1 for a block of its own.

    ``D · (1 − (1 − 1/D)^k) / k``. Right when all k are analog; with fewer of them it is a lower end, because they share
    less: a mapping program sees this one, the evaluation that of the mapping.
    """
    if block_class.kind != "expert":
        return 1.0
    return distinct_dies(n_dies=n_dies, choices=top_k) / top_k


def crossings(block_class: BlockClass) -> int:
    """Times a visit crosses the link one after the other: there and back for every depth."""
    return 2 * block_class.path_length
