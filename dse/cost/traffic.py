"""What moving vectors between the host unit and the tiles costs one visit: link between dies, network on the die."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from dse.cost.link import HandOff, crossings, crossings_per_visit, hand_off
from dse.cost.memory import transfer_ns, transfer_pj
from dse.cost.network import network_bytes_per_visit, network_energy_pj, network_paths
from dse.spec.architecture import AnalogCore, Architecture, DigitalUnit, FlatPower, Link
from dse.units import BITS, Quantity
from dse.workload.blocks import BlockClass
from dse.workload.build import Workload

TRAFFIC_COMPONENTS: Final = ("links", "network", "die sums")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TrafficCost:
    """Cost of the traffic of one visit of an analog block."""

    energy_pj: dict[str, Quantity] = field(default_factory=dict)
    """Component → energy [pJ]."""
    busy_ns: Mapping[str, Quantity] = field(default_factory=dict)
    """``link`` and ``network`` → busy time of it, of the network's busiest link [ns]."""
    latency_ns: Quantity = 0.0
    """Crossings and hops, one after the other [ns]."""
    host_additions: Quantity = 0.0
    """Additions that are left to the host unit."""

    @property
    def time_ns(self) -> Quantity:
        """Time of the bytes [ns]: they stream through link and network, so that the slower one binds."""
        return np.asarray(np.maximum.reduce(np.broadcast_arrays(*self.busy_ns.values()))) if self.busy_ns else 0.0

    def with_skew(self, skew: Quantity) -> TrafficCost:
        """The same where the busiest link of the network carries so many times what it does of even traffic."""
        busy_ns = {kind: time * (skew if kind == "network" else 1.0) for kind, time in self.busy_ns.items()}
        return dataclasses.replace(self, busy_ns=busy_ns)


def traffic_cost(
    arch: Architecture,
    workload: Workload,
    block_class: BlockClass,
    core: AnalogCore,
    host: DigitalUnit,
    *,
    sharing: Quantity | None = None,
    copies: int = 1,
) -> TrafficCost:
    """Cost of moving inputs to the tiles of a group and outputs back, for one visit.

    Latency: the crossings of the link, and the hops to the farthest tile, there and back for every depth. Time of the
    bytes: per pair of dies, and per die on the busiest link of its network. A flat-power host covers the link's energy.
    ``sharing``: dies per chosen expert; None: as if all experts of a token were on the group, on dies at random.
    ``copies``: each gets the inputs and sends its outputs, which the host adds up.
    """
    bits = BITS[workload.scenario.precision.activations]
    link = arch.link_between(core.die, host.die) if core.die != host.die else None
    network, dies = arch.network_within(core.die), arch.die(core.die).count
    if sharing is None:
        sharing = crossings_per_visit(block_class, n_dies=dies, top_k=workload.model.top_k)
    handed = hand_off(
        block_class,
        link,
        rows=core.rows,
        cols=core.cols,
        activation_bits=bits,
        adc_bits=core.adc.bits,
        sharing=sharing,
    )
    energy_pj: dict[str, Quantity] = {}
    busy_ns: dict[str, Quantity] = {}
    latency_ns: Quantity = 0.0
    if link is not None:
        bandwidth = link.bandwidth_bytes_per_ns * (dies * arch.die(host.die).count)
        busy_ns["link"] = transfer_ns(n_bytes=handed.n_bytes, bandwidth_bytes_per_ns=bandwidth)
        latency_ns = crossings(block_class) * link.latency_ns
        energy_pj |= link_energy_pj(link, handed, is_covered=isinstance(host.energy, FlatPower))
    if network is not None:
        n_bytes = network_bytes_per_visit(
            block_class, rows=core.rows, cols=core.cols, activation_bits=bits, adc_bits=core.adc.bits
        )
        paths = network_paths(arch, network)
        load = n_bytes * paths.worst_load_fraction
        busy_ns["network"] = transfer_ns(n_bytes=load, bandwidth_bytes_per_ns=network.bandwidth_bytes_per_ns * dies)
        latency_ns = latency_ns + crossings(block_class) * paths.worst_hops * network.hop_ns
        energy_pj["network"] = network_energy_pj(
            n_bytes=n_bytes, hops=paths.mean_hops, energy_pj_per_bit_hop=network.energy_pj_per_bit_hop
        )
    averaged = (copies - 1) * sum(matrix.n_out for matrix in block_class.matrices)
    return TrafficCost(
        energy_pj={name: copies * energy for name, energy in energy_pj.items()},
        busy_ns={name: copies * time for name, time in busy_ns.items()},
        latency_ns=latency_ns,
        host_additions=copies * handed.host_additions + averaged,
    )


def link_energy_pj(link: Link, handed: HandOff, *, is_covered: bool) -> dict[str, Quantity]:
    """Energy of the crossing bytes and of the adders of the analog die [pJ] by component."""
    found: dict[str, Quantity] = {}
    if not is_covered:
        found["links"] = transfer_pj(n_bytes=handed.n_bytes, energy_pj_per_bit=link.energy_pj_per_bit)
    if link.add_pj is not None and link.reduce == "die":
        found["die sums"] = handed.die_additions * link.add_pj
    return found
