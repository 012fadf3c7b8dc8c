"""How busy each link is in a step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dse.cost.network import mesh_link_loads, network_bytes_per_visit, network_paths
from dse.cost.option import host_unit
from dse.cost.table import CostTable
from dse.cost.traffic import traffic_cost
from dse.evaluation.hand_off import DieSpread
from dse.evaluation.profile import Entry
from dse.evaluation.timeline import LINK_BANDWIDTH, StageTime
from dse.mapping.model import Mapping
from dse.spec.architecture import AnalogCore, Architecture
from dse.spec.link import DieNetwork
from dse.units import BITS, Quantity, at_point
from dse.workload.build import Workload
from dse.workload.routing import visits_per_token

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LinkUse:
    """One link of one design: the busiest pair of dies, or the busiest link of a network."""

    name: str
    """``links.FROM-TO``, or ``links.DIE`` and the link of its network that carries most."""
    busy_ns: float
    """Time of a step in which it moves bytes [ns]."""
    load_fraction: float
    """The same over the step time; 1: nothing else could be faster."""


def link_uses(
    arch: Architecture,
    workload: Workload,
    costs: CostTable,
    stages: Sequence[StageTime],
    mapping: Mapping,
    *,
    spreads: Sequence[DieSpread],
    step_ns: float,
) -> tuple[LinkUse, ...]:
    """Every link that a mapping uses, the busiest first (first design point)."""
    busy: dict[str, float] = {}
    sharing = {spread.group: spread.sharing for spread in spreads}
    for stage in stages:
        for core in (core for core in arch.analog_cores if core.name in stage.groups):
            whole = at_point(stage.multiplicity * stage.groups[core.name].added[LINK_BANDWIDTH])
            one = token_ns(arch, workload, costs, stage.entries, core, sharing=sharing.get(core.name))
            tokens = whole / one[LINK_BANDWIDTH] if one[LINK_BANDWIDTH] else 0.0
            for kind in (kind for kind in one if kind != LINK_BANDWIDTH):
                name = link_name(arch, core, kind)
                busy[name] = busy.get(name, 0.0) + tokens * one[kind]
    uses = []
    for name, time in busy.items():
        where, factor = packed_link(arch, workload, mapping, name)
        uses.append(LinkUse(name=where, busy_ns=factor * time, load_fraction=factor * time / step_ns))
    return tuple(sorted(uses, key=lambda use: -use.busy_ns))


def token_ns(
    arch: Architecture,
    workload: Workload,
    costs: CostTable,
    entries: Sequence[Entry],
    core: AnalogCore,
    *,
    sharing: Quantity | None,
) -> dict[str, float]:
    """Time of the traffic of one token in a stage on each link, and under ``LINK_BANDWIDTH`` what the stage waits."""
    found = {LINK_BANDWIDTH: 0.0}
    for entry in (e for e in entries if costs.options[e.option_index].group == core.name):
        shared = sharing if entry.kind == "expert" else None
        block_class, copies = costs.classes[entry.class_index], costs.options[entry.option_index].copies
        traffic = traffic_cost(arch, workload, block_class, core, host_unit(arch), sharing=shared, copies=copies)
        visits = float(np.sum(entry.visits_per_token))
        for kind, time in (*traffic.busy_ns.items(), (LINK_BANDWIDTH, traffic.time_ns)):
            found[kind] = found.get(kind, 0.0) + visits * at_point(time)
    return found


def link_name(arch: Architecture, core: AnalogCore, kind: str) -> str:
    """Path of the link or network that a core uses."""
    link = arch.link_between(core.die, host_unit(arch).die)
    return f"links.{core.die}" if kind == "network" or link is None else f"links.{link.name}"


def packed_link(arch: Architecture, workload: Workload, mapping: Mapping, name: str) -> tuple[str, float]:
    """Name of the busiest link, and its load over that of equal traffic to all tiles, which the costs assume."""
    network = next((n for n in arch.links if isinstance(n, DieNetwork) and f"links.{n.name}" == name), None)
    if network is None:
        return name, 1.0
    expected = at_point(network_paths(arch, network).worst_load_fraction)
    if mapping.slices is None or mapping.slices.empty or network.topology != "mesh" or expected == 0:
        return f"{name}, beside the port", 1.0
    worst = max(
        (
            (load / total, link)
            for die in tile_traffic(arch, workload, mapping.slices, network).values()
            if (total := float(die.sum())) > 0
            for link, load in mesh_link_loads(die).items()
        ),
        default=(expected, "beside the port"),
    )
    return f"{name}, {worst[1]}", worst[0] / expected


def tile_traffic(arch: Architecture, workload: Workload, slices: pd.DataFrame, network: DieNetwork) -> dict[int, Array]:
    """Die → bytes per token that each of its tiles moves, by the packed slices; a block's slices share its bytes."""
    bits = BITS[workload.scenario.precision.activations]
    cores = [core for core in arch.analog_cores if core.die == network.within]
    counts = slices.groupby(["block", "group"], sort=False).size()
    visits = dict(zip([b.name for b in workload.blocks], visits_per_token(workload).tolist(), strict=True))
    classes = {b.name: b.block_class for b in workload.blocks}
    n_tiles = sum(round(at_point(core.tiles_per_die)) for core in cores)
    traffic = {die: np.zeros(n_tiles) for die in range(round(at_point(arch.die(network.within).count)))}
    first = 0
    for core in cores:
        own = slices[slices["group"] == core.name]
        per_slice = {
            block: visits[block]
            * at_point(
                network_bytes_per_visit(
                    classes[block], rows=core.rows, cols=core.cols, activation_bits=bits, adc_bits=core.adc.bits
                )
            )
            / counts[block, core.name]
            for block in own["block"].unique()
        }
        moved = own["block"].map(per_slice).to_numpy(dtype=np.float64)
        for die, tiles in traffic.items():
            here = (own["die"] == die).to_numpy()
            np.add.at(tiles, first + own["tile"].to_numpy()[here], moved[here])
        first += round(at_point(core.tiles_per_die))
    return traffic
