"""The closed system of units: each suffix of a name, what it means, and conversions used at the edge.

pJ/ns = mW, byte/ns = GB/s, op/pJ = TOPS/W, so formulas inside carry no factors.
"""

from __future__ import annotations

import math
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Quantity = float | NDArray[np.float64]
"""A physical quantity or count: one number, or one per design point."""

Precision = Literal["fp32", "bf16", "fp16", "fp8", "int8", "int4"]
"""How a number is stored or computed with."""

BITS: Final[dict[Precision, int]] = {"fp32": 32, "bf16": 16, "fp16": 16, "fp8": 8, "int8": 8, "int4": 4}

NS_PER_S: Final = 1e9
S_PER_YEAR: Final = 3.15576e7
PJ_PER_J: Final = 1e12
BITS_PER_BYTE: Final = 8
MM2_PER_CM2: Final = 100.0

SUFFIXES: Final[dict[str, str]] = {
    "_pj_per_bit_hop": "pJ/bit/hop",
    "_pj_per_cell": "pJ/cell",
    "_pj_per_bit": "pJ/bit",
    "_bytes_per_ns": "byte/ns = GB/s",
    "_ops_per_ns": "operations/ns = TOPS/1000",
    "_usiemens2": "µS²",
    "_usiemens": "µS",
    "_fraction": "share in [0, 1]",
    "_per_cm2": "1/cm²",
    "_tokens": "tokens",
    "_bytes": "byte",
    "_bits": "bit",
    "_ohm": "ohm",
    "_mm2": "mm²",
    "_pj": "pJ",
    "_fj": "fJ",
    "_nj": "nJ",
    "_ns": "ns",
    "_us": "µs",
    "_mw": "mW",
    "_nm": "nm",
    "_mm": "mm",
    "_ff": "fF",
    "_s": "s",
    "_k": "K",
    "_v": "V",
}
"""Suffix of a key → the unit it states, longest first."""


def at_point(values: ArrayLike, point: int = 0) -> float:
    """The value of one design: of an array (P,) its entry, of one number the number."""
    array = np.ravel(np.asarray(values, dtype=np.float64))
    return float(array[point] if len(array) > 1 else array[0])


def ratio(above: float, below: float) -> float:
    """One number over another, infinite over 0.

    >>> ratio(3.0, 2.0), ratio(1.0, 0.0)
    (1.5, inf)
    """
    return above / below if below else math.inf


def unit_of(name: str) -> str | None:
    """The unit a key states by its suffix, or None for a plain number.

    >>> unit_of("tile_area_mm2"), unit_of("rows")
    ('mm²', None)
    """
    return next((unit for suffix, unit in SUFFIXES.items() if name.endswith(suffix)), None)
