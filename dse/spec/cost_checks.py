"""What must hold between the values of a core's components, its table and its calibration."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from dse.spec.adc_model import ConverterPoint, SarColumnAdc, SurveyAdc, SwitchedCapacitorAdc, TableAdc
from dse.spec.calibration_point import CalibrationPoint
from dse.spec.core_cost import ComponentsCost, TableCost, TablePoint
from dse.spec.tile_parts import CapacitiveCell, CapacitiveDriver, FullAdderShiftAdd, SramBuffer
from dse.spec.violation import Violation

if TYPE_CHECKING:
    from dse.spec.analog_core import AnalogCore

SAR_NODES_NM: Final = (7, 14, 22)
SURVEY_BITS: Final = 4
LOGIC_NODES_NM: Final = (7, 130)
VOLTAGES: Final = (0.5, 1.5)
"""Supply voltage over that of the file, for which the scaling holds."""
CAPACITIVE: Final = (CapacitiveDriver, CapacitiveCell, SwitchedCapacitorAdc, FullAdderShiftAdd)
"""Parts whose energy is a capacitance times the square of the supply voltage."""
ENERGY_FIGURES: Final = ("energy_pj", "power_mw", "tops_per_w")
TIME_FIGURES: Final = ("time_ns", "tops")
TABLE_FIGURES: Final = ("energy_pj", "time_ns")
CONVERTER_FIGURES: Final = ("conversion_pj", "conversion_ns", "area_mm2")
Point = CalibrationPoint | TablePoint | ConverterPoint
Steps = tuple[str | int, ...]


def cost_violations(core: AnalogCore) -> Iterator[Violation]:
    """Every broken rule of the cost of a core."""
    cost, steps = core.cost, ("analog_cores", core.name)
    if isinstance(cost, TableCost):
        if not cost.points:
            yield Violation((*steps, "cost"), "table needs file: points.csv, or points: [{rows_used: …, …}]")
        yield from _contradictions(cost.points, TABLE_FIGURES, (*steps, "cost", "points"))
    if not isinstance(cost, ComponentsCost):
        return
    if core.read is None:
        yield Violation((*steps, "cost", "model"), "components needs read: {phases: …, pulse_ns: …} on the core")
    yield from _converter_violations(core, cost, steps)
    yield from _technology_violations(cost, (*steps, "cost"))
    yield from _calibration_violations(core, cost, (*steps, "cost", "calibration"))


def _converter_violations(core: AnalogCore, cost: ComponentsCost, steps: Steps) -> Iterator[Violation]:
    points = [p.adc_bits for p in cost.calibration if p.adc_bits is not None]
    bits = [float(b) for value in (core.adc.bits, *points) for b in (np.min(value), np.max(value))]
    where = (*steps, "adc", "bits")
    if isinstance(cost.adc, SurveyAdc) and min(bits) < SURVEY_BITS:
        message = f"the survey begins at {SURVEY_BITS} bits (got {min(bits):g}); write more bits, or adc.model: fixed"
        yield Violation(where, message)
    if isinstance(cost.adc, SarColumnAdc):
        nodes = [cost.node_nm, None if cost.scaled_from is None else cost.scaled_from.node_nm]
        if not all(node is None or np.isin(node, SAR_NODES_NM).all() for node in nodes):
            yield Violation((*steps, "cost", "node_nm"), "sar_column is known at 7, 14 and 22 nm; choose one of these")
    if isinstance(cost.adc, TableAdc):
        yield from _contradictions(cost.adc.points, CONVERTER_FIGURES, (*steps, "cost", "adc", "points"))
        known = [float(np.min(point.bits)) for point in cost.adc.points]
        if not known:
            yield Violation((*steps, "cost", "adc"), "table needs file: converters.csv, or points: [{bits: …, …}]")
        elif min(bits) < min(known) or max(bits) > max(known):
            got = next(b for b in bits if not min(known) <= b <= max(known))
            message = f"the table of converters has {min(known):g} to {max(known):g} bits (got {got:g}); add a point"
            yield Violation(where, message)


def _technology_violations(cost: ComponentsCost, steps: Steps) -> Iterator[Violation]:
    """A formula that needs a node or voltage that is not given, and scaling beyond where it holds."""
    needs_node = isinstance(cost.adc, SurveyAdc | SarColumnAdc) or isinstance(cost.buffer, SramBuffer)
    parts = (cost.dac, cost.cell, cost.adc, cost.shift_add)
    needs_supply = any(isinstance(part, CAPACITIVE) for part in parts) or any(
        point.supply_v is not None for point in cost.calibration
    )
    if cost.supply_v is None and (needs_supply or cost.scaled_from is not None):
        yield Violation((*steps, "supply_v"), "missing, but capacitive parts, calibration or scaled_from need it [V]")
    if cost.node_nm is None and (needs_node or cost.scaled_from is not None):
        yield Violation((*steps, "node_nm"), "missing, but converters, buffer or scaled_from need it [nm]")
    base = cost.scaled_from
    if base is None or cost.supply_v is None or cost.node_nm is None:
        return
    low, high = LOGIC_NODES_NM
    is_scaled = not np.array_equal(base.node_nm, cost.node_nm)
    if is_scaled and any(np.min(n) < low or np.max(n) > high for n in (base.node_nm, cost.node_nm)):
        message = f"scaling of logic holds from {low} to {high} nm; keep the node at which the values of the file hold"
        yield Violation((*steps, "node_nm"), message)
    ratio = np.asarray(cost.supply_v / base.supply_v)
    if np.min(ratio) < VOLTAGES[0] or np.max(ratio) > VOLTAGES[1]:
        low_v, high_v = (float(np.min(base.supply_v)) * bound for bound in VOLTAGES)
        worst = np.min(cost.supply_v) if np.min(ratio) < VOLTAGES[0] else np.max(cost.supply_v)
        message = f"voltage scaling holds from {low_v:g} to {high_v:g} V here (got {float(worst):g})"
        yield Violation((*steps, "supply_v"), message)


def _calibration_violations(core: AnalogCore, cost: ComponentsCost, steps: Steps) -> Iterator[Violation]:
    """Points without figures or with two for one thing, points that contradict, fewer points than free parameters."""
    for index, point in enumerate(cost.calibration):
        yield from _figure_violations(point, (*steps, index))
        yield from _fill_violations(core, point, (*steps, index))
    yield from _contradictions(cost.calibration, (*ENERGY_FIGURES, *TIME_FIGURES, "area_mm2"), steps)
    for key, figures in (("energy", ENERGY_FIGURES), ("time", TIME_FIGURES), ("area", ("area_mm2",))):
        free: tuple[str, ...] = getattr(cost.free, key) or ()
        n = sum(any(getattr(point, name) is not None for name in figures) for point in cost.calibration)
        if 0 < n < len(free):
            message = (
                f"{n} calibration point{'s state' if n > 1 else ' states'} {' or '.join(figures)}, fewer than the "
                f"{len(free)} free parameters {', '.join(free)}; add points or free fewer"
            )
            yield Violation((*steps[:-1], "free", key), message)
        if len(set(free)) < len(free):
            yield Violation((*steps[:-1], "free", key), "lists a parameter twice; leave one out")


def _figure_violations(point: CalibrationPoint, steps: Steps) -> Iterator[Violation]:
    stated = [name for name in (*ENERGY_FIGURES, *TIME_FIGURES, "area_mm2") if getattr(point, name) is not None]
    if not stated:
        yield Violation(steps, f"states no figure; add one of {', '.join((*ENERGY_FIGURES, *TIME_FIGURES))}, area_mm2")
    for figures in (ENERGY_FIGURES, TIME_FIGURES):
        both = [name for name in figures if name in stated]
        if len(both) > 1:
            yield Violation((*steps, both[1]), f"is given beside {both[0]}; keep one of the two")
    if "power_mw" in stated and not set(TIME_FIGURES) & set(stated):
        yield Violation((*steps, "power_mw"), "needs time_ns or tops beside it; energy is power times time")


def _fill_violations(core: AnalogCore, point: CalibrationPoint, steps: Steps) -> Iterator[Violation]:
    for used, there in (("rows_driven", "rows"), ("cols_used", "cols")):
        given, size = getattr(point, used), getattr(point, there)
        size = getattr(core, there) if size is None else size
        if given is not None and np.any(given > size):
            got = f"(got {float(np.max(given)):g})"
            yield Violation((*steps, used), f"exceeds {there} = {float(np.min(size)):g} of its array {got}")


def _contradictions(points: Sequence[Point], figures: Collection[str], steps: Steps) -> Iterator[Violation]:
    """Points of equal settings whose figures differ."""
    seen: dict[tuple[bytes | None, ...], int] = {}
    for index, point in enumerate(points):
        settings = [getattr(point, name) for name in point.__dataclass_fields__ if name not in figures]
        key = tuple(None if value is None else np.asarray(value, np.float64).tobytes() for value in settings)
        stated = [name for name in figures if getattr(point, name) is not None]
        firsts = [seen.setdefault((*key, name.encode()), index) for name in stated]
        pairs = zip(firsts, stated, strict=True)
        other = (i for i, name in pairs if not np.array_equal(getattr(points[i], name), getattr(point, name)))
        if (earlier := next(other, None)) is not None:
            message = f"has the settings of point {earlier} and other figures; keep one of the two"
            yield Violation((*steps, index), message)
