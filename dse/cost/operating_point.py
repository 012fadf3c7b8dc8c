"""One way to run a tile: its settings and its technology."""

from __future__ import annotations

from dataclasses import dataclass

from dse.cost.crossbar_components import conversion_rounds
from dse.cost.input_slices import Encoding, InputSlices, conversion_steps, input_slices
from dse.spec.analog_core import AnalogCore
from dse.spec.calibration_point import CalibrationPoint
from dse.spec.core_cost import ComponentsCost
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
    weight_slices: Quantity
    dac_bits: Quantity
    adc_bits: Quantity
    adc_per_tile: Quantity
    pulse_ns: Quantity
    node: Quantity | None
    """Technology node [nm], where it matters."""
    supply: Quantity | None
    """Supply voltage [V], where it matters."""
    encoding: Encoding
    bits_per_phase: Quantity | None

    @property
    def node_nm(self) -> Quantity:
        """Technology node of a tile whose formulas need one."""
        assert self.node is not None
        return self.node

    @property
    def supply_v(self) -> Quantity:
        """Supply voltage of a tile whose formulas need one."""
        assert self.supply is not None
        return self.supply

    @property
    def slices(self) -> InputSlices:
        """Events of one read phase."""
        return input_slices(encoding=self.encoding, bits=self.dac_bits, bits_per_phase=self.bits_per_phase)

    @property
    def steps(self) -> Quantity:
        """Steps of a converter that works bit by bit, in one read phase."""
        return conversion_steps(slices=self.slices, bits=self.adc_bits)

    @property
    def rounds(self) -> Quantity:
        """Conversions of one converter for each input slice."""
        return conversion_rounds(
            cols_used=self.cols_used, weight_slices=self.weight_slices, adc_per_tile=self.adc_per_tile
        )


def point_of_core(core: AnalogCore, cost: ComponentsCost, rows_used: Quantity, cols_used: Quantity) -> OperatingPoint:
    """The operating point that the core describes."""
    assert core.read is not None, core.name
    return OperatingPoint(
        rows_used=rows_used, cols_used=cols_used, phases=core.read.phases,
        rows=core.rows, cols=core.cols, tiers=core.tiers_per_tile,
        weight_slices=1 if core.weight is None else core.weight.bit_slices,
        dac_bits=core.dac.bits, adc_bits=core.adc.bits, adc_per_tile=core.adc.per_tile, pulse_ns=core.read.pulse_ns,
        node=cost.node_nm, supply=cost.supply_v,
        encoding=core.dac.encoding, bits_per_phase=core.dac.bits_per_phase,
    )  # fmt: skip


def point_of_calibration(core: AnalogCore, cost: ComponentsCost, given: CalibrationPoint) -> OperatingPoint:
    """A published operating point; a setting that it does not state is the core's."""
    own, at = point_of_core(core, cost, core.rows, core.cols), cost.scaled_from or cost

    def stated(value: Quantity | None, otherwise: Quantity) -> Quantity:
        return otherwise if value is None else value

    return OperatingPoint(
        rows_used=stated(given.rows_driven, own.rows), cols_used=stated(given.cols_used, own.cols),
        phases=stated(given.phases, own.phases), rows=stated(given.rows, own.rows), cols=stated(given.cols, own.cols),
        tiers=stated(given.tiers_per_tile, own.tiers), weight_slices=stated(given.bit_slices, own.weight_slices),
        dac_bits=stated(given.dac_bits, own.dac_bits), adc_bits=stated(given.adc_bits, own.adc_bits),
        adc_per_tile=stated(given.adc_per_tile, own.adc_per_tile), pulse_ns=stated(given.pulse_ns, own.pulse_ns),
        node=at.node_nm if given.node_nm is None else given.node_nm,
        supply=at.supply_v if given.supply_v is None else given.supply_v,
        encoding=own.encoding,
        bits_per_phase=own.bits_per_phase if given.bits_per_phase is None else given.bits_per_phase,
    )  # fmt: skip
