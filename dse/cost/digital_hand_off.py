"""Hand-off of vectors between the host unit and a digital unit on another kind of die."""

from __future__ import annotations

import numpy as np

from dse.cost.exchange import NOTHING, Exchange
from dse.cost.memory import transfer_ns, transfer_pj
from dse.spec.architecture import Architecture, FlatPower
from dse.spec.digital_unit import DigitalUnit
from dse.units import BITS, BITS_PER_BYTE, Quantity
from dse.workload.blocks import BlockClass
from dse.workload.build import Workload


def vector_elements(block_class: BlockClass) -> int:
    """Elements that cross for one visit, there and back.

    The input of the first matrices and the outputs of the last one; what lies between stays on the unit. Attention
    scores are the host's: the outputs before the last matrix go there too, and its input comes back.
    """
    last = block_class.path_length - 1
    elements = max(m.n_in for m in block_class.matrices if m.depth == 0)
    elements += sum(m.n_out for m in block_class.matrices if m.depth == last)
    if block_class.kind == "attention":
        elements += sum(m.n_out for m in block_class.matrices if m.depth < last)
        elements += sum(m.n_in for m in block_class.matrices if m.depth == last)
    return elements


def crossings(block_class: BlockClass) -> int:
    """Times a visit crosses the link one after the other: there and back, for attention once more for the scores."""
    return 4 if block_class.kind == "attention" else 2


def digital_hand_off(
    arch: Architecture, workload: Workload, block_class: BlockClass, unit: DigitalUnit, host: DigitalUnit
) -> Exchange:
    """Hand-off of one visit; nothing on the host's own die, and where no link joins the two dies.

    Valid for: every chosen expert gets a vector of its own, and hands its output over on its own.
    """
    link = arch.link_between(unit.die, host.die) if unit.die != host.die else None
    if link is None:
        return NOTHING
    n_bytes = vector_elements(block_class) * BITS[workload.scenario.precision.activations] / BITS_PER_BYTE
    pairs: Quantity = np.asarray(arch.die(unit.die).count, np.float64) * arch.die(host.die).count
    is_covered = any(isinstance(end.energy, FlatPower) for end in (unit, host))
    return Exchange(
        time_ns=transfer_ns(n_bytes=n_bytes, bandwidth_bytes_per_ns=link.bandwidth_bytes_per_ns * pairs),
        latency_ns=crossings(block_class) * link.latency_ns,
        energy_pj=0.0 if is_covered else transfer_pj(n_bytes=n_bytes, energy_pj_per_bit=link.energy_pj_per_bit),
    )
