"""How busy each link is in a step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dse.cost.digital_hand_off import digital_hand_off
from dse.cost.exchange import exchange_cost
from dse.cost.network import mesh_link_loads, network_bytes_per_visit, network_paths
from dse.cost.option import host_unit
from dse.cost.table import CostTable
from dse.cost.traffic import traffic_cost
from dse.evaluation.hand_off import DieSpread
from dse.evaluation.profile import Entry
from dse.evaluation.timeline import EXCHANGE_BANDWIDTH, LINK_BANDWIDTH, StageTime
from dse.mapping.model import Mapping
from dse.spec.architecture import AnalogCore, Architecture, DigitalUnit
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
        for group, time in stage.groups.items():
            own = [entry for entry in stage.entries if costs.options[entry.option_index].group == group]
            if costs.is_analog[group]:
                whole = time.added[LINK_BANDWIDTH]
                one = token_ns(arch, workload, costs, own, arch.core(group), sharing=sharing.get(group))
            else:
                whole = time.added.get(f"{group} {EXCHANGE_BANDWIDTH}", np.zeros(1))
                one = digital_token_ns(arch, workload, costs, own, arch.unit(group))
            waited = one.pop(LINK_BANDWIDTH)
            tokens = at_point(stage.multiplicity * whole) / waited if waited else 0.0
            for name, each in one.items():
                busy[name] = busy.get(name, 0.0) + tokens * each
    uses = []
    for name, busy_ns in busy.items():
        where, factor = packed_link(arch, workload, mapping, name)
        uses.append(LinkUse(name=where, busy_ns=factor * busy_ns, load_fraction=factor * busy_ns / step_ns))
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
    for entry in entries:
        shared = sharing if entry.kind == "expert" else None
        block_class, copies = costs.classes[entry.class_index], costs.options[entry.option_index].copies
        traffic = traffic_cost(arch, workload, block_class, core, host_unit(arch), sharing=shared, copies=copies)
        visits = float(np.sum(entry.visits_per_token))
        found[LINK_BANDWIDTH] += visits * at_point(traffic.time_ns)
        for kind, time in traffic.busy_ns.items():
            name = link_name(arch, core, kind)
            found[name] = found.get(name, 0.0) + visits * at_point(time)
    return found


def digital_token_ns(
    arch: Architecture, workload: Workload, costs: CostTable, entries: Sequence[Entry], unit: DigitalUnit
) -> dict[str, float]:
    """The same for a digital group: exchange between its own dies, hand-off to and from the host's die."""
    host = host_unit(arch)
    found = {LINK_BANDWIDTH: 0.0}
    for entry in entries:
        block_class, visits = costs.classes[entry.class_index], float(np.sum(entry.visits_per_token))
        moved = (
            (unit.die, exchange_cost(arch, workload, block_class, unit)),
            (host.die, digital_hand_off(arch, workload, block_class, unit, host)),
        )
        for end, time in ((end, visits * at_point(cost.time_ns)) for end, cost in moved):
            link = arch.link_between(unit.die, end)
            if link is not None and time:
                found[f"links.{link.name}"] = found.get(f"links.{link.name}", 0.0) + time
                found[LINK_BANDWIDTH] += time
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
