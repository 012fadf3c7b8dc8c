"""CostTable: what one visit of one block class costs under each option, with every number openable."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dse.cost.capacity import capacity_units
from dse.cost.option import (
    ACTIVATION_COMPONENTS,
    VISIT_COMPONENTS,
    Option,
    OptionCost,
    host_unit,
    is_allowed,
    list_options,
    option_cost,
)
from dse.cost.power import standing_power_mw
from dse.cost.tile import tiles_of
from dse.spec.architecture import AnalogCore, Architecture, DigitalUnit
from dse.spec.values import n_points
from dse.units import Quantity
from dse.workload.blocks import BlockClass
from dse.workload.build import Workload
from dse.workload.steps import Step, all_steps

# P design points, B block classes, O options

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class CostTable:
    """Costs of shape (P, B, O); an option is (group, precision, copies).

    The time of a group in a stage of n tokens is
    ``max(max_b path_ns, Σ n·λ_b·compute_ns_per_visit, Σ P_b·fetch_ns_per_activation,
    Σ n·λ_b·buffer_ns_per_visit + Σ P_b·held_ns_per_activation) + max_b fixed_ns
    + Σ n·λ_b·link_ns_per_visit + Σ P_b·launch_ns_per_activation`` over the blocks b placed there; partial sums of
    analog blocks add ``Σ n·λ_b·host_ns_per_visit`` to the compute time of the host unit, and vector work its time.
    """

    classes: tuple[BlockClass, ...]
    options: tuple[Option, ...]
    allowed: NDArray[np.bool_]
    """(B, O): whether the class may be placed so."""
    upkeep_pj_per_step: Array
    """Least energy of a step that a placed block adds whether it is visited or not: gating of its tiles [pJ]."""
    visit_parts_pj: Mapping[str, Array]
    """Component → energy of one token's visit [pJ], (P, B, O)."""
    activation_parts_pj: Mapping[str, Array]
    """Component → energy once per step in which the block is active [pJ], (P, B, O)."""
    compute_ns_per_visit: Array
    """Busy time of the whole group per visit [ns]; analog: the fluid load crossbars · MVM latency / tiles."""
    fetch_ns_per_activation: Array
    """Time to read the block's weights from memory once [ns]."""
    buffer_ns_per_visit: Array
    """Time of the on-chip buffer per visit: activations in and out [ns]."""
    held_ns_per_activation: Array
    """Time of the on-chip buffer to read the weights it holds once [ns]."""
    path_ns: Array
    """Time of the dependent matrices of one visit [ns]; 0 on digital units."""
    fixed_ns: Array
    """Kernel launches, or crossings of the link, once per stage [ns]."""
    launch_ns_per_activation: Array
    """Kernel launches of one active block [ns]; 0 where one launch serves all blocks of a stage."""
    link_ns_per_visit: Array
    """Time on the link per visit [ns]."""
    host_ns_per_visit: Array
    """Time on the host unit per visit: partial sums [ns]."""
    units: Array
    """Capacity units of one block: crossbars on analog groups, bytes on digital ones."""
    bytes: Array
    """Bytes read from memory per activation [byte]; 0 on analog groups."""
    resource: Mapping[str, str]
    """Group → resource whose units it takes: an analog group its own crossbars, a digital one its memory."""
    capacity_units: Mapping[str, Array]
    """Resource → units there are for blocks (P,); memory after KV cache, activations and embedding."""
    is_analog: Mapping[str, bool]
    """Group → whether it is analog."""
    host: str
    """Digital unit that runs attention scores, routing and partial sums."""
    standing_power_mw: Array
    """(P,): idle power, and the full power of a flat-power host, drawn for the whole step [mW]."""

    @property
    def n_points(self) -> int:
        """Design points."""
        return len(self.units)

    @property
    def energy_pj_per_visit(self) -> Array:
        """Energy of one token's visit, all components [pJ], (P, B, O)."""
        return sum(self.visit_parts_pj.values(), np.zeros_like(self.units))

    @property
    def energy_pj_per_activation(self) -> Array:
        """Energy once per step in which the block is active, all components [pJ], (P, B, O)."""
        return sum(self.activation_parts_pj.values(), np.zeros_like(self.units))

    def frame(self, point: int = 0) -> pd.DataFrame:
        """One row per block class and option of one design point."""
        columns = (
            "energy_pj_per_visit", "energy_pj_per_activation", "compute_ns_per_visit", "fetch_ns_per_activation",
            "buffer_ns_per_visit", "held_ns_per_activation", "path_ns", "fixed_ns", "launch_ns_per_activation",
            "link_ns_per_visit", "host_ns_per_visit",
            "units", "bytes",
        )  # fmt: skip
        arrays = {name: getattr(self, name)[point] for name in columns}
        rows = [
            {"kind": c.kind, "group": o.group, "precision": o.precision, "copies": o.copies}
            | {name: float(array[b, i]) for name, array in arrays.items()}
            for b, c in enumerate(self.classes)
            for i, o in enumerate(self.options)
            if self.allowed[b, i]
        ]
        return pd.DataFrame(rows)


def cost_table(arch: Architecture, workload: Workload, *, only: Collection[tuple[int, int]] | None = None) -> CostTable:
    """Costs of every block class under every option, for each design point of the architecture and workload.

    What a visit costs is the same in all steps of a workload; of its capacities the least counts.

    Args:
        arch: architecture, of one or many design points.
        workload: workload, of one or as many design points.
        only: (class, option) pairs that are asked for; the others are left at 0. None: all.

    Raises:
        SpecError: a digital unit lists no peak rate wide enough for the numbers it must compute with.
    """
    steps = all_steps(workload)
    options, tiles = list_options(arch), tiles_of(arch)
    rows = [
        [
            option_cost(arch, steps[0].workload, c, o, tiles) if only is None or (b, i) in only else OptionCost()
            for i, o in enumerate(options)
        ]
        for b, c in enumerate(workload.classes)
    ]
    entries = Entries(rows, max(n_points(arch), n_points(workload)))
    groups: tuple[AnalogCore | DigitalUnit, ...] = (*arch.analog_cores, *arch.digital_units)
    return CostTable(
        classes=workload.classes,
        options=options,
        allowed=np.array([[is_allowed(arch, steps[0].workload, c, o) for o in options] for c in workload.classes]),
        upkeep_pj_per_step=entries.array(lambda e: e.upkeep_pj),
        visit_parts_pj=entries.parts(lambda e: e.visit_pj, VISIT_COMPONENTS),
        activation_parts_pj=entries.parts(lambda e: e.activation_pj, ACTIVATION_COMPONENTS),
        compute_ns_per_visit=entries.array(lambda e: e.compute_ns),
        fetch_ns_per_activation=entries.array(lambda e: e.fetch_ns),
        buffer_ns_per_visit=entries.array(lambda e: e.buffer_ns),
        held_ns_per_activation=entries.array(lambda e: e.held_ns),
        path_ns=entries.array(lambda e: e.path_ns),
        fixed_ns=entries.array(lambda e: e.fixed_ns),
        launch_ns_per_activation=entries.array(lambda e: e.launch_ns),
        link_ns_per_visit=entries.array(lambda e: e.link_ns),
        host_ns_per_visit=entries.array(lambda e: e.host_ns),
        units=entries.array(lambda e: e.units),
        bytes=entries.array(lambda e: e.n_bytes),
        resource={g.name: g.memory if isinstance(g, DigitalUnit) else g.name for g in groups},
        capacity_units={name: entries.spread(value) for name, value in least_capacity(arch, steps).items()},
        is_analog={g.name: not isinstance(g, DigitalUnit) for g in groups},
        host=host_unit(arch).name,
        standing_power_mw=entries.spread(standing_power_mw(arch)),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Entries:
    """Costs of every block class under every option, before they become arrays."""

    rows: list[list[OptionCost]]
    """A row per block class, in it an entry per option."""
    points: int

    def array(self, number: Callable[[OptionCost], Quantity]) -> Array:
        """One number of every entry, (P, B, O); a view without copies where all designs share it."""
        cells = [[np.asarray(number(e), np.float64) for e in row] for row in self.rows]
        is_shared = all(c.ndim == 0 for row in cells for c in row)
        table = np.zeros((len(cells), len(cells[0]), 1 if is_shared else self.points))
        for b, row in enumerate(cells):
            for i, cell in enumerate(row):
                if cell.ndim or cell:
                    table[b, i] = cell
        return np.moveaxis(np.broadcast_to(table, (*table.shape[:2], self.points)), 2, 0)

    def parts(self, of: Callable[[OptionCost], Mapping[str, Quantity]], order: Iterable[str]) -> dict[str, Array]:
        """Component → its energy in every entry, (P, B, O); components that no entry has are left out."""
        present = {component for row in self.rows for e in row for component in of(e)}
        return {c: self.array(lambda e, c=c: of(e).get(c, 0.0)) for c in order if c in present}  # type: ignore[misc]

    def spread(self, value: Quantity) -> Array:
        """A number of the whole architecture, (P,)."""
        return np.broadcast_to(np.asarray(value, np.float64), (self.points,))


def cell(table: Array, block_class: int, option: int) -> Quantity:
    """The entry of one class and option: one number where all designs share the table, else (P,)."""
    return float(table[0, block_class, option]) if table.strides[0] == 0 else table[:, block_class, option]


def is_some(value: Quantity) -> bool:
    """Whether any entry is not 0; asks the first alone where that will do."""
    array = np.asarray(value, dtype=np.float64)
    return bool(array.flat[0]) or bool(array.any())


def plus(total: Array, count: Quantity, price: Quantity) -> Array:
    """``total + count · price``; the total itself where the price is one number and 0."""
    return np.asarray(total + count * price) if np.ndim(price) or price else total


def least_capacity(arch: Architecture, steps: Sequence[Step]) -> dict[str, Quantity]:
    """Resource → capacity for blocks in the step that leaves least of it."""
    found = [capacity_units(arch, step.workload) for step in steps]
    return {name: reduce(np.minimum, [units[name] for units in found]) for name in found[0]}
