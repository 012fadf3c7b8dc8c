"""Small digital periphery of a tile: adders and buffers, by published fits."""

from __future__ import annotations

from typing import Final

import numpy as np

from dse.cost.converter import MM2_PER_UM2, PJ_PER_FF_V2
from dse.units import Quantity

FULL_ADDER_NM: Final = 28.0
"""Node of the full adder [nm]."""
NAND2_FF: Final = 0.7
"""Capacitance of a NAND2 gate [fF]; an XOR2 has 1.5 times as much."""
FULL_ADDER_MM2: Final = 4.79 * MM2_PER_UM2


def full_adder_pj(*, supply_v: Quantity) -> Quantity:
    """Energy of one full adder [pJ]: ``E = (3·0.7 + 2·1.05) fF·V²``.

    Valid for: 28 nm.

    Source: zigzag-imc, calibrated on four digital in-memory chips.

    >>> round(full_adder_pj(supply_v=0.9), 6)
    0.003402
    """
    return (3 * NAND2_FF + 2 * 1.5 * NAND2_FF) * supply_v**2 * PJ_PER_FF_V2


def adder_tree_full_adders(*, n_inputs: Quantity, bits: Quantity) -> Quantity:
    """Full adders of a tree that sums inputs of some bits [-]: ``N·(b + 1) - (b + log2 N + 1)``.

    Source: zigzag-imc.

    >>> float(adder_tree_full_adders(n_inputs=4.0, bits=8.0))
    25.0
    """
    count: Quantity = n_inputs * (bits + 1) - (bits + np.log2(n_inputs) + 1)
    return count


def sram_read_pj(*, capacity_kb: Quantity, width_bits: Quantity, node_nm: Quantity) -> Quantity:
    """Energy of one read access [pJ]: ``E = 1.234e-4·KB^0.537·bits^0.838·nm^1.711``.

    Valid for: 2 to 256 KB, 45 nm and near; 19 % mean error against its points.

    Source: power law fitted to the CACTI points of MNSIM's table.
    """
    return 1.234e-4 * capacity_kb**0.537 * width_bits**0.838 * node_nm**1.711


def sram_write_pj(*, capacity_kb: Quantity, width_bits: Quantity, node_nm: Quantity) -> Quantity:
    """Energy of one write access [pJ]: ``E = 6.44e-5·KB^0.478·bits^0.950·nm^1.790``.

    Valid for, source: as ``sram_read_pj``; 12.5 % mean error.
    """
    return 6.44e-5 * capacity_kb**0.478 * width_bits**0.950 * node_nm**1.790


def sram_mm2(*, capacity_kb: Quantity, width_bits: Quantity, node_nm: Quantity) -> Quantity:
    """Area [mm²]: ``A = 1.72e-6·KB^0.774·bits^0.505·nm^1.863``.

    Valid for, source: as ``sram_read_pj``; 28 % mean error.
    """
    return 1.72e-6 * capacity_kb**0.774 * width_bits**0.505 * node_nm**1.863
