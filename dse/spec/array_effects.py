"""What wires and column circuits do to the weights of a crossbar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from dse.spec.quantity import CONFIG, NonNegative, Positive


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LinearNetwork:
    """The voltage lost in the wires, solved exactly; a fixed change of the weights."""

    __pydantic_config__ = CONFIG

    model: Literal["linear_network"]
    """``linear_network``: devices are linear, wires not in use are held; column and row wires act one after the
    other. The converter stands at the last row, the driver at the first column."""
    column_ohm: NonNegative = 0.0
    """Resistance of a column wire from one row to the next, and of its end to the converter [ohm]."""
    row_ohm: NonNegative = 0.0
    """Resistance of a row wire from one column to the next, and from the driver to the first [ohm]."""
    columns: Literal["separate", "interleaved"] = "separate"
    """``separate``: the two devices of a pair stand on column wires of their own; ``interleaved``: on one."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class AihwkitStatic:
    """The static approximation of the aihwkit library, which depends on the input; for comparison with it."""

    __pydantic_config__ = CONFIG

    model: Literal["aihwkit_static"]
    """``aihwkit_static``: y_i −= scale · c_i · Σ_j w_ij x_j (1 − (1 − j/n)²), c = 0.5 a − 0.2 a² + 0.05 a³,
    a_i = n · Σ_j |w_ij x_j| · column_ohm · g_max."""
    column_ohm: NonNegative = 0.35
    """Resistance of a column wire from one row to the next [ohm]."""
    g_max_usiemens: Positive = 5.0
    """Conductance of the largest weight; the library's own default is not that of its devices [µS]."""
    scale: NonNegative = 1.0
    """Factor on the drop: 1 = the formula, 0 = none."""


IrDrop = Annotated[LinearNetwork | AihwkitStatic, Field(discriminator="model")]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class VOffset:
    """A column whose summing node does not stay at the reference voltage."""

    __pydantic_config__ = CONFIG

    std_fraction: NonNegative
    """Spread of the offset over the read voltage: v = max(0, std · normal) once per column; the positive devices lose
    the share v of their current, the negative ones gain it [-]."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DriftCompensation:
    """A digital factor behind the converters that undoes the mean drift."""

    __pydantic_config__ = CONFIG

    scope: Literal["tile", "column"]
    """``tile``: one factor for a slice; ``column``: one for each of its output columns."""
    read: Literal["exact", "read_out"] = "exact"
    """``exact``: from the mean absolute weights; ``read_out``: from outputs of the tile for random full-range inputs,
    through its own converters."""
