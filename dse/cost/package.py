"""How many dies, packages and wafers a machine takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from dse.cost.area import area_parts
from dse.spec.architecture import Architecture
from dse.spec.die import Packaging
from dse.units import MM2_PER_CM2, Quantity

RETICLE_MM2: Final = 858.0
"""Largest die that one exposure prints: 26 mm × 33 mm, the field of an optical scanner."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DieCount:
    """Dies of one kind."""

    name: str
    count: Quantity
    area_mm2: Quantity
    """Area of one die [mm²]."""
    dies_per_wafer: Quantity
    """Whole dies on one wafer, good or bad [-]."""
    yield_fraction: Quantity
    """Share of them that is good; 1 where no defect density is stated."""

    @property
    def wafers(self) -> Quantity:
        """Wafers that give as many good dies; inf where not even one die fits a wafer."""
        good = np.asarray(self.dies_per_wafer * self.yield_fraction, np.float64)
        fits = good > 0
        return np.where(fits, self.count / np.where(fits, good, 1.0), np.inf)


def dies_per_wafer(*, die_area_mm2: Quantity, wafer_diameter_mm: Quantity) -> Quantity:
    """Whole dies on a wafer [-]: ``⌊π (d/2)² / A − π d / √(2 A)⌋``, at least 0.

    Valid for: near-square dies much smaller than the wafer, no scribe lines.

    Source: J. L. Hennessy, D. A. Patterson, Computer Architecture: A Quantitative Approach, section 1.6.

    >>> float(dies_per_wafer(die_area_mm2=100.0, wafer_diameter_mm=300.0))
    640.0
    """
    area = np.maximum(die_area_mm2, 1e-9)
    whole = np.pi * (np.asarray(wafer_diameter_mm) / 2) ** 2 / area - np.pi * wafer_diameter_mm / np.sqrt(2 * area)
    return np.asarray(np.maximum(np.floor(whole), 0.0))


def die_yield_fraction(*, die_area_mm2: Quantity, packaging: Packaging) -> Quantity:
    """Share of dies without a killing defect [-]; 1 where no defect density is stated.

    Poisson ``exp(−A D)``; Murphy ``((1 − exp(−A D)) / (A D))²``: B. T. Murphy, Proc. IEEE 52(12):1537, 1964.
    """
    if packaging.defects_per_cm2 is None:
        return np.ones_like(np.asarray(die_area_mm2, np.float64))[()]
    defects = np.asarray(die_area_mm2, np.float64) / MM2_PER_CM2 * packaging.defects_per_cm2
    if packaging.yield_model == "poisson":
        return np.asarray(np.exp(-defects))
    few = defects < 1e-9
    return np.where(few, 1.0, (-np.expm1(-defects) / np.where(few, 1.0, defects)) ** 2)[()]


def die_counts(arch: Architecture) -> tuple[DieCount, ...]:
    """Dies of each kind: number, area, dies per wafer, yield."""
    counts = []
    for die in arch.dies:
        whole = sum((np.asarray(p.area_mm2, np.float64) for p in area_parts(arch) if p.die == die.name), np.float64(0))
        area = whole / die.count
        counts.append(
            DieCount(
                name=die.name,
                count=die.count,
                area_mm2=area,
                dies_per_wafer=dies_per_wafer(die_area_mm2=area, wafer_diameter_mm=arch.packaging.wafer_diameter_mm),
                yield_fraction=die_yield_fraction(die_area_mm2=area, packaging=arch.packaging),
            )
        )
    return tuple(counts)


def n_packages(arch: Architecture) -> Quantity:
    """Packages that hold all dies [-]."""
    dies = sum((np.asarray(die.count, np.float64) for die in arch.dies), np.float64(0))
    per_package = arch.packaging.dies_per_package
    return np.ones_like(dies)[()] if per_package is None else np.ceil(dies / per_package)
