"""What a tile spends at one operating point by the formulas and figures of its file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from dse.cost.converter import (
    capacitive_driver_pj,
    sar_column_ns,
    sar_column_pj,
    survey_adc_mm2,
    survey_adc_pj,
    switched_capacitor_adc_mm2,
    switched_capacitor_adc_ns,
    switched_capacitor_adc_pj,
    table_value,
)
from dse.cost.crossbar_components import (
    REMAINDER,
    Events,
    Use,
    events,
    mean_conductance_usiemens,
    product_ns,
    product_parts_pj,
    resistive_cell_pj,
    tile_mm2,
)
from dse.cost.operating_point import OperatingPoint
from dse.cost.periphery import adder_mm2, buffer_mm2, buffers_pj, shift_add_pj
from dse.cost.technology import Factors, technology_factors
from dse.spec.adc_model import FixedAdc, PerStepAdc, SarColumnAdc, SurveyAdc, SwitchedCapacitorAdc
from dse.spec.analog_core import AnalogCore
from dse.spec.core_cost import ComponentsCost
from dse.spec.tile_parts import CapacitiveCell, CapacitiveDriver, FixedCell, ResistiveCell
from dse.units import Quantity


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Remainder:
    """What calibration adds to the figures of the file."""

    row_pj: Quantity = 0.0
    cell_pj: Quantity = 0.0
    column_pj: Quantity = 0.0
    adc_pj: Quantity = 0.0
    post_pj: Quantity = 0.0
    fixed_pj: Quantity = 0.0
    leak_mw: Quantity = 0.0
    settle_ns: Quantity = 0.0
    conversion_ns: Quantity = 0.0
    post_ns: Quantity = 0.0
    fixed_mm2: Quantity = 0.0
    column_mm2: Quantity = 0.0
    cell_mm2: Quantity = 0.0


def factors_at(cost: ComponentsCost, at: OperatingPoint) -> Factors:
    """Factors of the technology and voltage of an operating point on the figures of the file."""
    return technology_factors(cost, node_nm=at.node, supply_v=at.supply)


def conversion_pj(cost: ComponentsCost, at: OperatingPoint) -> Quantity:
    """Energy of one conversion, or of one step of a converter that works in steps [pJ]."""
    adc, analog = cost.adc, factors_at(cost, at).analog
    match adc:
        case None:
            return 0.0
        case FixedAdc():
            return analog * adc.conversion_pj
        case PerStepAdc():
            return analog * adc.step_pj
        case SurveyAdc():
            return analog * adc.energy_scale * survey_pj(adc, at)
        case SarColumnAdc():
            return analog * sar_column_pj(
                bits=at.adc_bits, node_nm=at.node_nm, column_ohm=adc.column_ohm, temperature_k=adc.temperature_k
            )
        case SwitchedCapacitorAdc():
            return switched_capacitor_adc_pj(
                bits=at.adc_bits, per_bit_ff=adc.per_bit_ff, per_level_ff=adc.per_level_ff, supply_v=at.supply_v
            )
    bits, values = tuple(p.bits for p in adc.points), tuple(p.conversion_pj for p in adc.points)
    return analog * table_value(at=at.adc_bits, bits=bits, values=values)


def survey_pj(adc: SurveyAdc, at: OperatingPoint) -> Quantity:
    """Energy of one conversion by the regression, without the factor of the file [pJ]."""
    is_raw = adc.steps == "raw"
    return survey_adc_pj(bits=at.adc_bits, node_nm=at.node_nm, conversion_ns=adc.conversion_ns, is_raw=is_raw)


def conversion_ns(cost: ComponentsCost, at: OperatingPoint) -> Quantity:
    """Time of one conversion, or of one step, at the reference voltage [ns]."""
    adc = cost.adc
    match adc:
        case None:
            return 0.0
        case FixedAdc() | SurveyAdc():
            return adc.conversion_ns
        case PerStepAdc():
            return adc.step_ns
        case SarColumnAdc():
            return sar_column_ns(bits=at.adc_bits)
        case SwitchedCapacitorAdc():
            return switched_capacitor_adc_ns(bits=at.adc_bits, rows=at.rows)
    bits, values = tuple(p.bits for p in adc.points), tuple(p.conversion_ns for p in adc.points)
    return table_value(at=at.adc_bits, bits=bits, values=values)


def converter_mm2(cost: ComponentsCost, at: OperatingPoint) -> Quantity:
    """Area of one output converter [mm²]."""
    adc = cost.adc
    match adc:
        case None:
            return 0.0
        case FixedAdc() | SarColumnAdc() | PerStepAdc():
            return adc.area_mm2
        case SurveyAdc():
            area = survey_adc_mm2(node_nm=at.node_nm, conversion_ns=adc.conversion_ns, energy_pj=survey_pj(adc, at))
            return adc.area_scale * area
        case SwitchedCapacitorAdc():
            return switched_capacitor_adc_mm2(bits=at.adc_bits)
    bits, values = tuple(p.bits for p in adc.points), tuple(p.area_mm2 for p in adc.points)
    return table_value(at=at.adc_bits, bits=bits, values=values)


def conversions_of(cost: ComponentsCost, at: OperatingPoint) -> Quantity:
    """Conversions of a column in one read phase; steps, for a converter that works in steps."""
    return at.steps if isinstance(cost.adc, PerStepAdc) else at.slices.segments


def driver_pj(cost: ComponentsCost, at: OperatingPoint) -> Quantity:
    """Energy of the driver of one row, once [pJ]."""
    if isinstance(cost.dac, CapacitiveDriver):
        return capacitive_driver_pj(
            bits=at.dac_bits if at.bits_per_phase is None else np.minimum(at.bits_per_phase, at.dac_bits),
            per_bit_ff=cost.dac.per_bit_ff,
            supply_v=at.supply_v,
            line_ff=cost.dac.per_column_ff * at.cols,
        )
    return 0.0 if cost.dac is None else factors_at(cost, at).analog * cost.dac.drive_pj


def cell_pj(core: AnalogCore, cost: ComponentsCost, at: OperatingPoint) -> Quantity:
    """Energy of one cell, once [pJ]."""
    cell = cost.cell
    match cell:
        case None:
            return 0.0
        case FixedCell():
            return factors_at(cost, at).analog * cell.read_pj
        case CapacitiveCell():
            return capacitive_driver_pj(bits=1.0, per_bit_ff=0.0, supply_v=at.supply_v, line_ff=cell.cell_ff)
        case ResistiveCell():
            conductance, fraction = cell.mean_conductance_usiemens, cell.mean_pulse_fraction
        case _:
            fraction = cell.input_mean_square_fraction
            conductance = mean_conductance_usiemens(
                g_max_usiemens=core.device.g_max_usiemens,
                g_min_usiemens=core.device.g_min_usiemens,
                weight_mean_abs_fraction=cell.weight_mean_abs_fraction,
                devices=2 if core.weight is None else core.weight.devices,
            )
    return resistive_cell_pj(
        read_v=cell.read_v, conductance_usiemens=conductance, pulse_ns=at.pulse_ns, pulse_fraction=fraction
    )


def energy_at(
    core: AnalogCore, cost: ComponentsCost, at: OperatingPoint, extra: Remainder, use: Use
) -> dict[str, Quantity]:
    """Part → energy of products [pJ]; settings of the operating point, rows and columns of the use."""
    factor, slices = factors_at(cost, at), at.slices
    n = events(
        use=use,
        phases=at.phases,
        drives=slices.drives,
        pulses=slices.pulses,
        conversions=conversions_of(cost, at),
        weight_slices=at.weight_slices,
    )
    explained = product_parts_pj(
        n=n,
        row_pj=driver_pj(cost, at) + factor.analog * cost.row_pj,
        cell_pj=cell_pj(core, cost, at),
        sample_pj=factor.analog * cost.sample_pj,
        integrate_pj=factor.analog * cost.integrate_pj,
        column_pj=factor.analog * cost.column_pj,
        adc_pj=conversion_pj(cost, at),
        add_pj=shift_add_pj(cost, at, factor),
        post_pj=factor.logic * cost.post_pj,
        buffer_pj=buffers_pj(cost, at, use, factor),
        fixed_pj=factor.logic * cost.fixed_pj,
        leak_mw=cost.leak_mw,
    )
    return explained | {REMAINDER: remainder_pj(n, extra, factor)}


def remainder_pj(n: Events, extra: Remainder, factor: Factors) -> Quantity:
    """Energy that calibration adds to products [pJ]: what it found of each price, times the events."""
    prices = (
        (n.row, extra.row_pj, factor.analog),
        (n.cell, extra.cell_pj, factor.analog),
        (n.column, extra.column_pj, factor.analog),
        (n.adc, extra.adc_pj, factor.analog),
        (n.post, extra.post_pj, factor.logic),
        (n.fixed, extra.fixed_pj, factor.logic),
        (n.leak, extra.leak_mw, 1.0),
    )
    return sum((times * (scale * price) for times, price, scale in prices if np.any(price)), 0.0)


def time_at(cost: ComponentsCost, at: OperatingPoint, extra: Remainder) -> Quantity:
    """Time of one product [ns]; pulses are as long as the file says, everything else follows voltage and node."""
    parts = time_parts_at(cost, at, extra)
    return product_ns(
        pulse_ns=parts["input pulses"],
        settle_ns=parts["settling"],
        conversion_ns=parts["conversion"],
        post_ns=parts["after all phases"],
        overlap=cost.overlap,
    )


def time_parts_at(cost: ComponentsCost, at: OperatingPoint, extra: Remainder) -> dict[str, Quantity]:
    """Part → time of one product in all read phases [ns]."""
    factor, slices = factors_at(cost, at), at.slices
    one = conversion_ns(cost, at) + extra.conversion_ns
    return {
        "input pulses": at.phases * slices.pulses * at.pulse_ns,
        "settling": at.phases * factor.delay * slices.segments * (cost.settle_ns + extra.settle_ns),
        "conversion": at.phases * factor.delay * at.rounds * conversions_of(cost, at) * one,
        "after all phases": factor.delay * factor.node_delay * (cost.post_ns + extra.post_ns),
    }


def area_at(cost: ComponentsCost, at: OperatingPoint, extra: Remainder) -> dict[str, Quantity]:
    """Part → area of one tile [mm²]."""
    factor = factors_at(cost, at)
    of_tile = partial(
        tile_mm2,
        rows=at.rows,
        cols=at.cols,
        tiers=at.tiers,
        weight_slices=at.weight_slices,
        adc_per_tile=at.adc_per_tile,
    )
    explained = of_tile(
        cell_mm2=0.0 if cost.cell is None else cost.cell.area_mm2,
        row_mm2=0.0 if cost.dac is None else cost.dac.area_mm2,
        adc_mm2=converter_mm2(cost, at),
        column_mm2=factor.area * cost.column_area_mm2 + adder_mm2(cost, at, factor),
        fixed_mm2=factor.area * cost.fixed_area_mm2 + buffer_mm2(cost, at, factor),
    )
    added = of_tile(
        cell_mm2=extra.cell_mm2,
        row_mm2=0.0,
        adc_mm2=0.0,
        column_mm2=factor.area * extra.column_mm2,
        fixed_mm2=factor.area * extra.fixed_mm2,
    )
    return explained | {REMAINDER: sum(added.values(), 0.0)}
