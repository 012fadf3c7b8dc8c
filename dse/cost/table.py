"""CostTable: what one visit of one block class costs under each option, with every number openable."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dse.cost.capacity import capacity_units
from dse.cost.option import Option, OptionCost, host_unit, is_allowed, list_options, option_cost
from dse.cost.power import standing_power_mw
from dse.cost.tile import tiles_of
from dse.spec.architecture import AnalogCore, Architecture, DigitalUnit
from dse.spec.provenance import placed
from dse.spec.values import n_points
from dse.units import Quantity, at_point
from dse.workload.blocks import BlockClass
from dse.workload.build import Workload
from dse.workload.steps import Step, all_steps

# P design points, B block classes, O options

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class CostTable:
    """What every block class costs under every option; an option is (group, precision, copies).

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
    entries: tuple[tuple[OptionCost, ...], ...]
    """Class by class, the cost under each option."""
    n_points: int
    """Design points."""
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

    def table(self, number: Callable[[OptionCost], Quantity], point: int = 0) -> Array:
        """One number of every entry for one design point, (B, O)."""
        return np.array([[at_point(number(cost), point) for cost in row] for row in self.entries])

    def array(self, number: Callable[[OptionCost], Quantity]) -> Array:
        """One number of every entry for every design point, (P, B, O); made anew at every call."""
        spread = [[np.broadcast_to(number(cost), (self.n_points,)) for cost in row] for row in self.entries]
        return np.moveaxis(np.array(spread, dtype=np.float64), 2, 0)

    @property
    def energy_pj_per_visit(self) -> Array:
        """Energy of one token's visit [pJ], (P, B, O)."""
        return self.array(lambda cost: cost.energy_pj_per_visit)

    @property
    def energy_pj_per_activation(self) -> Array:
        """Energy once per step in which a block is active [pJ], (P, B, O)."""
        return self.array(lambda cost: cost.energy_pj_per_activation)

    @property
    def compute_ns_per_visit(self) -> Array:
        """Busy time of the whole group per visit [ns], (P, B, O); analog: crossbars · MVM latency / tiles."""
        return self.array(lambda cost: cost.compute_ns_per_visit)

    @property
    def fetch_ns_per_activation(self) -> Array:
        """Time to read a block's weights from memory once [ns], (P, B, O)."""
        return self.array(lambda cost: cost.fetch_ns_per_activation)

    @property
    def units(self) -> Array:
        """Capacity units of one block, (P, B, O): crossbars on analog groups, bytes on digital ones."""
        return self.array(lambda cost: cost.units)

    @property
    def bytes(self) -> Array:
        """Bytes read from memory per activation [byte], (P, B, O); 0 on analog groups."""
        return self.array(lambda cost: cost.bytes)

    def of(self, block_class: int, option: int) -> OptionCost:
        """Cost of one class under one option."""
        return self.entries[block_class][option]

    def frame(self, point: int = 0) -> pd.DataFrame:
        """One row per block class and option of one design point."""
        columns = (
            "energy_pj_per_visit", "energy_pj_per_activation", "compute_ns_per_visit", "fetch_ns_per_activation",
            "buffer_ns_per_visit", "held_ns_per_activation", "path_ns", "fixed_ns", "launch_ns_per_activation",
            "link_ns_per_visit", "host_ns_per_visit",
            "units", "bytes",
        )  # fmt: skip
        rows = [
            {"kind": c.kind, "group": o.group, "precision": o.precision, "copies": o.copies}
            | {name: at_point(getattr(self.of(b, i), name), point) for name in columns}
            for b, c in enumerate(self.classes)
            for i, o in enumerate(self.options)
            if self.allowed[b, i]
        ]
        return pd.DataFrame(rows)

    def _repr_html_(self) -> str:
        return str(self.frame().to_html(index=False))


@placed
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
    entries = tuple(
        tuple(
            option_cost(arch, steps[0].workload, c, o, tiles) if only is None or (b, i) in only else OptionCost()
            for i, o in enumerate(options)
        )
        for b, c in enumerate(workload.classes)
    )
    points = max(n_points(arch), n_points(workload))

    def spread(value: Quantity) -> Array:
        return np.broadcast_to(np.asarray(value, np.float64), (points,))

    groups: tuple[AnalogCore | DigitalUnit, ...] = (*arch.analog_cores, *arch.digital_units)
    return CostTable(
        classes=workload.classes,
        options=options,
        allowed=np.array([[is_allowed(arch, steps[0].workload, c, o) for o in options] for c in workload.classes]),
        entries=entries,
        n_points=points,
        resource={g.name: g.memory if isinstance(g, DigitalUnit) else g.name for g in groups},
        capacity_units={name: spread(value) for name, value in least_capacity(arch, steps).items()},
        is_analog={g.name: not isinstance(g, DigitalUnit) for g in groups},
        host=host_unit(arch).name,
        standing_power_mw=spread(standing_power_mw(arch)),
    )


def is_some(value: Quantity) -> bool:
    """Whether any entry is not 0; asks the first alone where that will do."""
    array = np.asarray(value, dtype=np.float64)
    return bool(array.flat[0]) or bool(array.any())


def plus(total: Quantity, count: Quantity, price: Quantity) -> Quantity:
    """``total + count · price``, without a pass over the designs for a price or a total that is 0 for all of them."""
    if not np.ndim(price) and not price:
        return total
    return total + count * price if np.ndim(total) or total else count * price


def least_capacity(arch: Architecture, steps: Sequence[Step]) -> dict[str, Quantity]:
    """Resource → capacity for blocks in the step that leaves least of it."""
    found = [capacity_units(arch, step.workload) for step in steps]
    return {name: reduce(np.minimum, [units[name] for units in found]) for name in found[0]}
