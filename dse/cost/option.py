"""An option of a block: where it could be placed and how, and what a visit costs there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from dse.cost.block_products import block_products
from dse.cost.buffer import BUFFER, buffer_cost
from dse.cost.digital import (
    compute_precision,
    operations_energy_pj,
    stored_bits,
    unit_compute_ns,
    unit_fetch_ns,
    unit_vector_ns,
)
from dse.cost.digital_hand_off import digital_hand_off
from dse.cost.exchange import EXCHANGE, exchange_cost
from dse.cost.gating import least_upkeep_pj, wake_ns
from dse.cost.memory import transfer_pj
from dse.cost.tile import Tile
from dse.cost.traffic import traffic_cost
from dse.errors import Problem, SpecError
from dse.spec.architecture import Architecture, DigitalUnit, FlatPower
from dse.units import BITS, BITS_PER_BYTE, Precision, Quantity
from dse.workload.blocks import BlockClass, BlockKind
from dse.workload.build import Workload

KERNELS: Final[Mapping[BlockKind, int]] = {
    "attention": 3, "router": 1, "expert": 2, "shared": 2, "ffn": 2, "head": 1, "embedding": 0,
}  # fmt: skip
"""Kernels launched per stage: query-key-value, scores, output | gate-up, down (grouped over experts) | one."""


class Option(NamedTuple):
    """Where a block is: core group, format of its weights (``analog`` on tiles), number of copies."""

    group: str
    precision: Precision | Literal["analog"]
    copies: int = 1


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class OptionCost:
    """Cost of one block class under one option; numbers, or one per design point."""

    visit_parts_pj: Mapping[str, Quantity] = field(default_factory=dict)
    """Component → energy of one token's visit [pJ]."""
    activation_parts_pj: Mapping[str, Quantity] = field(default_factory=dict)
    """Component → energy once per step in which the block is active [pJ]."""
    upkeep_pj_per_step: Quantity = 0.0
    """Least energy of a step that a placed block adds whether it is visited or not: gating of its tiles [pJ]."""
    compute_ns_per_visit: Quantity = 0.0
    """Busy time of the whole group per visit [ns]; analog: the fluid load crossbars · MVM latency / tiles."""
    fetch_ns_per_activation: Quantity = 0.0
    """Time to read the block's weights from memory once [ns]."""
    buffer_ns_per_visit: Quantity = 0.0
    """Time of the on-chip buffer per visit: activations in and out [ns]."""
    held_ns_per_activation: Quantity = 0.0
    """Time of the on-chip buffer to read the weights it holds once [ns]."""
    path_ns: Quantity = 0.0
    """Time of the dependent matrices of one visit [ns]; 0 on digital units."""
    fixed_ns: Quantity = 0.0
    """Kernel launches and crossings of links, once per stage [ns]."""
    crossing_ns: Quantity = 0.0
    """Its part that a digital group takes for crossings of links [ns]."""
    launch_ns_per_activation: Quantity = 0.0
    """Kernel launches of one active block [ns]; 0 where one launch serves all blocks of a stage."""
    link_ns_per_visit: Quantity = 0.0
    """Time on the link per visit [ns]."""
    host_ns_per_visit: Quantity = 0.0
    """Time on the host unit per visit: partial sums [ns]."""
    units: Quantity = 0.0
    """Capacity units of one block: crossbars on analog groups, bytes on digital ones."""
    bytes: Quantity = 0.0
    """Bytes read from memory per activation [byte]; 0 on analog groups."""

    @property
    def energy_pj_per_visit(self) -> Quantity:
        """Energy of one token's visit, all components [pJ]."""
        return sum(self.visit_parts_pj.values(), 0.0)

    @property
    def energy_pj_per_activation(self) -> Quantity:
        """Energy once per step in which the block is active, all components [pJ]."""
        return sum(self.activation_parts_pj.values(), 0.0)


def host_unit(arch: Architecture) -> DigitalUnit:
    """The digital unit that runs attention scores, routing and partial sums: the first one.

    Raises:
        SpecError: the architecture is a macro without one.
    """
    if not arch.digital_units:
        message = (
            f"{arch.name} is a macro without a digital unit, so no model runs on it; `dse core` shows its datasheet, "
            "and an architecture of it needs digital_units, memories and links"
        )
        raise SpecError([Problem(message, path="digital_units")])
    return arch.digital_units[0]


def list_options(arch: Architecture) -> tuple[Option, ...]:
    """All options of an architecture: every analog group in each number of copies, every unit at each precision."""
    analog = [Option(core.name, "analog", n) for core in arch.analog_cores for n in dict.fromkeys(core.copies)]
    return (*analog, *(Option(u.name, p) for u in arch.digital_units for p in u.precisions))


def is_allowed(arch: Architecture, workload: Workload, block_class: BlockClass, option: Option) -> bool:
    """Whether a class may be placed so: the embedding on the host only, dense blocks at one precision."""
    if option.precision == "analog":
        return block_class.kind != "embedding"
    if block_class.kind == "embedding":
        return option.group == host_unit(arch).name
    return block_class.kind == "expert" or option.precision == dense_precision(arch.unit(option.group), workload)


def dense_precision(unit: DigitalUnit, workload: Workload) -> Precision:
    """Format of dense weights on a unit: the scenario's if the unit lists it, else the widest it lists."""
    wanted = workload.scenario.precision.weights
    return wanted if wanted in unit.precisions else max(unit.precisions, key=lambda p: BITS[p])


def option_cost(
    arch: Architecture, workload: Workload, block_class: BlockClass, option: Option, tiles: Mapping[str, Tile]
) -> OptionCost:
    """Cost of a class under an option; ``tiles`` holds the tile of every analog group."""
    if option.precision == "analog":
        return analog_cost(arch, workload, block_class, tiles[option.group], copies=option.copies)
    return digital_cost(arch, workload, block_class, arch.unit(option.group), option.precision)


def analog_cost(
    arch: Architecture, workload: Workload, block_class: BlockClass, tile: Tile, *, copies: int = 1
) -> OptionCost:
    """Cost on an analog group: products on the tiles, traffic to the host unit, partial sums, gating.

    Every visit uses all ``copies``, which work side by side; the host adds their outputs up.
    """
    core, host, products = tile.core, host_unit(arch), block_products(tile, block_class, copies=copies)
    traffic = traffic_cost(arch, workload, block_class, core, host, copies=copies)
    host_ns, additions_pj = additions_cost(arch, workload, ops=traffic.host_additions)
    return OptionCost(
        visit_parts_pj={**products.parts_pj, "partial sums": additions_pj, **traffic.energy_pj},
        compute_ns_per_visit=products.busy_ns / arch.n_tiles(core),
        path_ns=products.latency_ns,
        fixed_ns=traffic.latency_ns + wake_ns(core),
        link_ns_per_visit=traffic.time_ns,
        host_ns_per_visit=host_ns,
        units=products.products,
        upkeep_pj_per_step=copies * least_upkeep_pj(arch, workload, core, block_class, products.latency_ns),
    )


def additions_cost(arch: Architecture, workload: Workload, *, ops: Quantity) -> tuple[Quantity, Quantity]:
    """Time [ns] and energy [pJ] of additions on the host: on its vector lanes, or at its matrix rate without them."""
    host, activations = host_unit(arch), workload.scenario.precision.activations
    if host.vector is None:
        precision = compute_precision(host, weights=activations, activations=activations)
        energy = operations_energy_pj(host, ops=ops, precision=precision)
        return unit_compute_ns(arch, host, ops=ops, precision=precision), energy
    is_flat = isinstance(host.energy, FlatPower)
    return unit_vector_ns(arch, host, ops=ops), 0.0 * ops if is_flat else ops * host.vector.op_pj


def digital_cost(
    arch: Architecture, workload: Workload, block_class: BlockClass, unit: DigitalUnit, precision: Precision
) -> OptionCost:
    """Cost on a digital unit: two operations per weight and visit, all weights read once per activation.

    What the buffer holds of dense weights is read there instead of from memory.

    ``kernels: per_expert`` starts the kernels of an expert once per activation, one expert after the other.
    """
    if block_class.kind == "embedding":
        return OptionCost(units=0.0)
    memory = arch.memory(unit.memory)
    used = compute_precision(unit, weights=precision, activations=workload.scenario.precision.activations)
    ops = 2.0 * block_class.n_weights
    n_bytes = block_class.n_weights * stored_bits(unit, precision) / BITS_PER_BYTE
    dense_bits = stored_bits(unit, dense_precision(unit, workload))
    buffer = buffer_cost(arch, workload, block_class, unit, n_bytes=n_bytes, bits_per_weight=dense_bits)
    fetched = (1.0 - buffer.held_fraction) * n_bytes
    launch_ns = KERNELS[block_class.kind] * unit.launch_ns
    is_launched_apart = unit.kernels == "per_expert" and block_class.kind == "expert"
    fetch_pj: Quantity = 0.0
    if not isinstance(unit.energy, FlatPower):
        fetch_pj = transfer_pj(n_bytes=fetched, energy_pj_per_bit=memory.energy_pj_per_bit)
    exchange = exchange_cost(arch, workload, block_class, unit)
    handed = digital_hand_off(arch, workload, block_class, unit, host_unit(arch))
    visit_pj = {"digital compute": operations_energy_pj(unit, ops=ops, precision=used)}
    activation_pj = {"weight memory": fetch_pj}
    if unit.buffer is not None:
        visit_pj[BUFFER], activation_pj[BUFFER] = buffer.visit_pj, buffer.activation_pj
    visit_pj |= {EXCHANGE: exchange.energy_pj, "links": handed.energy_pj}
    return OptionCost(
        visit_parts_pj=visit_pj,
        activation_parts_pj=activation_pj,
        compute_ns_per_visit=unit_compute_ns(arch, unit, ops=ops, precision=used),
        fetch_ns_per_activation=unit_fetch_ns(arch, unit, n_bytes=fetched),
        buffer_ns_per_visit=buffer.visit_ns,
        held_ns_per_activation=buffer.activation_ns,
        fixed_ns=(0.0 if is_launched_apart else launch_ns) + exchange.latency_ns + handed.latency_ns,
        crossing_ns=exchange.latency_ns + handed.latency_ns,
        launch_ns_per_activation=launch_ns if is_launched_apart else 0.0,
        link_ns_per_visit=exchange.time_ns + handed.time_ns,
        units=n_bytes,
        bytes=fetched,
    )
