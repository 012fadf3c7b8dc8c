"""Adders and buffers of a tile, by the models a file chooses."""

from __future__ import annotations

from dse.cost.crossbar_components import Use
from dse.cost.operating_point import OperatingPoint
from dse.cost.small_logic import FULL_ADDER_MM2, FULL_ADDER_NM, full_adder_pj, sram_mm2, sram_read_pj, sram_write_pj
from dse.cost.technology import Factors, logic_area_factor, logic_energy_factor
from dse.spec.core_cost import ComponentsCost
from dse.spec.tile_parts import FixedShiftAdd, PerBitBuffer
from dse.units import Quantity

NOMINAL_V = 0.8
BYTES_PER_KB = 1024


def shift_add_pj(cost: ComponentsCost, at: OperatingPoint, factor: Factors) -> Quantity:
    """Energy of one addition of one column [pJ]; 0 without an adder."""
    adder = cost.shift_add
    if adder is None:
        return 0.0
    if isinstance(adder, FixedShiftAdd):
        return factor.logic * adder.add_pj
    node = logic_energy_factor(from_nm=FULL_ADDER_NM, to_nm=at.node_nm, from_v=NOMINAL_V, to_v=NOMINAL_V)
    return node * adder.width_bits * full_adder_pj(supply_v=at.supply_v)


def adder_mm2(cost: ComponentsCost, at: OperatingPoint, factor: Factors) -> Quantity:
    """Area of the adder of one column [mm²]; 0 without an adder."""
    adder = cost.shift_add
    if adder is None:
        return 0.0
    if isinstance(adder, FixedShiftAdd):
        return factor.area * adder.area_mm2
    return logic_area_factor(from_nm=FULL_ADDER_NM, to_nm=at.node_nm) * adder.width_bits * FULL_ADDER_MM2


def buffers_pj(cost: ComponentsCost, at: OperatingPoint, use: Use, factor: Factors) -> Quantity:
    """Energy of the input and output buffers for products [pJ]; every bit is written once and read once."""
    buffer = cost.buffer
    if buffer is None:
        return 0.0
    bits = use.rows * at.dac_bits + use.cols * at.adc_bits
    if isinstance(buffer, PerBitBuffer):
        return factor.logic * buffer.bit_pj * bits
    size = {"capacity_kb": buffer.capacity_bytes / BYTES_PER_KB, "width_bits": buffer.width_bits, "node_nm": at.node_nm}
    return bits / buffer.width_bits * (sram_read_pj(**size) + sram_write_pj(**size))


def buffer_mm2(cost: ComponentsCost, at: OperatingPoint, factor: Factors) -> Quantity:
    """Area of the buffers of one tile [mm²]."""
    buffer = cost.buffer
    if buffer is None:
        return 0.0
    if isinstance(buffer, PerBitBuffer):
        return factor.area * buffer.area_mm2
    return sram_mm2(capacity_kb=buffer.capacity_bytes / BYTES_PER_KB, width_bits=buffer.width_bits, node_nm=at.node_nm)
