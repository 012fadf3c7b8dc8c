"""What a tile spends by its formulas at one operating point, before anything is calibrated."""

from __future__ import annotations

from dataclasses import dataclass

from dse.cost.converter import capacitive_driver_pj, sar_column_ns, sar_column_pj, survey_adc_mm2, survey_adc_pj
from dse.cost.crossbar_components import conversion_rounds, product_ns, product_parts_pj, resistive_cell_pj, tile_mm2
from dse.cost.technology import logic_area_factor, logic_energy_factor
from dse.spec.architecture import AnalogCore
from dse.spec.core_cost import CalibrationPoint, CapacitiveDriver, ComponentsCost, FixedAdc, ResistiveCell, SurveyAdc
from dse.units import Quantity


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class OperatingPoint:
    """One way to run a tile, and its technology."""

    rows_used: Quantity
    cols_used: Quantity
    phases: Quantity
    rows: Quantity
    cols: Quantity
    tiers: Quantity
    dac_bits: Quantity
    adc_bits: Quantity
    adc_per_tile: Quantity
    pulse_ns: Quantity
    node_nm: Quantity
    supply_v: Quantity

    @property
    def rounds(self) -> Quantity:
        """Conversions of one converter in a read phase."""
        return conversion_rounds(cols_used=self.cols_used, adc_per_tile=self.adc_per_tile)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Remainder:
    """What is added to the formulas: the figures of the file, and what calibration found."""

    row_pj: Quantity = 0.0
    fixed_pj: Quantity = 0.0
    settle_ns: Quantity = 0.0
    conversion_ns: Quantity = 0.0
    area_mm2: Quantity = 0.0


def point_of_core(core: AnalogCore, cost: ComponentsCost, rows_used: Quantity, cols_used: Quantity) -> OperatingPoint:
    """The operating point that the file describes."""
    assert core.read is not None, core.name
    return OperatingPoint(
        rows_used=rows_used, cols_used=cols_used, phases=core.read.phases,
        rows=core.rows, cols=core.cols, tiers=core.tiers_per_tile,
        dac_bits=core.dac.bits, adc_bits=core.adc.bits, adc_per_tile=core.adc.per_tile, pulse_ns=core.read.pulse_ns,
        node_nm=cost.node_nm, supply_v=cost.supply_v,
    )  # fmt: skip


def point_of_calibration(core: AnalogCore, cost: ComponentsCost, given: CalibrationPoint) -> OperatingPoint:
    """A published operating point; the size of the array counts only where it states an area."""
    own = point_of_core(core, cost, given.rows_driven, given.cols_used)
    at = cost.scaled_from or cost

    def stated(value: Quantity | None, otherwise: Quantity) -> Quantity:
        return otherwise if value is None else value

    return OperatingPoint(
        rows_used=given.rows_driven, cols_used=given.cols_used, phases=given.phases,
        rows=stated(given.rows, own.rows), cols=stated(given.cols, own.cols),
        tiers=stated(given.tiers_per_tile, own.tiers),
        dac_bits=given.dac_bits, adc_bits=given.adc_bits, adc_per_tile=given.adc_per_tile, pulse_ns=given.pulse_ns,
        node_nm=at.node_nm, supply_v=at.supply_v,
    )  # fmt: skip


def conversion_pj(cost: ComponentsCost, at: OperatingPoint) -> Quantity:
    """Energy of one conversion [pJ]."""
    adc = cost.adc
    if isinstance(adc, FixedAdc):
        return adc.conversion_pj
    if isinstance(adc, SurveyAdc):
        return adc.energy_scale * survey_pj(adc, at)
    return sar_column_pj(
        bits=at.adc_bits, node_nm=at.node_nm, column_ohm=adc.column_ohm, temperature_k=adc.temperature_k
    )


def survey_pj(adc: SurveyAdc, at: OperatingPoint) -> Quantity:
    """Energy of one conversion by the regression, without the factor of the file [pJ]."""
    is_raw = adc.steps == "raw"
    return survey_adc_pj(bits=at.adc_bits, node_nm=at.node_nm, conversion_ns=adc.conversion_ns, is_raw=is_raw)


def conversion_ns(cost: ComponentsCost, at: OperatingPoint) -> Quantity:
    """Time of one conversion [ns]."""
    if isinstance(cost.adc, FixedAdc | SurveyAdc):
        return cost.adc.conversion_ns
    return sar_column_ns(bits=at.adc_bits)


def converter_mm2(cost: ComponentsCost, at: OperatingPoint) -> Quantity:
    """Area of one output converter [mm²]."""
    adc = cost.adc
    if isinstance(adc, SurveyAdc):
        area = survey_adc_mm2(node_nm=at.node_nm, conversion_ns=adc.conversion_ns, energy_pj=survey_pj(adc, at))
        return adc.area_scale * area
    return adc.area_mm2


def driver_pj(cost: ComponentsCost, at: OperatingPoint) -> Quantity:
    """Energy of the driver of one row in one read phase [pJ]."""
    if isinstance(cost.dac, CapacitiveDriver):
        return capacitive_driver_pj(bits=at.dac_bits, per_bit_ff=cost.dac.per_bit_ff, supply_v=at.supply_v)
    return cost.dac.drive_pj


def cell_pj(cost: ComponentsCost, at: OperatingPoint) -> Quantity:
    """Energy of one cell in one read phase [pJ]."""
    cell = cost.cell
    if not isinstance(cell, ResistiveCell):
        return cell.read_pj
    return resistive_cell_pj(
        read_v=cell.read_v,
        conductance_usiemens=cell.mean_conductance_usiemens,
        pulse_ns=at.pulse_ns,
        pulse_fraction=cell.mean_pulse_fraction,
    )


def logic_factors(cost: ComponentsCost, at: OperatingPoint) -> tuple[Quantity, Quantity]:
    """Energy and area of the periphery at this technology, over those that the file and its calibration state."""
    base = cost.scaled_from
    if base is None:
        return 1.0, 1.0
    energy = logic_energy_factor(from_nm=base.node_nm, to_nm=at.node_nm, from_v=base.supply_v, to_v=at.supply_v)
    return energy, logic_area_factor(from_nm=base.node_nm, to_nm=at.node_nm)


def energy_at(cost: ComponentsCost, at: OperatingPoint, extra: Remainder) -> dict[str, Quantity]:
    """Part → energy of one product [pJ]."""
    scale, _ = logic_factors(cost, at)
    return product_parts_pj(
        rows_used=at.rows_used,
        cols_used=at.cols_used,
        phases=at.phases,
        row_pj=driver_pj(cost, at) + scale * (cost.row_pj + extra.row_pj),
        cell_pj=cell_pj(cost, at),
        column_pj=scale * cost.column_pj,
        adc_pj=conversion_pj(cost, at),
        post_pj=scale * cost.post_pj,
        fixed_pj=scale * (cost.fixed_pj + extra.fixed_pj),
    )


def time_at(cost: ComponentsCost, at: OperatingPoint, extra: Remainder) -> Quantity:
    """Time of one product [ns]; it does not scale with the technology."""
    return product_ns(
        phases=at.phases,
        pulse_ns=at.pulse_ns,
        settle_ns=cost.settle_ns + extra.settle_ns,
        rounds=at.rounds,
        adc_ns=conversion_ns(cost, at) + extra.conversion_ns,
        post_ns=cost.post_ns,
    )


def area_at(cost: ComponentsCost, at: OperatingPoint, extra: Remainder) -> Quantity:
    """Area of one tile [mm²]."""
    _, scale = logic_factors(cost, at)
    return tile_mm2(
        rows=at.rows,
        cols=at.cols,
        tiers=at.tiers,
        adc_per_tile=at.adc_per_tile,
        cell_mm2=cost.cell.area_mm2,
        row_mm2=cost.dac.area_mm2,
        adc_mm2=converter_mm2(cost, at),
        column_mm2=scale * cost.column_area_mm2,
        fixed_mm2=scale * (cost.fixed_area_mm2 + extra.area_mm2),
    )
