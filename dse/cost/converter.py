"""Converters at the edge of an array: energy, time and area of one output conversion and of one driven row."""

from __future__ import annotations

from typing import Final

import numpy as np

from dse.units import NS_PER_S, Quantity

PJ_PER_UW_NS: Final = 1e-3
PJ_PER_W_NS: Final = 1e3
PJ_PER_FF_V2: Final = 1e-3
MM2_PER_UM2: Final = 1e-6

SAR_COLUMN: Final = {
    22: (0.538, 4.375, 0.0723, 2.303),
    14: (0.3132, 2.568, 0.0611, 2.303),
    7: (0.1061, 0.885, 0.0436, 2.303),
}
"""Node [nm] → coefficients (µW per bit, µW, W, 1) of the power of a column converter, from NeuroSim."""


def survey_adc_pj(*, bits: Quantity, node_nm: Quantity, conversion_ns: Quantity, is_raw: bool) -> Quantity:
    """Energy of one conversion by a good published converter [pJ].

    ``E = 0.5·10^((SNDR - FOM)/10)·exp(26.04962 + 1.880037 ln nm - 2.829126 ln b - 1.470202)`` with
    ``SNDR = 6.0206 b + 1.7609`` and ``FOM = min(213.7807 - 2.871903 ln f, 128.3068 + 3.2205115 b')`` [dB];
    b' = b rounded up where raw, b itself where smooth; f = samples/s.

    Valid for: 4 bits and more, 4 nm to 1 µm, up to 1e10 samples/s; about the best fifth of the survey by energy: half
    of it is within a factor of 3 of 2.7 times this. Rises from one whole number of bits to the next.

    Source: Accelergy's regression (also CiMLoop, AccelForge) on B. Murmann's ADC performance survey 1997-2023.

    >>> round(float(survey_adc_pj(bits=8.0, node_nm=14.0, conversion_ns=100.0, is_raw=True)), 3)
    0.362
    """
    rate = NS_PER_S / np.asarray(conversion_ns)
    sndr = 6.0206 * bits + 1.7609
    stepped = np.ceil(bits) if is_raw else bits
    fom = np.minimum(213.7807 - 2.871903 * np.log(rate), 128.3068 + 3.2205115 * stepped)
    scale = np.exp(26.04962 + 1.880037 * np.log(node_nm) - 2.829126 * np.log(bits) - 1.470202)
    energy: Quantity = 0.5 * 10 ** ((sndr - fom) / 10) * scale
    return energy


def survey_adc_mm2(*, node_nm: Quantity, conversion_ns: Quantity, energy_pj: Quantity) -> Quantity:
    """Area of a good published converter [mm²].

    ``A = exp(1.346192 + 0.9932795 ln nm + 0.1807154 ln f + 0.2991243 ln E)`` µm², E in pJ, f = samples/s.

    Valid for: as ``survey_adc_pj``; about the best tenth of the survey by area, the median is 5.9 times this.

    Source: as ``survey_adc_pj``.
    """
    rate = NS_PER_S / np.asarray(conversion_ns)
    logs = 0.9932795 * np.log(node_nm) + 0.1807154 * np.log(rate) + 0.2991243 * np.log(energy_pj)
    area: Quantity = np.exp(1.346192 + logs) * MM2_PER_UM2
    return area


def sar_column_ns(*, bits: Quantity) -> Quantity:
    """Time of one conversion of a column converter [ns]: one cycle of 1 ns per bit, and one more.

    Source: NeuroSim (SAR ADC).
    """
    return bits + 1.0


def sar_column_pj(*, bits: Quantity, node_nm: Quantity, column_ohm: Quantity, temperature_k: Quantity) -> Quantity:
    """Energy of one conversion of a low-power successive-approximation converter in a column [pJ].

    ``E = [(a·b + c) µW + d·exp(-k·log10 R) W]·(b + 1) ns·(1 + 0.0013 (T - 300))``; at 1 kohm the current through
    the column, the second term, dominates.

    Valid for: 22, 14 and 7 nm (not a number elsewhere), from simulation.

    Source: NeuroSim (SAR ADC).
    """
    a, c, d, k = (
        np.select([np.asarray(node_nm) == node for node in SAR_COLUMN], [v[i] for v in SAR_COLUMN.values()], np.nan)
        for i in range(4)
    )
    column = d * np.exp(-k * np.log10(column_ohm))
    power = (a * bits + c) * PJ_PER_UW_NS + column * PJ_PER_W_NS
    energy: Quantity = power * sar_column_ns(bits=bits) * (1 + 0.0013 * (temperature_k - 300))
    return energy


def switched_capacitor_adc_pj(
    *, bits: Quantity, per_bit_ff: Quantity, per_level_ff: Quantity, supply_v: Quantity
) -> Quantity:
    """Energy of one conversion by logic that grows with the bits and capacitors that grow with the levels [pJ].

    ``E = (C1·b + C2·4^b)·V²``

    Valid for: 28 nm with 100 fF and 0.001 fF.

    Source: zigzag-imc, fitted on three 28 nm chips.

    >>> round(switched_capacitor_adc_pj(bits=8.0, per_bit_ff=100.0, per_level_ff=0.001, supply_v=0.9), 3)
    0.701
    """
    return (per_bit_ff * bits + per_level_ff * 4.0**bits) * supply_v**2 * PJ_PER_FF_V2


def switched_capacitor_adc_ns(*, bits: Quantity, rows: Quantity) -> Quantity:
    """Time of one conversion [ns]: ``T = b·(0.00653·rows + 0.640)``.

    Valid for, source: as ``switched_capacitor_adc_pj``; rows of the array that load the column.
    """
    return bits * (0.00653 * rows + 0.640)


def switched_capacitor_adc_mm2(*, bits: Quantity) -> Quantity:
    """Area of one converter [mm²]: ``A = 10^(1.206 - 0.0369 b)·2^b`` µm².

    Valid for, source: as ``switched_capacitor_adc_pj``.

    >>> round(float(switched_capacitor_adc_mm2(bits=8.0)) * 1e6)
    2085
    """
    area: Quantity = 10.0 ** (1.206 - 0.0369 * bits) * 2.0**bits * MM2_PER_UM2
    return area


def table_value(*, at: Quantity, bits: tuple[Quantity, ...], values: tuple[Quantity, ...]) -> Quantity:
    """A column of a table of converters at a number of bits: linear between its points, nothing beyond them."""
    x, y = np.asarray(bits, np.float64), np.asarray(values, np.float64)
    order = np.argsort(x)
    found: Quantity = np.interp(at, x[order], y[order], left=np.nan, right=np.nan)
    return found


def capacitive_driver_pj(
    *, bits: Quantity, per_bit_ff: Quantity, supply_v: Quantity, line_ff: Quantity = 0.0
) -> Quantity:
    """Energy to drive one row once [pJ]: ``E = (C·b + C_line)·V²``, without C·b for one bit.

    Valid for: 28 nm with 50 fF a bit and 0.35 fF of the line per column.

    Source: zigzag-imc, fitted on three 28 nm chips.

    >>> float(capacitive_driver_pj(bits=8.0, per_bit_ff=50.0, supply_v=1.0))
    0.4
    """
    energy: Quantity = (np.where(np.asarray(bits) > 1, per_bit_ff * bits, 0.0) + line_ff) * supply_v**2 * PJ_PER_FF_V2
    return energy
