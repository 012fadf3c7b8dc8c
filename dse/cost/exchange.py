"""Exchange between the dies of one digital group, whose weights are split over all of them."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from dse.cost.memory import transfer_ns, transfer_pj
from dse.spec.architecture import Architecture, FlatPower
from dse.spec.digital_unit import DigitalUnit
from dse.units import BITS, BITS_PER_BYTE, Quantity
from dse.workload.blocks import BlockClass, BlockKind
from dse.workload.build import Workload

EXCHANGE: Final = "exchange"
"""Component of the energy that it is booked on."""
ALL_REDUCED: Final[frozenset[BlockKind]] = frozenset({"attention", "shared", "ffn"})
"""Blocks whose matrices are split over the dies, so that each die has a share of every output."""
CROSSINGS: Final = 2
"""One after the other: reduce-scatter and all-gather, or dispatch and combine."""


class Exchange(NamedTuple):
    """What one visit of a block exchanges between the dies of its group."""

    time_ns: Quantity
    latency_ns: Quantity
    """Once per stage."""
    energy_pj: Quantity


NOTHING: Final = Exchange(0.0, 0.0, 0.0)


def all_reduce_bytes(*, n_dies: Quantity, n_bytes: Quantity) -> Quantity:
    """Bytes that each die sends to sum a vector over all dies [byte]: ``2 (D − 1) / D`` vectors.

    Ring or reduce-scatter and all-gather; switches that add on the way need half of it.

    >>> all_reduce_bytes(n_dies=8, n_bytes=4096)
    7168.0
    """
    return 2 * (n_dies - 1) / n_dies * n_bytes


def all_to_all_bytes(*, n_dies: Quantity, n_bytes: Quantity) -> Quantity:
    """Bytes that each die sends to hand a token's vector to its expert's die and the output back [byte].

    ``2 (D − 1) / D²`` vectors a visit: tokens and experts are spread evenly over the dies, one in D stays where it is.

    >>> all_to_all_bytes(n_dies=8, n_bytes=4096)
    896.0
    """
    return 2 * (n_dies - 1) / n_dies**2 * n_bytes


def exchange_cost(arch: Architecture, workload: Workload, block_class: BlockClass, unit: DigitalUnit) -> Exchange:
    """Exchange of one visit; nothing on a single die, and where no link joins the dies of the group.

    The router's choice and the head's sampled token are a few bytes and count as nothing.
    """
    link = arch.link_between(unit.die, unit.die)
    if link is None or block_class.kind not in {*ALL_REDUCED, "expert"}:
        return NOTHING
    n_dies = np.asarray(arch.die(unit.die).count, np.float64)
    vector = workload.model.d_model * BITS[workload.scenario.precision.activations] / BITS_PER_BYTE
    moved = all_to_all_bytes if block_class.kind == "expert" else all_reduce_bytes
    per_die = moved(n_dies=n_dies, n_bytes=vector)
    is_flat = isinstance(unit.energy, FlatPower)
    return Exchange(
        time_ns=transfer_ns(n_bytes=per_die, bandwidth_bytes_per_ns=link.bandwidth_bytes_per_ns),
        latency_ns=exchange_latency_ns(arch, unit),
        energy_pj=0.0 * per_die
        if is_flat
        else transfer_pj(n_bytes=n_dies * per_die, energy_pj_per_bit=link.energy_pj_per_bit),
    )


def exchange_latency_ns(arch: Architecture, unit: DigitalUnit) -> Quantity:
    """Latency of one exchange of a group [ns]; 0 on one die."""
    link = arch.link_between(unit.die, unit.die)
    return 0.0 if link is None else np.where(np.asarray(arch.die(unit.die).count) > 1, CROSSINGS * link.latency_ns, 0.0)
