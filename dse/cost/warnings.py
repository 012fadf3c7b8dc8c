"""What a reader should know of an architecture and of a workload on it: values left out, dies too large, formats."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from dse.cost.band import AT_A_POINT
from dse.cost.calibration import residuals
from dse.cost.option import dense_precision
from dse.cost.package import RETICLE_MM2, DieCount, die_counts
from dse.spec.architecture import Architecture
from dse.spec.core_cost import ComponentsCost
from dse.units import at_point
from dse.workload.build import Workload

MANY_TILES: Final = 1000
"""Tiles whose idle power matters too much to be left out in silence."""


def architecture_warnings(arch: Architecture) -> tuple[str, ...]:
    """Remarks on an architecture, whatever runs on it (first design point)."""
    return (*_missing_idle(arch), *_large_dies(die_counts(arch)), *_missed_points(arch))


def pair_warnings(arch: Architecture, workload: Workload) -> tuple[str, ...]:
    """Remarks on a workload on an architecture (first design point)."""
    return (*architecture_warnings(arch), *_other_formats(arch, workload))


def _other_formats(arch: Architecture, workload: Workload) -> Iterator[str]:
    wanted = workload.scenario.precision.weights
    for unit in arch.digital_units:
        if wanted not in unit.precisions:
            yield (
                f"digital_units.{unit.name} stores no {wanted} weights, which scenario.precision.weights asks for: its "
                f"dense blocks are {dense_precision(unit, workload)}; ask for one of {', '.join(unit.precisions)}, or "
                f"add {wanted} to its precisions"
            )


def _missing_idle(arch: Architecture) -> Iterator[str]:
    for core in arch.analog_cores:
        tiles = at_point(arch.n_built_tiles(core))
        if core.idle is None and tiles > MANY_TILES:
            yield (
                f"analog_cores.{core.name}.idle is left out, so that {tiles:.0f} tiles draw no power while they wait; "
                "add idle: {on_mw: …} [mW per tile], 0 if that is meant"
            )


def _missed_points(arch: Architecture) -> Iterator[str]:
    """Published figures that the free parameters cannot meet together, so that the calibrated core is none of them."""
    for core in arch.analog_cores:
        if not isinstance(core.cost, ComponentsCost):
            continue
        allowed = AT_A_POINT if core.cost.band_factor is None else at_point(core.cost.band_factor)
        for found in residuals(core, core.cost):
            error = at_point(found.error_fraction)
            if max(1 + error, 1 / (1 + error)) > allowed:
                yield (
                    f"analog_cores.{core.name}.cost.calibration[{found.point}]: the calibrated {found.quantity} is "
                    f"{100 * error:+.1f} % off this published figure: its points contradict what is free "
                    f"(cost.free); free another parameter, or leave the point out"
                )


def _large_dies(dies: tuple[DieCount, ...]) -> Iterator[str]:
    for die in dies:
        area = at_point(die.area_mm2)
        if area > RETICLE_MM2:
            yield (
                f"die {die.name} has {area:.0f} mm², above the {RETICLE_MM2:.0f} mm² of a reticle; "
                f"spread it over {np.ceil(area / RETICLE_MM2):.0f} dies (dies.{die.name}.count) or more"
            )
