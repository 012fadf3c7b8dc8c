"""Which inputs of a design may be off, and by how far: stated spreads, and the bands of component models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from dse.cost.band import Banded, band_factor
from dse.cost.tile import tile_of
from dse.evaluation.influence import NO_COST, SETTING, Influence, origin_at
from dse.spec.architecture import Architecture, spec_fields
from dse.spec.quantity import Number
from dse.spec.values import flat_values, number_at
from dse.units import at_point
from dse.workload.build import WORKLOAD_ROOTS, Workload, is_of_workload

Array = NDArray[np.float64]
METRICS: Final = (
    "energy_pj_per_token", "latency_ns_per_step", "tokens_per_s", "tokens_per_j", "power_mw", "area_mm2",
)  # fmt: skip
"""Metrics that have intervals."""


class Spread(NamedTuple):
    """An input and how far it may be off; the ends are kept inside the bounds of its field."""

    path: str
    nominal: float
    spread_fraction: float
    low: float
    high: float
    bounds: Number | None = None


class Spreads(NamedTuple):
    """The inputs of a design by what is known of how far they may be off."""

    sampled: tuple[Spread, ...]
    """Inputs that state a spread, also where it matters only once others are off too, and bands of component models."""
    unstated: tuple[str, ...]
    """Inputs that change a metric, are assumed or name no evidence, and state no spread; largest effect first."""
    not_sampled: tuple[str, ...]
    """Inputs that state a spread and take one value for all samples; another routing is another set of visits."""


def spreads_of(arch: Architecture, workload: Workload, found: Influence) -> Spreads:
    """Every input that may be off.

    What is run and how many of a part there are is a choice, not an assumption that may be off.
    """
    spreads, unstated, effect = model_bands(arch), [], effects(found)
    varied = {spread.path for spread in spreads}
    for path, nominal, _ in found.changes:
        origin = origin_at(arch, workload, path)
        if origin is None or path in varied:
            continue
        bounds = number_at(workload if is_of_workload(path) else arch, path)
        if origin.spread_fraction:
            factor = 1 + origin.spread_fraction
            low, high = within(bounds, np.array([nominal / factor, nominal * factor])).tolist()
            spreads.append(Spread(path, nominal, origin.spread_fraction, low, high, bounds))
            continue
        is_choice = is_of_workload(path) or (bounds is not None and bounds.integer)
        if path in effect and origin.evidence in (None, "assumed") and not is_choice:
            unstated.append(path)
    sampled = {spread.path for spread in spreads}
    left = (path for path in stating_spread(arch, workload) if path not in sampled)
    return Spreads(tuple(spreads), tuple(sorted(unstated, key=lambda path: -effect[path])), tuple(left))


def stating_spread(arch: Architecture, workload: Workload) -> Iterator[str]:
    """Paths of all numbers that state a spread and that a cost may rest on."""
    values = flat_values(arch, roots=tuple(spec_fields(arch))) | flat_values(workload, roots=WORKLOAD_ROOTS)
    for path, value in values.items():
        origin = origin_at(arch, workload, path)
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and value != 0
        if is_number and origin and origin.spread_fraction and not (NO_COST.search(path) or SETTING.search(path)):
            yield path


def effects(found: Influence) -> dict[str, float]:
    """Input that changes a metric → the largest size of its elasticities."""
    largest: dict[str, float] = {}
    for metric in METRICS:
        for path, elasticity in found.elasticities(getattr(found.evaluation, metric)).items():
            largest[path] = max(largest.get(path, 0.0), round(abs(elasticity), 6))
    return largest


def within(bounds: Number | None, values: Array) -> Array:
    """Values kept within the bounds of a field, whole where it counts."""
    if bounds is None:
        return values
    kept = np.rint(values) if bounds.integer else values
    lowest = bounds.ge if bounds.gt is None else (1.0 if bounds.integer else None)
    return np.asarray(np.clip(kept, lowest, bounds.le))


def model_bands(arch: Architecture) -> list[Spread]:
    """The bands of each core that is costed by components: factors on its energy, its time and its area."""
    found = []
    for core in arch.analog_cores:
        for quantity in get_args(Banded):
            factor = at_point(band_factor(core, quantity))
            path = f"analog_cores.{core.name}.cost.{quantity}_factor"
            if factor > 1 and (quantity != "area" or sum(tile_of(core).area_parts_mm2().values(), 0.0) > 0):
                nominal = at_point(getattr(core.cost, f"{quantity}_factor"))
                found.append(Spread(path, nominal, factor - 1, nominal / factor, nominal * factor))
    return found


def spread_document(spread: Spread) -> dict[str, Any]:
    """A spread as a JSON object."""
    return {name: getattr(spread, name) for name in ("path", "nominal", "spread_fraction", "low", "high")}
