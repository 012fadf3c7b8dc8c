"""One product of a crossbar as the sum of its parts: drivers, array, converters, periphery."""

from __future__ import annotations

from typing import Final

import numpy as np

from dse.units import Quantity

PJ_PER_V2_US_NS: Final = 1e-3
COMPONENTS: Final = ("DAC", "array", "ADC", "column periphery", "fixed periphery")
"""Parts of the energy of one product."""


def product_parts_pj(
    *,
    rows_used: Quantity,
    cols_used: Quantity,
    phases: Quantity,
    row_pj: Quantity,
    cell_pj: Quantity,
    column_pj: Quantity,
    adc_pj: Quantity,
    post_pj: Quantity,
    fixed_pj: Quantity,
) -> dict[str, Quantity]:
    """Part → energy of one product [pJ].

    ``E = n_ph·[R·E_row + R·K·E_cell + K·(E_col + E_adc)] + K·E_post + E_fix``

    Valid for: energies that do not depend on the data; a macro spends two to three times less on zeros.

    >>> parts = product_parts_pj(rows_used=2.0, cols_used=3.0, phases=4.0, row_pj=1.0, cell_pj=1.0, column_pj=1.0,
    ...     adc_pj=1.0, post_pj=1.0, fixed_pj=1.0)
    >>> sum(parts.values())
    60.0
    """
    return {
        "DAC": phases * rows_used * row_pj,
        "array": phases * rows_used * cols_used * cell_pj,
        "ADC": phases * cols_used * adc_pj,
        "column periphery": phases * cols_used * column_pj + cols_used * post_pj,
        "fixed periphery": fixed_pj,
    }


def conversion_rounds(*, cols_used: Quantity, adc_per_tile: Quantity) -> Quantity:
    """Conversions that each converter makes one after the other [-]: ``ceil(K / A)``."""
    rounds: Quantity = np.ceil(cols_used / adc_per_tile)
    return rounds


def product_ns(
    *, phases: Quantity, pulse_ns: Quantity, settle_ns: Quantity, rounds: Quantity, adc_ns: Quantity, post_ns: Quantity
) -> Quantity:
    """Time of one product [ns].

    ``T = n_ph·max(T_row, T_settle + ceil(K/A)·T_adc) + T_post``

    Valid for: conversion that overlaps the input pulse; where it begins after the pulse, T_settle includes the pulse.
    """
    time: Quantity = phases * np.maximum(pulse_ns, settle_ns + rounds * adc_ns) + post_ns
    return time


def tile_mm2(
    *,
    rows: Quantity,
    cols: Quantity,
    tiers: Quantity,
    adc_per_tile: Quantity,
    cell_mm2: Quantity,
    row_mm2: Quantity,
    adc_mm2: Quantity,
    column_mm2: Quantity,
    fixed_mm2: Quantity,
) -> Quantity:
    """Area of one tile [mm²].

    ``tiers·R·K·a_cell + R·a_row + A·a_adc + K·a_col + a_fix``

    Valid for: tiers side by side; for tiers on top of each other give the area of one cell over the tiers.
    """
    return tiers * rows * cols * cell_mm2 + rows * row_mm2 + adc_per_tile * adc_mm2 + cols * column_mm2 + fixed_mm2


def resistive_cell_pj(
    *, read_v: Quantity, conductance_usiemens: Quantity, pulse_ns: Quantity, pulse_fraction: Quantity
) -> Quantity:
    """Energy of one conducting cell in one read phase [pJ]: ``E = V²·G·t``.

    Valid for: averages of conductance and pulse over a layer; the drop along the lines is left out.

    >>> round(resistive_cell_pj(read_v=0.2, conductance_usiemens=10.0, pulse_ns=128.0, pulse_fraction=1.0), 4)
    0.0512
    """
    return read_v**2 * conductance_usiemens * pulse_ns * pulse_fraction * PJ_PER_V2_US_NS
