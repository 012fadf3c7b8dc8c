"""An option of a block: where it could be placed and how, and what a visit costs there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from dse.cost.block_products import block_products
from dse.cost.buffer import BUFFER, buffer_cost
from dse.cost.crossbar_components import COMPONENTS
from dse.cost.digital import (
    compute_precision,
    operations_energy_pj,
    stored_bits,
    unit_compute_ns,
    unit_fetch_ns,
    unit_vector_ns,
)
from dse.cost.exchange import EXCHANGE, exchange_cost
from dse.cost.gating import least_upkeep_pj, wake_ns
from dse.cost.memory import transfer_pj
from dse.cost.tile import LUMPED, Tile
from dse.cost.traffic import TRAFFIC_COMPONENTS, traffic_cost
from dse.errors import Problem, SpecError
from dse.spec.architecture import Architecture, DigitalUnit, FlatPower
from dse.units import BITS, BITS_PER_BYTE, Precision, Quantity
from dse.workload.blocks import BlockClass, BlockKind
from dse.workload.build import Workload

VISIT_COMPONENTS: Final = (
    LUMPED, *COMPONENTS, "partial sums", *TRAFFIC_COMPONENTS, "digital compute", BUFFER, EXCHANGE,
)  # fmt: skip
ACTIVATION_COMPONENTS: Final = ("weight memory", BUFFER)

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
    """Cost of one block class under one option; numbers or one per design point."""

    visit_pj: Mapping[str, Quantity] = field(default_factory=dict)
    activation_pj: Mapping[str, Quantity] = field(default_factory=dict)
    compute_ns: Quantity = 0.0
    fetch_ns: Quantity = 0.0
    buffer_ns: Quantity = 0.0
    held_ns: Quantity = 0.0
    path_ns: Quantity = 0.0
    fixed_ns: Quantity = 0.0
    launch_ns: Quantity = 0.0
    link_ns: Quantity = 0.0
    host_ns: Quantity = 0.0
    units: Quantity = 0.0
    n_bytes: Quantity = 0.0
    upkeep_pj: Quantity = 0.0

    def numbers(self) -> Iterator[Quantity]:
        """All numbers of the option."""
        yield from self.visit_pj.values()
        yield from self.activation_pj.values()
        yield from (self.compute_ns, self.fetch_ns, self.path_ns, self.fixed_ns, self.link_ns, self.host_ns)
        yield from (self.buffer_ns, self.held_ns, self.launch_ns, self.units, self.n_bytes, self.upkeep_pj)


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
    core, host, products = tile.core, host_unit(arch), block_products(tile, block_class)
    traffic = traffic_cost(arch, workload, block_class, core, host, copies=copies)
    visit_pj = {name: copies * part for name, part in products.parts_pj.items()}
    host_ns, visit_pj["partial sums"] = additions_cost(arch, workload, ops=traffic.host_additions)
    return OptionCost(
        visit_pj=visit_pj | traffic.energy_pj,
        compute_ns=copies * products.busy_ns / arch.n_tiles(core),
        path_ns=products.latency_ns,
        fixed_ns=traffic.latency_ns + wake_ns(core),
        link_ns=traffic.time_ns,
        host_ns=host_ns,
        units=copies * block_class.n_crossbars(rows=core.rows, cols=core.cols),
        upkeep_pj=copies * least_upkeep_pj(arch, workload, core, block_class, products.latency_ns),
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
    visit_pj = {
        "digital compute": operations_energy_pj(unit, ops=ops, precision=used),
        EXCHANGE: exchange.energy_pj,
    }
    activation_pj = {"weight memory": fetch_pj}
    if unit.buffer is not None:
        visit_pj[BUFFER], activation_pj[BUFFER] = buffer.visit_pj, buffer.activation_pj
    return OptionCost(
        visit_pj=visit_pj,
        activation_pj=activation_pj,
        compute_ns=unit_compute_ns(arch, unit, ops=ops, precision=used),
        fetch_ns=unit_fetch_ns(arch, unit, n_bytes=fetched),
        buffer_ns=buffer.visit_ns,
        held_ns=buffer.activation_ns,
        fixed_ns=(0.0 if is_launched_apart else launch_ns) + exchange.latency_ns,
        launch_ns=launch_ns if is_launched_apart else 0.0,
        link_ns=exchange.time_ns,
        units=n_bytes,
        n_bytes=fetched,
    )
