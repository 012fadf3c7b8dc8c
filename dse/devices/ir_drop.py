"""Voltage lost in the wires of a crossbar: the linear network solved exactly, as a factor on every conductance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from dse.spec.array_effects import AihwkitStatic, LinearNetwork

# N nodes of a wire, M wires; O outputs (columns of the crossbar), I inputs (rows of the crossbar)

OHM_TIMES_USIEMENS = 1e-6
"""1 ohm · 1 µS as a plain number."""

Real = TypeVar("Real", np.float32, np.float64)


class Sides(NamedTuple):
    """Conductances (O, I) of the positive and the negative devices, as shares of g_max."""

    plus: NDArray[np.float32]
    minus: NDArray[np.float32] | None
    """None where weights have one device."""


def ladder_transfer(load: NDArray[Real], resistance: float) -> NDArray[Real]:
    """Share of the voltage at the end of a wire that reaches each node, for many wires; shape (N, M).

    A wire has N nodes with one load to ground each and one resistance between neighbours; the end is held behind one
    more resistance beyond the last node. By reciprocity the same share of a node's current would be collected there.
    With the admittance ``H_j = ρ d_j + H_{j−1} / (1 + H_{j−1})`` seen from node j away from the end (times ρ), the
    share is ``u_j = Π_{k ≥ j} 1 / (1 + H_k)``: the solution of ``(L/ρ + diag d) u = e/ρ``, in sums of positive terms.

    Args:
        load: conductances (N, M), the node farthest from the end first.
        resistance: of one segment, in units of 1 / load.
    """
    share = np.empty_like(load)  # first 1 + H_j
    admittance = np.zeros_like(load[0])
    for own, seen in zip(load * load.dtype.type(resistance), share, strict=True):
        np.add(admittance, own, out=admittance)
        np.add(admittance, 1, out=seen)
        np.divide(admittance, seen, out=admittance)
    np.reciprocal(share, out=share)
    nearer = share[-1]
    for own in share[-2::-1]:
        nearer = np.multiply(own, nearer, out=own)
    return share


def with_ir_drop(sides: Sides, network: LinearNetwork, *, g_max_usiemens: float) -> Sides:
    """Effective conductances behind the wires; shapes (O, I).

    The converter stands at the last row, the driver at the first column; rows and columns that hold no weights of
    this slice carry no current. Row and column wires each see the unchanged conductances and their factors multiply.

    Valid for: linear devices. Against an iterative solver of the whole network (CrossSim 3.2) the output is 0.04 to
    0.7 % of the drop itself away, for 128 to 512 rows and 0.35 to 16 ohm at 25 µS.
    """
    unit = OHM_TIMES_USIEMENS * g_max_usiemens
    column, row = float(network.column_ohm) * unit, float(network.row_ohm) * unit
    given = [side for side in sides if side is not None]
    factors: Sequence[NDArray[np.float32] | float] = [1.0] * len(given)
    if column and len(given) > 1 and network.columns == "interleaved":
        factors = column_transfer([given[0] + given[1]], column) * 2
    elif column:
        factors = [*column_transfer(given, column)]
    if row:
        factors = [factor * own for factor, own in zip(factors, row_transfer(given, row), strict=True)]
    plus, *minus = (g * factor for g, factor in zip(given, factors, strict=True))
    return Sides(plus, minus[0] if minus else None)


def column_transfer(sides: Sequence[NDArray[Real]], resistance: float) -> list[NDArray[Real]]:
    """Factors (O, I) of the column wires, whose nodes are the inputs, the last one next to the converter."""
    outputs, inputs = sides[0].shape
    wires = np.empty((inputs, len(sides) * outputs), sides[0].dtype)  # the wires of all sides next to each other
    for side, g in enumerate(sides):
        wires[:, side * outputs : (side + 1) * outputs] = g.T
    shares = np.split(ladder_transfer(wires, resistance), len(sides), axis=1)
    return [np.ascontiguousarray(share.T) for share in shares]


def row_transfer(sides: Sequence[NDArray[Real]], resistance: float) -> list[NDArray[Real]]:
    """Factors (O, I) of the row wires, whose nodes are the outputs, the first one next to the driver."""
    wires = np.concatenate([g[::-1] for g in sides], axis=1)
    return [share[::-1] for share in np.split(ladder_transfer(wires, resistance), len(sides), axis=1)]


def static_drop_gain(network: AihwkitStatic, inputs: int) -> float:
    """``n · R · g_max``: factor on Σ|w x| (both normalised) that gives the ``a`` of the static approximation [-]."""
    return inputs * float(network.column_ohm) * float(network.g_max_usiemens) * OHM_TIMES_USIEMENS


def static_drop_weights(inputs: int) -> NDArray[np.float64]:
    """``1 − (1 − j/n)²`` for input j = 0 … n − 1, the first farthest from the converter [-]."""
    return 1.0 - np.square(1.0 - np.arange(inputs) / inputs)
