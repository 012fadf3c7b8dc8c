"""What must hold between the values of a core's components and its calibration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import numpy as np

from dse.spec.core_cost import CalibrationPoint, ComponentsCost, SarColumnAdc, SurveyAdc
from dse.spec.violation import Violation

if TYPE_CHECKING:
    from dse.spec.architecture import AnalogCore

SAR_NODES_NM: Final = (7, 14, 22)
SURVEY_BITS: Final = 4
LOGIC_NODES_NM: Final = (7, 130)


def cost_violations(core: AnalogCore) -> Iterator[Violation]:
    """Every broken rule of the components of a core."""
    cost = core.cost
    if not isinstance(cost, ComponentsCost):
        return
    steps = ("analog_cores", core.name)
    if core.read is None:
        yield Violation((*steps, "cost", "model"), "components needs read: {phases: …, pulse_ns: …} on the core")
    if isinstance(cost.adc, SurveyAdc):
        lowest = min([float(np.min(core.adc.bits)), *(float(np.min(p.adc_bits)) for p in cost.calibration)])
        if lowest < SURVEY_BITS:
            message = f"the survey begins at {SURVEY_BITS} bits (got {lowest:g}); write more bits, or adc.model: fixed"
            yield Violation((*steps, "adc", "bits"), message)
    nodes = [cost.node_nm, *([cost.scaled_from.node_nm] if cost.scaled_from else [])]
    if isinstance(cost.adc, SarColumnAdc) and not all(np.isin(node, SAR_NODES_NM).all() for node in nodes):
        yield Violation((*steps, "cost", "node_nm"), "sar_column is known at 7, 14 and 22 nm; choose one of these")
    low, high = LOGIC_NODES_NM
    if cost.scaled_from and any(np.min(node) < low or np.max(node) > high for node in nodes):
        yield Violation((*steps, "cost", "node_nm"), f"scaled_from holds from {low} to {high} nm; leave it out")
    yield from calibration_violations(cost, (*steps, "cost", "calibration"))


def calibration_violations(cost: ComponentsCost, steps: tuple[str | int, ...]) -> Iterator[Violation]:
    """Too few points for what is free, points that contradict each other, an area without its array."""
    products = [np.asarray(p.phases * p.rows_driven, np.float64) for p in cost.calibration]
    is_two = cost.free.energy == "row_and_fixed" or (cost.free.energy is None and len(products) > 1)
    if is_two and products and all(np.all(x == products[0]) for x in products):
        message = (
            "row_and_fixed needs two points that differ in phases or rows_driven; add one, or write free: {energy: row}"
        )
        yield Violation(steps, message)
    for index, point in enumerate(cost.calibration):
        earlier = next((i for i, other in enumerate(cost.calibration[:index]) if _contradict(point, other)), None)
        if earlier is not None:
            message = f"has the settings of point {earlier} and other figures; keep one of the two"
            yield Violation((*steps, index), message)
        if point.area_mm2 is not None and None in (point.rows, point.cols, point.tiers_per_tile):
            yield Violation((*steps, index, "area_mm2"), "needs rows, cols and tiers_per_tile of the same point")


def _contradict(one: CalibrationPoint, other: CalibrationPoint) -> bool:
    settings = ("rows_driven", "cols_used", "phases", "dac_bits", "adc_bits", "adc_per_tile", "pulse_ns")
    same = all(np.array_equal(getattr(one, name), getattr(other, name)) for name in settings)
    return same and not (np.array_equal(one.energy_pj, other.energy_pj) and np.array_equal(one.time_ns, other.time_ns))
