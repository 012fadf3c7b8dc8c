"""The datasheet of one analog core: what one tile does per product, per second, per watt and per area."""

from __future__ import annotations

from dataclasses import dataclass

from dse.cost.tile import mvm_cost, tile_area_mm2
from dse.spec.architecture import AnalogCore
from dse.units import Quantity


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Datasheet:
    """Peak figures of one tile; a multiply-accumulate counts as two operations."""

    mvm_energy_pj: Quantity
    mvm_latency_ns: Quantity
    area_mm2: Quantity
    power_mw: Quantity
    tops: Quantity
    tops_per_w: Quantity
    tops_per_mm2: Quantity


def core_datasheet(core: AnalogCore) -> Datasheet:
    """Figures of one tile with all rows and columns in use.

    ``TOPS = 2 · rows · cols / T_mvm / 1000``, ``TOPS/W = 2 · rows · cols / E_mvm`` (operations per pJ).
    """
    ops, mvm, area = 2.0 * core.rows * core.cols, mvm_cost(core), tile_area_mm2(core)
    tops = ops / mvm.latency_ns / 1000
    return Datasheet(
        mvm_energy_pj=mvm.energy_pj,
        mvm_latency_ns=mvm.latency_ns,
        area_mm2=area,
        power_mw=mvm.energy_pj / mvm.latency_ns,
        tops=tops,
        tops_per_w=ops / mvm.energy_pj,
        tops_per_mm2=tops / area,
    )
