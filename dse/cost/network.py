"""The network that joins the tiles of a die to its port: hops, the share of traffic on the busiest link."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dse.spec.architecture import Architecture
from dse.spec.link import DieNetwork
from dse.units import BITS_PER_BYTE, Quantity
from dse.workload.blocks import BlockClass

_ROUNDING: Final = 1e-9


class Paths(NamedTuple):
    """Paths between the port of a die and its tiles when all tiles have the same traffic."""

    mean_hops: Quantity
    """Links between two routers that a vector crosses, mean over the tiles."""
    worst_hops: Quantity
    """The same for the farthest tile."""
    worst_load_fraction: Quantity
    """Share of all traffic of the die that crosses its busiest link."""


def network_paths(arch: Architecture, network: DieNetwork) -> Paths:
    """Hops and load of the network that joins all tiles of a die, spares included."""
    n_tiles = sum((core.tiles_per_die for core in arch.analog_cores if core.die == network.within), np.float64(0))
    if network.topology == "mesh":
        return mesh_paths(n_tiles=n_tiles)
    return tree_paths(n_tiles=n_tiles, radix=network.radix)


def mesh_paths(*, n_tiles: Quantity) -> Paths:
    """Hops and load of a mesh of N tiles, the port at the router in the middle of its first row.

    ``c = ⌈√N⌉`` columns, filled row by row; the port at column ``p = ⌊(c − 1) / 2⌋``. Routes go along the first row,
    then up a column, and come back the same way: a tile at (r, q) is ``|q − p| + r`` hops away. The busiest link is one
    of the three beside the port: to the east it carries the tiles of all columns q > p, to the west those of q < p,
    upwards those of column p. On a full square of even side that is one half of the traffic.

    Valid for: traffic that is the same for every tile, one port; the port's own link is the link between dies.

    >>> [float(value) for value in mesh_paths(n_tiles=16)]
    [2.5, 5.0, 0.5]
    """
    n = np.asarray(n_tiles, dtype=np.float64)
    cols = np.ceil(np.sqrt(n) - _ROUNDING)
    rows = np.ceil(n / cols - _ROUNDING)
    port = np.floor((cols - 1) / 2)
    last = n - cols * (rows - 1)
    west, east = np.minimum(last, port + 1), np.maximum(last - port - 1, 0)
    full_row = port * (port + 1) / 2 + (cols - 1 - port) * (cols - port) / 2
    last_row = west * port - west * (west - 1) / 2 + east * (east + 1) / 2
    upwards = cols * (rows - 1) * (rows - 2) / 2 + last * (rows - 1)
    farthest_full = np.where(rows > 1, np.maximum(port, cols - 1 - port) + rows - 2, 0)
    farthest_last = np.maximum(port, east) + rows - 1
    through = (
        (rows - 1) * (cols - 1 - port) + east,
        (rows - 1) * port + np.minimum(last, port),
        np.maximum(rows - 2, 0) + ((last > port) & (rows > 1)),
    )
    return Paths(
        mean_hops=((rows - 1) * full_row + last_row + upwards) / n,
        worst_hops=np.maximum(farthest_full, farthest_last),
        worst_load_fraction=np.maximum(np.maximum(through[0], through[1]), through[2]) / n,
    )


def tree_paths(*, n_tiles: Quantity, radix: Quantity) -> Paths:
    """Hops and load of a tree whose leaves are the tiles and whose root is the port.

    ``h = ⌈log_r N⌉`` hops to every tile; the busiest link joins the root to its first child, which carries up to
    ``r^(h − 1)`` tiles. All links have the same bandwidth (no fat tree).

    Valid for: traffic that is the same for every tile; leaves filled from one side.

    >>> [float(value) for value in tree_paths(n_tiles=12, radix=2)]
    [4.0, 4.0, 0.6666666666666666]
    """
    n, r = np.asarray(n_tiles, dtype=np.float64), np.asarray(radix, dtype=np.float64)
    hops = np.ceil(np.log(n) / np.log(r) - _ROUNDING)
    load = np.where(n > 1, np.minimum(r ** (hops - 1) / n, 1.0), 0.0)
    return Paths(mean_hops=hops, worst_hops=hops, worst_load_fraction=load)


def mesh_link_loads(traffic: NDArray[np.float64]) -> dict[str, float]:
    """Traffic on every link of a mesh by the routes of ``mesh_paths``, for any traffic per tile.

    Args:
        traffic: (N,): traffic of each tile, tiles numbered row by row from the port's edge.

    Returns:
        Link → traffic: ``row 0, column a-b`` along the port's edge, ``column q, row a-b`` up a column.
    """
    n = len(traffic)
    cols = int(np.ceil(np.sqrt(n) - _ROUNDING))
    port, rows = (cols - 1) // 2, -(-n // cols)
    grid = np.pad(traffic, (0, rows * cols - n)).reshape(rows, cols)
    column = grid.sum(axis=0)
    loads = {f"row 0, column {q}-{q + 1}": float(column[q + 1 :].sum()) for q in range(port, cols - 1)}
    loads |= {f"row 0, column {q}-{q + 1}": float(column[: q + 1].sum()) for q in range(port)}
    above = grid[::-1].cumsum(axis=0)[::-1]
    loads |= {f"column {q}, row {r}-{r + 1}": float(above[r + 1, q]) for q in range(cols) for r in range(rows - 1)}
    return loads


def network_bytes_per_visit(
    block_class: BlockClass, *, rows: Quantity, cols: Quantity, activation_bits: int, adc_bits: Quantity
) -> Quantity:
    """Bytes that one visit of a block moves between the port of a die and its tiles [byte].

    Every crossbar gets its own copy of its part of the input, and returns all its outputs:
    ``Σ n_in · ⌈n_out / cols⌉ · activation_bits + n_out · ⌈n_in / rows⌉ · adc_bits``.
    """
    inputs = sum((m.n_in * np.ceil(m.n_out / cols) for m in block_class.matrices), np.float64(0))
    outputs = sum((m.n_out * np.ceil(m.n_in / rows) for m in block_class.matrices), np.float64(0))
    return (inputs * activation_bits + outputs * adc_bits) / BITS_PER_BYTE


def network_energy_pj(*, n_bytes: Quantity, hops: Quantity, energy_pj_per_bit_hop: Quantity) -> Quantity:
    """Energy of moving bytes over hops [pJ]: ``bits · hops · E_hop``.

    >>> network_energy_pj(n_bytes=100.0, hops=2.5, energy_pj_per_bit_hop=0.08)
    160.0
    """
    return n_bytes * BITS_PER_BYTE * hops * energy_pj_per_bit_hop
