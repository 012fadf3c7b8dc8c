"""How unevenly the slices of a packed mapping load the dies of a group and the network of each die."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dse.cost.network import mesh_link_loads, network_bytes_per_visit, network_paths
from dse.evaluation.packed import busiest_fraction
from dse.mapping.model import Mapping
from dse.spec.architecture import Architecture
from dse.spec.link import DieNetwork
from dse.units import BITS, at_point
from dse.workload.build import Workload
from dse.workload.routing import visits_per_token

Array = NDArray[np.float64]


class BusiestNetworkLink(NamedTuple):
    """The link of a network that carries the largest share of its die's traffic."""

    name: str
    skew: float
    """That share over the one of the busiest link when all tiles have the same traffic."""


@lru_cache(maxsize=8)
def busiest_network_link(
    arch: Architecture, workload: Workload, mapping: Mapping, network: DieNetwork
) -> BusiestNetworkLink:
    """The busiest link of a network, all layers together (first design point); of a tree as if all tiles were alike."""
    if mapping.slices is None or mapping.slices.empty or network.topology != "mesh":
        return BusiestNetworkLink("beside the port", 1.0)
    expected = at_point(network_paths(arch, network).worst_load_fraction)
    if expected == 0:
        return BusiestNetworkLink("beside the port", 1.0)
    traffic = tile_traffic(arch, workload, mapping.slices, network)
    whole = traffic.sum(axis=1)
    loads = [(mesh_link_loads(die), total) for die, total in zip(traffic, whole, strict=True) if total > 0]
    shares = [(load / total, link) for links, total in loads for link, load in links.items()]
    share, link = max(shares, default=(expected, "beside the port"), key=lambda pair: pair[0])
    return BusiestNetworkLink(link, share / expected)


def tile_traffic(arch: Architecture, workload: Workload, slices: pd.DataFrame, network: DieNetwork) -> Array:
    """(D, T): bytes per token that each tile of each die moves; the slices of a block share its bytes."""
    bits, classes = BITS[workload.scenario.precision.activations], workload.classes
    cores = [core for core in arch.analog_cores if core.die == network.within]
    n_tiles = [round(at_point(core.tiles_per_die)) for core in cores]
    n_dies = round(at_point(arch.die(network.within).count))
    visits = dict(zip([b.name for b in workload.blocks], visits_per_token(workload).tolist(), strict=True))
    class_of = {b.name: b.block_class for b in workload.blocks}
    code, names = pd.factorize(slices["block"])
    die, tile = (slices[column].to_numpy(np.int64) for column in ("die", "tile"))
    traffic = np.zeros((n_dies, sum(n_tiles)))
    for first, core in zip(np.cumsum([0, *n_tiles]), cores, strict=False):
        own = np.flatnonzero((slices["group"] == core.name).to_numpy())
        counts = np.bincount(code[own], minlength=len(names))
        n_bytes = {
            id(c): at_point(
                network_bytes_per_visit(c, rows=core.rows, cols=core.cols, activation_bits=bits, adc_bits=core.adc.bits)
            )
            for c in classes
        }
        moved = np.array([visits[name] * n_bytes[id(class_of[name])] for name in names]) / np.maximum(counts, 1)
        np.add.at(traffic, (die[own], first + tile[own]), moved[code[own]])
    return traffic


def busiest_die(workload: Workload, mapping: Mapping, group: str, n_dies: float) -> float:
    """Visits of the slices on the busiest die of a group over the mean of its dies, all layers together [-].

    1 where the mapping is not packed.
    """
    slices = mapping.slices
    if slices is None or slices.empty:
        return 1.0
    own = (slices["group"] == group).to_numpy()
    visits = dict(zip([b.name for b in workload.blocks], visits_per_token(workload).tolist(), strict=True))
    code, names = pd.factorize(slices["block"])
    load = np.array([visits.get(name, 0.0) for name in names])[code[own]]
    return n_dies * busiest_fraction(slices["die"].to_numpy(np.int64)[own], load)
