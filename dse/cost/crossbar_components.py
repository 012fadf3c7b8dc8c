"""Products of a tile as the sum of their parts: drivers, array, converters, periphery."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from functools import reduce
from typing import Final, NamedTuple

import numpy as np

from dse.units import Quantity

PJ_PER_V2_US_NS: Final = 1e-3
REMAINDER: Final = "calibrated remainder"
"""What calibration adds to the parts that formulas and figures of the file explain."""
COMPONENTS: Final = ("DAC", "array", "sample and hold", "ADC", "column periphery", "shift-add", "buffers",
                     "fixed periphery", "leakage", REMAINDER)  # fmt: skip
"""Parts of the energy of a product; those a core has."""


class Use(NamedTuple):
    """What a number of products uses of their crossbars, added up."""

    products: Quantity
    rows: Quantity
    """Rows driven, Σ R."""
    cols: Quantity
    """Columns of weights read, Σ K."""
    cells: Quantity
    """Weights read, Σ R·K."""
    busy_ns: Quantity
    """Time, Σ T [ns]."""
    table_pj: Quantity = 0.0
    """Energy, where a table gives that of every product [pJ]."""


def use_of_all(counted: Iterable[tuple[int, Use]]) -> Use:
    """What several kinds of products use together, each of them so many times.

    >>> use_of_all([(2, Use(1.0, 3.0, 4.0, 12.0, 9.0)), (1, Use(1.0, 5.0, 4.0, 20.0, 9.0))])
    Use(products=3.0, rows=11.0, cols=12.0, cells=44.0, busy_ns=27.0, table_pj=0.0)
    """
    numbers = zip(*([times * number for number in use] for times, use in counted), strict=True)
    return Use(*(reduce(operator.add, kinds) for kinds in numbers))


class Events(NamedTuple):
    """How often each priced event happens in a number of products."""

    row: Quantity
    """Drives of a row, n_ph·n_in·R."""
    cell: Quantity
    """Reads of a cell, n_ph·n_pulse·s·R·K."""
    column: Quantity
    """Samples of a column of cells, n_ph·n_in·s·K."""
    pulse: Quantity
    """Pulses integrated on a column of cells, n_ph·n_pulse·s·K."""
    adc: Quantity
    """Conversions of a column of cells, n_ph·n_conv·s·K."""
    post: Quantity
    """Outputs, K."""
    fixed: Quantity
    """Products."""
    leak: Quantity
    """Time of the products [ns]."""


def events(
    *,
    use: Use,
    phases: Quantity,
    drives: Quantity,
    pulses: Quantity,
    conversions: Quantity,
    weight_slices: Quantity,
) -> Events:
    """Events of some products, with s columns of cells for one column of weights.

    Linear in the rows, columns, weights and products that are used, so that the partly filled crossbars of a matrix
    cost their sum. n_in counts drives, n_pulse pulses and n_conv conversions of a phase (steps, if priced).
    """
    columns = phases * weight_slices * use.cols
    return Events(
        row=phases * drives * use.rows,
        cell=phases * pulses * weight_slices * use.cells,
        column=columns * drives,
        pulse=columns * pulses,
        adc=columns * conversions,
        post=use.cols,
        fixed=use.products,
        leak=use.busy_ns,
    )


def product_parts_pj(
    *,
    n: Events,
    row_pj: Quantity,
    cell_pj: Quantity,
    sample_pj: Quantity,
    integrate_pj: Quantity,
    column_pj: Quantity,
    adc_pj: Quantity,
    add_pj: Quantity,
    post_pj: Quantity,
    buffer_pj: Quantity,
    fixed_pj: Quantity,
    leak_mw: Quantity,
) -> dict[str, Quantity]:
    """Part → energy of the products [pJ]: every event times its price.

    ``E = n_ph·{n_in·[R·E_row + K·s·(E_col + E_sample)] + n_pulse·K·s·(R·E_cell + E_int) + n_conv·K·s·(E_adc + E_add)}
    + K·E_post + E_buffer + E_fix + P_leak·T``; E_buffer is that of all products together.

    Valid for: energies that do not depend on the data; a macro spends two to three times less on zeros.

    >>> n = events(use=Use(1.0, 2.0, 3.0, 6.0, 0.0), phases=4.0, drives=1.0, pulses=1.0, conversions=1.0,
    ...     weight_slices=1.0)
    >>> parts = product_parts_pj(n=n, row_pj=1.0, cell_pj=1.0, sample_pj=0.0, integrate_pj=0.0, column_pj=1.0,
    ...     adc_pj=1.0, add_pj=0.0, post_pj=1.0, buffer_pj=0.0, fixed_pj=1.0, leak_mw=0.0)
    >>> sum(parts.values())
    60.0
    """
    return {
        "DAC": n.row * row_pj,
        "array": n.cell * cell_pj,
        "sample and hold": n.column * sample_pj + n.pulse * integrate_pj,
        "ADC": n.adc * adc_pj,
        "column periphery": n.column * column_pj + n.post * post_pj,
        "shift-add": n.adc * add_pj,
        "buffers": buffer_pj,
        "fixed periphery": n.fixed * fixed_pj,
        "leakage": n.leak * leak_mw,
    }


def conversion_rounds(*, cols_used: Quantity, weight_slices: Quantity, adc_per_tile: Quantity) -> Quantity:
    """Conversions that each converter makes one after the other [-]: ``ceil(K·s / A)``."""
    rounds: Quantity = np.ceil(cols_used * weight_slices / adc_per_tile)
    return rounds


def product_ns(
    *, pulse_ns: Quantity, settle_ns: Quantity, conversion_ns: Quantity, post_ns: Quantity, overlap: bool
) -> Quantity:
    """Time of one product [ns] from the times of all its read phases together.

    ``T = max(T_pulse, T_settle + T_conv) + T_post``, with the sum in place of the maximum where conversion waits for
    the pulse.

    Valid for: read phases and input slices of equal length.
    """
    converting = settle_ns + conversion_ns
    time: Quantity = (np.maximum(pulse_ns, converting) if overlap else pulse_ns + converting) + post_ns
    return time


def tile_mm2(
    *,
    rows: Quantity,
    cols: Quantity,
    tiers: Quantity,
    weight_slices: Quantity,
    adc_per_tile: Quantity,
    cell_mm2: Quantity,
    row_mm2: Quantity,
    adc_mm2: Quantity,
    column_mm2: Quantity,
    fixed_mm2: Quantity,
) -> dict[str, Quantity]:
    """Part → area of one tile [mm²].

    ``tiers·R·K·s·a_cell + R·a_row + A·a_adc + K·s·a_col + a_fix``

    Valid for: tiers side by side; for tiers on top of each other give the area of one cell over the tiers.
    """
    return {
        "array": tiers * rows * cols * weight_slices * cell_mm2,
        "row drivers": rows * row_mm2,
        "ADC": adc_per_tile * adc_mm2,
        "column periphery": cols * weight_slices * column_mm2,
        "fixed periphery": fixed_mm2,
    }


def resistive_cell_pj(
    *, read_v: Quantity, conductance_usiemens: Quantity, pulse_ns: Quantity, pulse_fraction: Quantity
) -> Quantity:
    """Energy of one conducting cell in one read phase [pJ]: ``E = V²·G·t``.

    Valid for: averages of conductance and pulse over a layer; the drop along the lines is left out.

    >>> round(resistive_cell_pj(read_v=0.2, conductance_usiemens=10.0, pulse_ns=128.0, pulse_fraction=1.0), 4)
    0.0512
    """
    return read_v**2 * conductance_usiemens * pulse_ns * pulse_fraction * PJ_PER_V2_US_NS


def mean_conductance_usiemens(
    *, g_max_usiemens: Quantity, g_min_usiemens: Quantity, weight_mean_abs_fraction: Quantity, devices: Quantity
) -> Quantity:
    """Expected conductance of one weight, all its devices together [µS].

    ``G = n/2·[(g_max - g_min)·E|w|/max|w| + 2·g_min]``: half of the devices carry the magnitude, all conduct at least
    g_min.

    Valid for: differential pairs, magnitude in proportion to the conductance.

    >>> mean_conductance_usiemens(g_max_usiemens=25.0, g_min_usiemens=0.0, weight_mean_abs_fraction=0.2, devices=2.0)
    5.0
    """
    return devices / 2 * ((g_max_usiemens - g_min_usiemens) * weight_mean_abs_fraction + 2 * g_min_usiemens)
