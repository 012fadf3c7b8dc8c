"""What one tile of an analog core costs: the one place where energy, time and area of a tile are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from dse.cost.calibration import calibrated, first_stating
from dse.cost.crossbar_components import REMAINDER, Use
from dse.cost.operating_point import point_of_core
from dse.cost.operating_table import read_operating_table
from dse.cost.tile_formulas import Remainder, area_at, energy_at, time_at, time_parts_at
from dse.errors import Problem, SpecError
from dse.spec.analog_core import AnalogCore
from dse.spec.architecture import Architecture
from dse.spec.core_cost import ComponentsCost, LumpedCost
from dse.spec.provenance import located
from dse.units import Quantity
from dse.workload.blocks import Matrix

LUMPED: Final = "analog MVM"
"""The one part of the energy of a core known by its totals or by a table."""
OPTIONAL_PARTS: Final = ("sample and hold", "shift-add", "buffers", "leakage", REMAINDER)
"""Parts that are left out where they are 0."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class MvmCost:
    """Cost of matrix-vector products."""

    parts_pj: Mapping[str, Quantity]
    """Part → energy [pJ]; they add up to the total."""
    latency_ns: Quantity
    """Time from input vector to output vector [ns]; of several products, the longest."""
    busy_ns: Quantity
    """Time of all products, one after the other [ns]."""
    products: Quantity = 1.0
    """How many they are."""

    @property
    def energy_pj(self) -> Quantity:
        """Energy of the products [pJ]."""
        return sum(self.parts_pj.values(), 0.0)


class MatrixUse(NamedTuple):
    """One product of a whole matrix."""

    use: Use
    """What its slices use together."""
    latency_ns: Quantity
    """Time of its slowest slice [ns]."""


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """A tile whose calibration is known."""

    core: AnalogCore
    extra: Remainder

    def mvm(self, rows_used: Quantity, cols_used: Quantity) -> MvmCost:
        """Cost of one product; that of a lumped core does not depend on the fill.

        Raises:
            SpecError: outside the table of the core.
        """
        cost = self.core.cost
        if isinstance(cost, LumpedCost):
            return MvmCost(
                parts_pj={LUMPED: cost.mvm.energy_pj}, latency_ns=cost.mvm.latency_ns, busy_ns=cost.mvm.latency_ns
            )
        if not isinstance(cost, ComponentsCost):
            read = read_operating_table(self.core, cost, rows_used=rows_used, cols_used=cols_used)
            return MvmCost(parts_pj={LUMPED: read.energy_pj}, latency_ns=read.time_ns, busy_ns=read.time_ns)
        time = self.time_ns(cost, cols_used)
        use = Use(1.0, rows_used, cols_used, rows_used * cols_used, time)
        return MvmCost(parts_pj=self.parts_pj(use), latency_ns=time, busy_ns=time)

    def matrix(self, matrix: Matrix) -> MatrixUse:
        """What one product of a whole matrix uses, each slice by the rows and columns that it has.

        A matrix of ``ceil(in/rows)·ceil(out/cols)`` slices: their sizes along the input differ by at most one, those
        along the output are full but for the last.
        """
        core, cost = self.core, self.core.cost
        n_rows = np.ceil(matrix.n_in / np.asarray(core.rows, np.float64))
        n_cols = np.ceil(matrix.n_out / np.asarray(core.cols, np.float64))
        edge = matrix.n_out - (n_cols - 1) * core.cols
        use = Use(n_rows * n_cols, n_cols * matrix.n_in, n_rows * matrix.n_out, 1.0 * matrix.n_weights, 0.0)
        if isinstance(cost, LumpedCost):
            return MatrixUse(use._replace(busy_ns=use.products * cost.mvm.latency_ns), cost.mvm.latency_ns)
        if not isinstance(cost, ComponentsCost):
            return self._by_table(matrix, use, n_rows, n_cols, edge)
        full_ns, edge_ns = self.time_ns(cost, np.minimum(core.cols, matrix.n_out)), self.time_ns(cost, edge)
        busy_ns = n_rows * ((n_cols - 1) * full_ns + edge_ns)
        return MatrixUse(use._replace(busy_ns=busy_ns), np.maximum(full_ns, edge_ns))

    def _by_table(self, matrix: Matrix, use: Use, n_rows: Quantity, n_cols: Quantity, edge: Quantity) -> MatrixUse:
        """Use of the slices of a matrix, each read from the table."""
        low = np.floor(matrix.n_in / n_rows)
        taller = matrix.n_in - low * n_rows
        energy: Quantity = 0.0
        busy: Quantity = 0.0
        latency: Quantity = 0.0
        full = np.minimum(self.core.cols, matrix.n_out)
        for rows, n_tall in ((np.where(taller > 0, low + 1, low), taller), (low, n_rows - taller)):
            for cols, n_wide in ((full, n_cols - 1), (edge, 1.0)):
                one, n = self.mvm(rows, cols), n_tall * n_wide
                energy, busy = energy + n * one.energy_pj, busy + n * one.latency_ns
                latency = np.maximum(latency, np.where(n > 0, one.latency_ns, 0.0))
        return MatrixUse(use._replace(busy_ns=busy, table_pj=energy), latency)

    def time_ns(self, cost: ComponentsCost, cols_used: Quantity) -> Quantity:
        """Time of one product of a core of components [ns]; it does not depend on the rows."""
        return cost.time_factor * time_at(cost, point_of_core(self.core, cost, self.core.rows, cols_used), self.extra)

    def parts_pj(self, use: Use) -> dict[str, Quantity]:
        """Part → energy of products [pJ]."""
        cost = self.core.cost
        if isinstance(cost, LumpedCost):
            return {LUMPED: use.products * cost.mvm.energy_pj}
        if not isinstance(cost, ComponentsCost):
            return {LUMPED: use.table_pj}
        at = point_of_core(self.core, cost, self.core.rows, self.core.cols)
        parts = energy_at(self.core, cost, at, self.extra, use)
        factor = cost.energy_factor
        return {name: factor * value for name, value in parts.items() if name not in OPTIONAL_PARTS or np.any(value)}

    def time_parts_ns(self, cols_used: Quantity) -> dict[str, Quantity]:
        """Part → time of one product [ns]; they add up where conversion waits for the pulse, else the longer counts."""
        cost = self.core.cost
        if not isinstance(cost, ComponentsCost):
            return {"product": self.mvm(self.core.rows, cols_used).latency_ns}
        parts = time_parts_at(cost, point_of_core(self.core, cost, self.core.rows, cols_used), self.extra)
        return {name: cost.time_factor * value for name, value in parts.items()}

    def area_parts_mm2(self) -> dict[str, Quantity]:
        """Part → area of the tile [mm²]."""
        cost = self.core.cost
        if not isinstance(cost, ComponentsCost):
            return {"tile": cost.tile_area_mm2}
        parts = area_at(cost, point_of_core(self.core, cost, self.core.rows, self.core.cols), self.extra)
        return {name: cost.area_factor * value for name, value in parts.items()}


def tile_of(core: AnalogCore) -> Tile:
    """The tile of a core, calibrated once.

    Raises:
        SpecError: a calibration that its formulas cannot meet.
    """
    cost = core.cost
    return Tile(core, calibrated(core, cost) if isinstance(cost, ComponentsCost) else Remainder())


def tiles_of(arch: Architecture) -> dict[str, Tile]:
    """The tile of every core group, by its name.

    Raises:
        SpecError: a calibration that its formulas cannot meet, of every core, with its place in the file.
    """
    tiles: dict[str, Tile] = {}
    problems: list[Problem] = []
    for core in arch.analog_cores:
        try:
            tiles[core.name] = tile_of(core)
        except SpecError as error:
            problems += located(error.problems, arch.provenance)
    if problems:
        raise SpecError(problems)
    return tiles


def mvm_cost(core: AnalogCore, rows_used: Quantity | None = None, cols_used: Quantity | None = None) -> MvmCost:
    """Energy and time of one product; a lumped core's do not depend on the fill.

    Args:
        core: the analog core.
        rows_used: rows driven; None: all.
        cols_used: columns read; None: all.

    Raises:
        SpecError: a calibration that its formulas cannot meet.
    """
    rows, cols = core.rows if rows_used is None else rows_used, core.cols if cols_used is None else cols_used
    return tile_of(core).mvm(rows, cols)


def tile_area_mm2(core: AnalogCore) -> Quantity:
    """Area of one tile: all its tiers and its periphery [mm²].

    Raises:
        SpecError: a calibration that its formulas cannot meet.
    """
    return sum(tile_of(core).area_parts_mm2().values(), 0.0)


_FIRST_PATH: Final = {
    "DAC": "dac", "array": "cell", "ADC": "adc", "column periphery": "column_pj", "fixed periphery": "fixed_pj",
    "leakage": "leak_mw", "sample and hold": "sample_pj", "shift-add": "shift_add", "buffers": "buffer",
}  # fmt: skip
"""Part → path below cost of its figure."""


def energy_source(core: AnalogCore, part: str) -> str:
    """Dotted path, below ``cost``, of the value that a part of the energy rests on most."""
    cost = core.cost
    if isinstance(cost, LumpedCost):
        return "mvm.energy_pj"
    if not isinstance(cost, ComponentsCost):
        return "points"
    return first_stating(cost, "energy_pj") if part == REMAINDER else _FIRST_PATH[part]
