"""The datasheet of one analog core: what one tile does per product, per second, per watt and per area."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dse.cost.tile import tile_of
from dse.errors import SpecError
from dse.spec.analog_core import AnalogCore
from dse.units import Quantity


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Datasheet:
    """Figures of one tile; a multiply-accumulate counts as two operations."""

    mvm_energy_pj: Quantity
    mvm_latency_ns: Quantity
    area_mm2: Quantity
    power_mw: Quantity
    tops: Quantity
    tops_per_w: Quantity
    tops_per_mm2: Quantity
    """Not a number where the file gives no area."""

    def _repr_html_(self) -> str:
        rows = [(field.name, getattr(self, field.name)) for field in dataclasses.fields(self)]
        return str(pd.DataFrame(rows, columns=["figure", "value"]).to_html(index=False))


def core_datasheet(core: AnalogCore, rows_used: Quantity | None = None, cols_used: Quantity | None = None) -> Datasheet:
    """Figures of one tile that works without pause, one product after the other.

    ``TOPS = 2·R·K / T_mvm / 1000``, ``TOPS/W = 2·R·K / E_mvm`` (operations per pJ), with the rows and columns in use.

    Args:
        core: the analog core.
        rows_used: rows driven; None: all.
        cols_used: columns read; None: all.

    Raises:
        SpecError: more rows or columns than the array has, or a calibration that its formulas cannot meet.
    """
    for name, used, there in (("rows", rows_used, core.rows), ("cols", cols_used, core.cols)):
        if used is not None and not np.all((np.asarray(used) > 0) & (np.asarray(used) <= there)):
            most = float(np.min(there))
            raise SpecError(f"{name}_used: the array has 1 to {most:g} {name} (got {used})")
    rows, cols = core.rows if rows_used is None else rows_used, core.cols if cols_used is None else cols_used
    tile, ops = tile_of(core), 2.0 * rows * cols
    mvm, area = tile.mvm(rows, cols), sum(tile.area_parts_mm2().values(), 0.0)
    tops = ops / mvm.latency_ns / 1000
    return Datasheet(
        mvm_energy_pj=mvm.energy_pj,
        mvm_latency_ns=mvm.latency_ns,
        area_mm2=area,
        power_mw=mvm.energy_pj / mvm.latency_ns,
        tops=tops,
        tops_per_w=ops / mvm.energy_pj,
        tops_per_mm2=tops / np.where(np.asarray(area) > 0, area, np.nan),
    )
