"""How unevenly the slices of a packed mapping load the dies of a group and the network of each die."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dse.cost.network import mesh_link_loads, network_bytes_per_visit, network_paths
from dse.evaluation.packed import busiest_fraction
from dse.evaluation.tile_load import distinct
from dse.mapping.model import Mapping
from dse.spec.architecture import AnalogCore, Architecture
from dse.spec.link import DieNetwork
from dse.units import BITS, Quantity, at_point
from dse.workload.blocks import BlockClass, class_numbers
from dse.workload.build import Workload
from dse.workload.routing import visits_by_block

Array = NDArray[np.float64]


class BusiestNetworkLink(NamedTuple):
    """The link of a network that carries the largest share of its die's traffic."""

    name: str
    skew: float
    """That share over the one of the busiest link when all tiles have the same traffic."""


EVEN: Final = BusiestNetworkLink("beside the port", 1.0)
"""What is taken where nothing is packed, and of a tree."""


def network_skew(arch: Architecture, workload: Workload, mapping: Mapping, network: DieNetwork) -> Quantity:
    """``BusiestNetworkLink.skew`` of every design; 1 where the slices are not those of the design."""
    if mapping.slices is None or mapping.slices.empty or network.topology != "mesh":
        return 1.0
    scenario, cores = workload.scenario, [core for core in arch.analog_cores if core.die == network.within]
    sizes = [size for core in cores for size in (core.tiles_per_die, core.rows, core.cols, core.adc.bits)]
    sizes += [arch.die(network.within).count, scenario.prompt_tokens if scenario.phase == "prefill" else 1.0]
    columns = np.broadcast_arrays(*(np.atleast_1d(np.asarray(size, np.float64)) for size in sizes))
    at, inverse = distinct(columns)
    skews = np.array([busiest_network_link(arch, workload, mapping, network, int(point)).skew for point in at])
    return float(skews[0]) if len(inverse) == 1 else skews[inverse]


@lru_cache(maxsize=64)
def busiest_network_link(
    arch: Architecture, workload: Workload, mapping: Mapping, network: DieNetwork, point: int = 0
) -> BusiestNetworkLink:
    """The busiest link of a network in one design, all layers together; of a tree as if all tiles were alike."""
    if mapping.slices is None or mapping.slices.empty or network.topology != "mesh":
        return EVEN
    expected = at_point(network_paths(arch, network).worst_load_fraction, point)
    traffic = tile_traffic(arch, workload, mapping.slices, network, point)
    if expected == 0 or traffic is None:
        return EVEN
    whole = traffic.sum(axis=1)
    loads = [(mesh_link_loads(die), total) for die, total in zip(traffic, whole, strict=True) if total > 0]
    shares = [(load / total, link) for links, total in loads for link, load in links.items()]
    share, link = max(shares, default=(expected, EVEN.name), key=lambda pair: pair[0])
    return BusiestNetworkLink(link, share / expected)


def tile_traffic(
    arch: Architecture, workload: Workload, slices: pd.DataFrame, network: DieNetwork, point: int
) -> Array | None:
    """(D, T): bytes per token that each tile of each die moves in one design; the slices of a block share its bytes.

    None where the slices are not those of the design: other sizes of crossbars, fewer tiles or dies.
    """
    bits, classes = BITS[workload.scenario.precision.activations], workload.classes
    cores = [core for core in arch.analog_cores if core.die == network.within]
    n_tiles = [round(at_point(core.tiles_per_die, point)) for core in cores]
    n_dies = round(at_point(arch.die(network.within).count, point))
    visits = visits_by_block(workload, point)
    class_of = dict(zip([b.name for b in workload.blocks], class_numbers(workload.model), strict=True))
    code, names = pd.factorize(slices["block"])
    kind, load = np.array([class_of[name] for name in names]), np.array([visits[name] for name in names])
    die, tile = (slices[column].to_numpy(np.int64) for column in ("die", "tile"))
    traffic = np.zeros((n_dies, sum(n_tiles)))
    for first, core, n_own in zip(np.cumsum([0, *n_tiles]), cores, n_tiles, strict=False):
        own = np.flatnonzero((slices["group"] == core.name).to_numpy())
        counts = np.bincount(code[own], minlength=len(names))
        needed = np.array([at_point(c.n_crossbars(rows=core.rows, cols=core.cols), point) for c in classes])[kind]
        if np.any(counts % needed) or np.any(tile[own] >= n_own) or np.any(die[own] >= n_dies):
            return None
        n_bytes = network_bytes_of(classes, core, bits, point)
        moved = load * n_bytes[kind] / np.maximum(counts, 1)
        np.add.at(traffic, (die[own], first + tile[own]), moved[code[own]])
    return traffic


def network_bytes_of(classes: Sequence[BlockClass], core: AnalogCore, activation_bits: int, point: int) -> Array:
    """(B,): bytes that one visit of each block class moves on the network of a die, in one design."""
    of_class = [
        network_bytes_per_visit(
            c, rows=core.rows, cols=core.cols, activation_bits=activation_bits, adc_bits=core.adc.bits
        )
        for c in classes
    ]
    return np.array([at_point(n_bytes, point) for n_bytes in of_class])


def busiest_die(workload: Workload, mapping: Mapping, group: str, n_dies: float) -> float:
    """Visits of the slices on the busiest die of a group over the mean of its dies, all layers together [-].

    1 where the mapping is not packed.
    """
    slices = mapping.slices
    if slices is None or slices.empty:
        return 1.0
    own = (slices["group"] == group).to_numpy()
    visits = visits_by_block(workload)
    code, names = pd.factorize(slices["block"])
    load = np.array([visits.get(name, 0.0) for name in names])[code[own]]
    return n_dies * busiest_fraction(slices["die"].to_numpy(np.int64)[own], load)
