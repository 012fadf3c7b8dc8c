"""How energy and area of digital logic change with technology node and supply voltage."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dse.spec.core_cost import ComponentsCost
from dse.units import Quantity

NODES_NM: Final = np.array([7.0, 10.0, 14.0, 16.0, 20.0, 32.0, 45.0, 65.0, 90.0, 130.0])
"""Nodes of the fits, ascending [nm]."""
_ENERGY_FITS: Final[NDArray[np.float64]] = np.array([
    (0.1776, -0.09097, 0.02447), (0.2068, -0.09311, 0.02375), (0.2363, -0.09675, 0.02239),
    (0.2958, -0.1241, 0.03024), (0.373, -0.1582, 0.04104), (0.9559, -0.7823, 0.471), (1.103, -0.362, 0.2767),
    (3.755, -4.398, 1.975), (4.762, -4.781, 2.092), (7.171, -6.709, 2.904),
])  # fmt: skip
"""Coefficients (a, b, c) of energy(V) = a·V² + b·V + c by node: Stillmaker & Baas 2017."""
_AREAS: Final = np.array([0.059, 0.10, 0.17, 0.19, 0.21, 0.46, 1.0, 1.5, 2.8, 6.4])
"""Area relative to 45 nm by node, as published, two digits: Stillmaker & Baas 2017."""


class Factors(NamedTuple):
    """Factors of technology and voltage on values that hold at the reference technology."""

    analog: Quantity
    """Energy of array, drivers and converters."""
    logic: Quantity
    """Energy of digital logic."""
    area: Quantity
    """Area of digital logic."""
    delay: Quantity
    """Time of everything but the input pulse, by the voltage."""
    node_delay: Quantity
    """Time of digital logic, by the node."""


def technology_factors(cost: ComponentsCost, *, node_nm: Quantity | None, supply_v: Quantity | None) -> Factors:
    """Factors at a node and voltage on the values of a file.

    Array, drivers and converters: (V/V0)^k, whatever the node. Logic: Stillmaker & Baas for node and voltage; its time
    grows with the node. Delay: (1 - f) + f·(V0/V)^m with the exponents of the file.

    Valid for: 0.5 to 1.5 times the reference voltage; logic from 7 to 130 nm.
    """
    base, law = cost.scaled_from, cost.voltage
    if base is None or node_nm is None or supply_v is None:
        return Factors(1.0, 1.0, 1.0, 1.0, 1.0)
    if np.array_equal(base.node_nm, node_nm) and np.array_equal(base.supply_v, supply_v):
        return Factors(1.0, 1.0, 1.0, 1.0, 1.0)
    ratio = supply_v / base.supply_v
    return Factors(
        analog=ratio**law.energy_exponent,
        logic=logic_energy_factor(from_nm=base.node_nm, to_nm=node_nm, from_v=base.supply_v, to_v=supply_v),
        area=logic_area_factor(from_nm=base.node_nm, to_nm=node_nm),
        delay=(1.0 - law.delay_fraction) + law.delay_fraction * ratio**-law.delay_exponent,
        node_delay=node_nm / base.node_nm,
    )


def logic_energy(*, node_nm: Quantity, supply_v: Quantity) -> Quantity:
    """Energy of one logic operation in the unit of the fits [-]; linear between nodes.

    Valid for: digital logic, 7 to 130 nm, about 0.5 to 1.3 V. Not for noise-limited converters, memory cells or
    the current of an array.

    Source: A. Stillmaker, B. Baas, Integration 58:74-81, 2017, coefficients as in the hwcomponents library.

    >>> round(float(logic_energy(node_nm=14.0, supply_v=0.8)), 5)
    0.09622
    """
    at_nodes = [a * supply_v**2 + b * supply_v + c for a, b, c in _ENERGY_FITS]
    return _between_nodes(at_nodes, node_nm)


def logic_energy_factor(*, from_nm: Quantity, to_nm: Quantity, from_v: Quantity, to_v: Quantity) -> Quantity:
    """Energy of the same logic at another node and voltage, over its energy here [-].

    Valid for: as ``logic_energy``.

    >>> round(float(logic_energy_factor(from_nm=32.0, to_nm=14.0, from_v=0.8, to_v=0.8)), 3)
    0.211
    """
    return logic_energy(node_nm=to_nm, supply_v=to_v) / logic_energy(node_nm=from_nm, supply_v=from_v)


def logic_area_factor(*, from_nm: Quantity, to_nm: Quantity) -> Quantity:
    """Area of the same logic at another node, over its area here [-]; linear between nodes.

    Valid for: digital logic, 7 to 130 nm; the table has two digits, so a detour over a third node differs by
    up to 10 %. Not for memory cells.

    Source: as ``logic_energy``.
    """
    areas: list[Quantity] = [float(area) for area in _AREAS]
    return _between_nodes(areas, to_nm) / _between_nodes(areas, from_nm)


def _between_nodes(values: list[Quantity], node_nm: Quantity) -> Quantity:
    """Linear interpolation of one value per node, number or array; the ends are kept outside."""
    found: Quantity = 0.0
    for index, value in enumerate(values):
        hat = np.zeros(len(values))
        hat[index] = 1.0
        found = found + value * np.interp(node_nm, NODES_NM, hat)
    return found
