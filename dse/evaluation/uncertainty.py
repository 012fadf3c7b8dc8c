"""How sure a result is: stated spreads of the inputs, drawn together, through one vectorised evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Mapping as MappingABC
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from dse.cost.band import Banded, band_factor
from dse.cost.tile import tile_of
from dse.evaluation.influence import ROUNDING, Influence, evaluate_with, influence, origin_at
from dse.mapping.model import Mapping
from dse.spec.architecture import Architecture
from dse.spec.quantity import Number
from dse.spec.values import flat_values, number_at
from dse.units import at_point
from dse.workload.build import Workload, is_of_workload

# n uncertain inputs, S samples; design points: 1 nominal, 2 n one at a time, S samples

Array = NDArray[np.float64]
METRICS: Final = (
    "energy_pj_per_token", "latency_ns_per_step", "tokens_per_s", "tokens_per_j", "power_mw", "area_mm2",
)  # fmt: skip
SIGMAS: Final = 1.959963984540054
"""Standard deviations of a normal law that hold 95 % of it."""
INTERVAL: Final = (0.025, 0.975)


class Spread(NamedTuple):
    """An input and how far it may be off."""

    path: str
    nominal: float
    spread_fraction: float
    low: float
    high: float
    bounds: Number | None = None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Uncertainty:
    """Metrics under the stated spreads of all inputs."""

    spreads: tuple[Spread, ...]
    """Inputs that vary."""
    without_spread: tuple[str, ...]
    """Inputs that change a metric, are assumed or name no evidence, and state no spread: held fixed, so that intervals
    are too narrow; those that change a metric most first."""
    not_sampled: tuple[str, ...]
    """Inputs that state a spread and take one value for all samples, such as those of the routing: held fixed too."""
    samples: pd.DataFrame
    """One row per sample, one column per metric."""
    nominal: MappingABC[str, float]
    """Metric → its value at the stated inputs."""
    extremes: MappingABC[str, tuple[float, float]]
    """Metric → its value with every input at the end of its spread that lowers it, and that raises it."""
    tornado: pd.DataFrame
    """metric, path, input_low, input_high, at_low, at_high, change_fraction: one input at either end of its spread."""

    def summary(self) -> pd.DataFrame:
        """metric, low, nominal, high, and the 95 % interval of the samples."""
        rows = [
            (metric, self.extremes[metric][0], value, self.extremes[metric][1], *self.interval(metric))
            for metric, value in self.nominal.items()
        ]
        return pd.DataFrame(rows, columns=["metric", "low", "nominal", "high", "interval_95_low", "interval_95_high"])

    def interval(self, metric: str) -> tuple[float, float]:
        """The 95 % interval of a metric over the samples."""
        low, high = self.samples[metric].quantile(list(INTERVAL)).tolist()
        return low, high

    def to_dict(self) -> dict[str, Any]:
        """What ``dse evaluate --uncertainty`` adds: the metrics, and what they come from."""
        metrics = {
            row["metric"]: {
                "low": row["low"], "nominal": row["nominal"], "high": row["high"],
                "interval_95": [row["interval_95_low"], row["interval_95_high"]],
            }
            for row in self.summary().to_dict(orient="records")
        }  # fmt: skip
        origin = {
            "n_samples": len(self.samples), "inputs": [spread_document(s) for s in self.spreads],
            "assumed_without_spread": list(self.without_spread), "spread_not_sampled": list(self.not_sampled),
            "tornado": self.tornado.to_dict(orient="records"),
        }  # fmt: skip
        return {"uncertainty": metrics, "uncertainty_from": origin}

    def _repr_html_(self) -> str:
        return str(self.summary().to_html(index=False))


def spread_document(spread: Spread) -> dict[str, Any]:
    """A spread as a JSON object."""
    return {name: getattr(spread, name) for name in ("path", "nominal", "spread_fraction", "low", "high")}


def uncertainty(
    arch: Architecture, workload: Workload, mapping: Mapping, *, n_samples: int = 2048, seed: int = 0
) -> Uncertainty:
    """Metrics of one design when each input with a stated spread is off by as much, independently of the others.

    An input x of spread s is drawn, in equal strata, from a log-normal law with 95 % between ``x / (1 + s)`` and
    ``x · (1 + s)``, and kept within the bounds of its field; the mapping stays. One path is one draw wherever it is
    used, so that what shares an input moves together. Low and high put every input at the end of its spread that
    lowers or raises the metric by itself: bounds that are reached only if all inputs are off the same way.

    Args:
        arch: architecture of one design.
        workload: workload of one design.
        mapping: placement of every block.
        n_samples: samples.
        seed: of the samples.

    Raises:
        SpecError: several design points, or a mapping of something else.
    """
    found = influence(arch, workload, mapping)
    spreads, unstated = stated_spreads(arch, workload, found)
    values = sampled_values(spreads, n_samples, seed)
    n_singles = 2 * len(spreads)
    table = metric_table(arch, workload, mapping, values, 1 + n_singles + n_samples)
    singles = table.iloc[1 : 1 + n_singles]
    nominal = {metric: float(table[metric].iloc[0]) for metric in METRICS}
    return Uncertainty(
        spreads=spreads,
        without_spread=unstated,
        not_sampled=tuple(unsampled_spreads(workload)),
        samples=table.iloc[1 + n_singles :].reset_index(drop=True),
        nominal=nominal,
        extremes=extremes(arch, workload, mapping, spreads, singles),
        tornado=tornado_frame(spreads, singles, nominal),
    )


def stated_spreads(
    arch: Architecture, workload: Workload, found: Influence
) -> tuple[tuple[Spread, ...], tuple[str, ...]]:
    """Every input that changes a metric and states a spread; and those that are assumed and state none.

    What is run and how many of a part there are is a choice, not an assumption that may be off.

    The ends of a spread are kept inside the bounds of the field.
    """
    spreads, unstated = model_bands(arch), []
    bands = {spread.path for spread in spreads}
    effect = effects(found)
    for path, nominal, _ in found.changes:
        origin = origin_at(arch, workload, path)
        if origin is None or path not in effect or path in bands:
            continue
        bounds = number_at(workload if is_of_workload(path) else arch, path)
        if not origin.spread_fraction:
            is_choice = is_of_workload(path) or (bounds is not None and bounds.integer)
            if origin.evidence in (None, "assumed") and not is_choice:
                unstated.append(path)
            continue
        factor = 1 + origin.spread_fraction
        low, high = within(bounds, np.array([nominal / factor, nominal * factor])).tolist()
        spreads.append(Spread(path, nominal, origin.spread_fraction, low, high, bounds))
    return tuple(spreads), tuple(sorted(unstated, key=lambda path: -effect[path]))


def unsampled_spreads(workload: Workload) -> Iterator[str]:
    """Numbers of the routing that state a spread: another routing is another set of visits, evaluated by itself."""
    for path, value in flat_values(workload, roots=("routing",)).items():
        origin = workload.provenance.get(path)
        if isinstance(value, float) and origin is not None and origin.spread_fraction:
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


def sampled_values(spreads: Sequence[Spread], n_samples: int, seed: int) -> dict[str, Array]:
    """Path → values: the nominal one, then low and high of each input by itself, then the samples."""
    generator = np.random.default_rng(seed)
    values = {}
    for index, spread in enumerate(spreads):
        sigma = np.log1p(spread.spread_fraction) / SIGMAS
        drawn = spread.nominal * np.exp(sigma * stratified_normals(generator, n_samples))
        singles = np.full(2 * len(spreads), spread.nominal)
        singles[2 * index], singles[2 * index + 1] = spread.low, spread.high
        values[spread.path] = np.concatenate([[spread.nominal], singles, within(spread.bounds, drawn)])
    return values


def stratified_normals(generator: np.random.Generator, n_samples: int) -> Array:
    """Standard normal draws in random order, one in each of ``n_samples`` parts of equal probability.

    A metric of one uncertain input then has the interval of that input, without the noise of independent draws.

    Source: M. D. McKay, R. J. Beckman, W. J. Conover, Technometrics 21(2):239-245, 1979 (Latin hypercube sampling).
    """
    return np.asarray(ndtri((generator.permutation(n_samples) + generator.uniform(size=n_samples)) / n_samples))


def metric_table(
    arch: Architecture, workload: Workload, mapping: Mapping, values: MappingABC[str, Array], n_rows: int
) -> pd.DataFrame:
    """One row per design point, one column per metric."""
    batch_path = f"scenario.{workload.mix[0].name}.batch" if workload.mix else "scenario.batch"
    every_row = {batch_path: np.full(n_rows, float(workload.scenario.batch))}
    evaluation = evaluate_with(arch, workload, mapping, every_row | dict(values))
    found = {m: np.asarray(getattr(evaluation, m), np.float64) for m in METRICS}
    return pd.DataFrame({metric: np.broadcast_to(value, (n_rows,)) for metric, value in found.items()})


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


def extremes(
    arch: Architecture, workload: Workload, mapping: Mapping, spreads: Sequence[Spread], singles: pd.DataFrame
) -> dict[str, tuple[float, float]]:
    """Metric → its value with every input at its lowering end, and at its raising end."""
    low, high = np.array([s.low for s in spreads]), np.array([s.high for s in spreads])
    rows = []
    for metric in METRICS:
        pairs = singles[metric].to_numpy().reshape(len(spreads), 2)
        rises = pairs[:, 1] >= pairs[:, 0]
        rows += [np.where(rises, low, high), np.where(rises, high, low)]
    values = {spread.path: np.array([row[i] for row in rows]) for i, spread in enumerate(spreads)}
    table = metric_table(arch, workload, mapping, values, len(rows))
    return {m: (float(table[m].iloc[2 * i]), float(table[m].iloc[2 * i + 1])) for i, m in enumerate(METRICS)}


def tornado_frame(spreads: Sequence[Spread], singles: pd.DataFrame, nominal: MappingABC[str, float]) -> pd.DataFrame:
    """metric, path, input_low, input_high, low, high, change_fraction (of the larger side); largest change first."""
    rows = []
    for metric in METRICS:
        pairs = singles[metric].to_numpy().reshape(len(spreads), 2)
        for spread, (at_low, at_high) in zip(spreads, pairs.tolist(), strict=True):
            change = max(abs(at_low / nominal[metric] - 1), abs(at_high / nominal[metric] - 1))
            if change > ROUNDING:
                rows.append((metric, spread.path, spread.low, spread.high, at_low, at_high, change))
    columns = ["metric", "path", "input_low", "input_high", "at_low", "at_high", "change_fraction"]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.sort_values("change_fraction", ascending=False, ignore_index=True, kind="stable")
