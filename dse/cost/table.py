"""CostTable: what one visit of one block class costs under each option, with every number openable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dse.cost.option import Option
from dse.workload.blocks import BlockClass

# P design points, B block classes, O options

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class CostTable:
    """Costs of shape (P, B, O); an option is (group, precision, copies).

    The time of a group in a stage of n tokens is
    ``max(max_b path_ns, Σ n·λ_b·compute_ns_per_visit, Σ P_b·fetch_ns_per_activation) + max_b fixed_ns
    + Σ n·λ_b·link_ns_per_visit`` over the blocks b placed there; partial sums of analog blocks add
    ``Σ n·λ_b·host_ns_per_visit`` to the compute time of the host unit.
    """

    classes: tuple[BlockClass, ...]
    options: tuple[Option, ...]
    allowed: NDArray[np.bool_]
    """(B, O): whether the class may be placed so."""
    energy_pj_per_visit: Array
    """Energy of one token's visit: products, converters, arithmetic, links, partial sums [pJ]."""
    energy_pj_per_activation: Array
    """Energy of making the block's weights available once in a step: memory traffic [pJ]."""
    compute_ns_per_visit: Array
    """Busy time of the whole group per visit [ns]; analog: the fluid load crossbars · MVM latency / tiles."""
    fetch_ns_per_activation: Array
    """Time to read the block's weights from memory once [ns]."""
    path_ns: Array
    """Time of the dependent matrices of one visit [ns]; 0 on digital units."""
    fixed_ns: Array
    """Kernel launches, or crossings of the link, once per stage [ns]."""
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
    """Resource → units there are for blocks (P,); memory after KV cache and activations."""
    is_analog: Mapping[str, bool]
    """Group → whether it is analog."""
    host: str
    """Digital unit that runs attention scores, routing and partial sums."""
    standing_power_mw: Array
    """(P,): idle and flat power that is drawn for the whole step, whatever the placement [mW]."""

    @property
    def n_points(self) -> int:
        """Design points."""
        return len(self.energy_pj_per_visit)

    def frame(self, point: int = 0) -> pd.DataFrame:
        """One row per block class and option of one design point."""
        columns = [
            "energy_pj_per_visit", "energy_pj_per_activation", "compute_ns_per_visit", "fetch_ns_per_activation",
            "path_ns", "fixed_ns", "link_ns_per_visit", "host_ns_per_visit", "units", "bytes",
        ]  # fmt: skip
        rows = [
            {"kind": c.kind, "group": o.group, "precision": o.precision, "copies": o.copies}
            | {name: float(getattr(self, name)[point, b, i]) for name in columns}
            for b, c in enumerate(self.classes)
            for i, o in enumerate(self.options)
            if self.allowed[b, i]
        ]
        return pd.DataFrame(rows)
