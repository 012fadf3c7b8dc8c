"""How busy each link is in a step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dse.cost.digital_hand_off import digital_hand_off
from dse.cost.exchange import exchange_cost
from dse.cost.option import host_unit
from dse.cost.table import CostTable
from dse.cost.traffic import traffic_cost
from dse.evaluation.hand_off import DieSpread
from dse.evaluation.packed_traffic import busiest_die, busiest_network_link
from dse.evaluation.profile import Entry
from dse.evaluation.timeline import EXCHANGE_BANDWIDTH, LINK_BANDWIDTH, StageTime
from dse.mapping.model import Mapping
from dse.spec.architecture import AnalogCore, Architecture, DigitalUnit
from dse.spec.link import DieNetwork
from dse.units import Quantity, at_point
from dse.workload.build import Workload


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
    busiest = {n: busiest_network_link(arch, workload, mapping, n) for n in arch.links if isinstance(n, DieNetwork)}
    skew = {network.within: link.skew for network, link in busiest.items()}
    sharing = {spread.group: spread.sharing for spread in spreads}
    for stage in stages:
        for group, time in stage.groups.items():
            own = [entry for entry in stage.entries if costs.options[entry.option_index].group == group]
            if costs.is_analog[group]:
                core = arch.core(group)
                whole = busiest_die(workload, mapping, group, at_point(arch.die(core.die).count)) * time.link
                one = token_ns(
                    arch, workload, costs, own, core, sharing=sharing.get(group), skew=skew.get(core.die, 1.0)
                )
            else:
                whole = time.added.get(f"{group} {EXCHANGE_BANDWIDTH}", np.zeros(1))
                one = digital_token_ns(arch, workload, costs, own, arch.unit(group))
            waited = one.pop(LINK_BANDWIDTH)
            tokens = at_point(stage.multiplicity * whole) / waited if waited else 0.0
            for name, each in one.items():
                busy[name] = busy.get(name, 0.0) + tokens * each
    links = {f"links.{n.name}": link.name for n, link in busiest.items()}
    uses = [
        LinkUse(name=f"{name}, {links[name]}" if name in links else name, busy_ns=time, load_fraction=time / step_ns)
        for name, time in busy.items()
    ]
    return tuple(sorted(uses, key=lambda use: -use.busy_ns))


def token_ns(
    arch: Architecture,
    workload: Workload,
    costs: CostTable,
    entries: Sequence[Entry],
    core: AnalogCore,
    *,
    sharing: Quantity | None,
    skew: float,
) -> dict[str, float]:
    """Time of the traffic of one token in a stage on each link, and under ``LINK_BANDWIDTH`` what the stage waits."""
    found = {LINK_BANDWIDTH: 0.0}
    for entry in entries:
        shared = sharing if entry.kind == "expert" else None
        block_class, copies = costs.classes[entry.class_index], costs.options[entry.option_index].copies
        traffic = traffic_cost(arch, workload, block_class, core, host_unit(arch), sharing=shared, copies=copies)
        visits = float(np.sum(entry.visits_per_token))
        placed = traffic.with_skew(skew)
        found[LINK_BANDWIDTH] += visits * at_point(placed.time_ns)
        for kind, time in placed.busy_ns.items():
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
