"""Over how many dies the experts of a token spread, and what the hand-off between dies costs therefore."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

from dse.cost.link import distinct_dies
from dse.cost.option import host_unit
from dse.cost.table import CostTable, is_some
from dse.cost.traffic import traffic_cost
from dse.evaluation.packed_traffic import network_skew
from dse.evaluation.profile import Entry
from dse.mapping.die_rings import expected_dies
from dse.mapping.model import Mapping
from dse.spec.architecture import Architecture
from dse.spec.link import DieNetwork, Link
from dse.units import Quantity
from dse.workload.build import Workload
from dse.workload.routing import visits_by_block


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DieSpread:
    """Over how many dies of a group the routed experts of one token spread, mean over the layers with some."""

    group: str
    n_dies: Quantity
    experts_per_token: float
    """Chosen experts on the group."""
    at_random: Quantity
    """Dies that hold one of them, if every expert is on a die at random."""
    packed: float | None
    """Dies that hold one of them by the packed slices; None where the mapping is not packed."""

    @property
    def sharing(self) -> Quantity:
        """Dies per chosen expert; above 1 where packing cuts experts across dies."""
        return (self.at_random if self.packed is None else self.packed) / self.experts_per_token


def die_spreads(
    arch: Architecture, workload: Workload, mapping: Mapping, costs: CostTable, used: Iterable[tuple[Quantity, Entry]]
) -> tuple[DieSpread, ...]:
    """Spread of the routed experts over the dies of every analog group that holds some.

    Args:
        arch: architecture.
        workload: workload.
        mapping: placement, packed or not.
        costs: names of the options.
        used: how many layers have it, and an entry.
    """
    found: dict[str, list[tuple[Quantity, float]]] = {}
    for layers, entry in used:
        group = costs.options[entry.option_index].group
        if entry.kind == "expert" and costs.is_analog[group]:
            found.setdefault(group, []).append((layers, float(np.sum(entry.visits_per_token))))
    spreads, top_k = [], workload.model.top_k
    for group, entries in found.items():
        n_dies = arch.die(arch.core(group).die).count
        total = sum((layers for layers, _ in entries), np.float64(0))
        experts = float(np.ravel(sum((layers * k for layers, k in entries), np.float64(0)) / total)[0])
        dies = sum(
            (layers * distinct_dies(n_dies=n_dies, choices=top_k, chance=k / top_k) for layers, k in entries),
            np.float64(0),
        )
        slices = mapping.slices
        packed = None if slices is None or slices.empty else packed_dies(workload, slices, group)
        spreads.append(
            DieSpread(group=group, n_dies=n_dies, experts_per_token=experts, at_random=dies / total, packed=packed)
        )
    return tuple(spreads)


def as_placed(
    arch: Architecture, workload: Workload, mapping: Mapping, costs: CostTable, used: Iterable[tuple[Quantity, Entry]]
) -> CostTable:
    """Costs in which vectors cross links and networks as the mapping lets them.

    The table of ``cost_table`` takes all of a token's experts to be on one analog group, on dies at random, and all
    tiles of a die to have the same traffic: the lower end a mapping program needs. A link without ``broadcast`` and
    ``reduce: die`` shares nothing.
    """
    host = host_unit(arch)
    sharing_dies = {
        link.to if link.from_ == host.die else link.from_
        for link in arch.links
        if isinstance(link, Link) and host.die in (link.from_, link.to) and (link.broadcast or link.reduce == "die")
    }
    skews = {
        network.within: network_skew(arch, workload, mapping, network)
        for network in arch.links
        if isinstance(network, DieNetwork)
    }
    changed = [core for core in arch.analog_cores if core.die in sharing_dies or np.any(skews.get(core.die, 1.0) != 1)]
    if not changed:
        return costs
    spreads = die_spreads(arch, workload, mapping, costs, used) if sharing_dies else ()
    sharing = {spread.group: spread.sharing for spread in spreads if arch.core(spread.group).die in sharing_dies}
    entries = [list(row) for row in costs.entries]
    for core in changed:
        skew = skews.get(core.die, 1.0)
        of_group = [(at, o.copies) for at, o in enumerate(costs.options) if o.group == core.name]
        for index, (option, copies) in product(range(len(costs.classes)), of_group):
            block_class, cost = costs.classes[index], costs.of(index, option)
            dies = sharing.get(core.name) if block_class.kind == "expert" else None
            if (dies is None and np.all(skew == 1)) or not is_some(cost.units):
                continue
            traffic = traffic_cost(arch, workload, block_class, core, host, sharing=dies, copies=copies).with_skew(skew)
            entries[index][option] = dataclasses.replace(
                cost, link_ns_per_visit=traffic.time_ns, visit_parts_pj={**cost.visit_parts_pj, **traffic.energy_pj}
            )
    return dataclasses.replace(costs, entries=tuple(map(tuple, entries)))


def packed_dies(workload: Workload, slices: pd.DataFrame, group: str) -> float | None:
    """Expected dies with a chosen expert, mean over the layers; an expert on two dies counts on both."""
    visits = visits_by_block(workload)
    layer_of = {b.name: b.layer for b in workload.blocks if b.kind == "expert"}
    code, names = pd.factorize(slices["block"])
    wanted = np.array([name in layer_of for name in names], dtype=bool)
    here = (slices["group"] == group).to_numpy() & wanted[code]
    if not here.any():
        return None
    die = slices["die"].to_numpy(np.int64)
    n_dies = int(die.max()) + 1
    chances: dict[object, dict[int, list[float]]] = {}
    for cell in np.unique(code[here] * n_dies + die[here]).tolist():
        name = names[cell // n_dies]
        chances.setdefault(layer_of[name], {}).setdefault(cell % n_dies, []).append(visits[name])
    n_experts, top_k = workload.model.n_experts, workload.model.top_k
    return sum(expected_dies(list(own.values()), n_experts, top_k) for own in chances.values()) / len(chances)
