"""How sure a result is: stated spreads of the inputs, drawn together, through one vectorised evaluation."""

from __future__ import annotations

import math
from collections.abc import Mapping as MappingABC
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from dse.errors import SpecError
from dse.evaluation.influence import ROUNDING, evaluate_with, influence
from dse.evaluation.spreads import METRICS, Spread, spread_document, spreads_of, within
from dse.mapping.model import Mapping
from dse.spec.architecture import Architecture
from dse.workload.build import Workload

# n uncertain inputs, S samples; design points: 1 nominal, 2 n one at a time, S samples

Array = NDArray[np.float64]
SIGMAS: Final = 1.959963984540054
"""Standard deviations of a normal law that hold 95 % of it."""
INTERVAL: Final = (0.025, 0.975)
ROUNDS: Final = 2
"""Times that every input is tried at its other end."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Uncertainty:
    """Metrics under the stated spreads of all inputs."""

    spreads: tuple[Spread, ...]
    """Inputs that vary, whether they move a metric or not."""
    n_refused: int
    """Samples left out, because their values contradict a rule between values."""
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
            "n_samples": len(self.samples), "n_refused": self.n_refused,
            "inputs": [spread_document(s) for s in self.spreads],
            "assumed_without_spread": list(self.without_spread), "spread_not_sampled": list(self.not_sampled),
            "tornado": self.tornado.to_dict(orient="records"),
        }  # fmt: skip
        return {"uncertainty": metrics, "uncertainty_from": origin}

    def _repr_html_(self) -> str:
        return str(self.summary().to_html(index=False))


def uncertainty(
    arch: Architecture, workload: Workload, mapping: Mapping, *, n_samples: int = 2048, seed: int = 0
) -> Uncertainty:
    """Metrics of one design when each input with a stated spread is off by as much, independently of the others.

    An input x of spread s is drawn, in equal strata, from a log-normal law with 95 % between ``x / (1 + s)`` and
    ``x · (1 + s)``, and kept within the bounds of its field; the mapping stays. One path is one draw wherever it is
    used, so that what shares an input moves together. Low and high put every input at the end of its spread that
    lowers or raises the metric: bounds that are reached only if all inputs are off the same way. Samples that break a
    rule between values (a tile that draws less while on than while off) are left out and counted.

    Args:
        arch: architecture of one design.
        workload: workload of one design.
        mapping: placement of every block.
        n_samples: samples.
        seed: of the samples.

    Raises:
        SpecError: several design points, no samples, or a mapping of something else.
    """
    if n_samples < 1:
        raise SpecError(f"intervals need at least one sample (got n_samples={n_samples})")
    spreads, unstated, not_sampled = spreads_of(arch, workload, influence(arch, workload, mapping))
    values = sampled_values(spreads, n_samples, seed)
    n_singles = 2 * len(spreads)
    table = metric_table(arch, workload, mapping, values, 1 + n_singles + n_samples)
    nominal = {metric: float(table[metric].iloc[0]) for metric in METRICS}
    samples = table.iloc[1 + n_singles :].dropna().reset_index(drop=True)
    alone = table.iloc[: 1 + n_singles].fillna(nominal)
    return Uncertainty(
        spreads=spreads,
        without_spread=unstated,
        not_sampled=not_sampled,
        n_refused=n_samples - len(samples),
        samples=samples,
        nominal=nominal,
        extremes=extremes(arch, workload, mapping, spreads, alone),
        tornado=tornado_frame(spreads, alone.iloc[1:], nominal),
    )


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
    """One row per design point, one column per metric; NaN where values contradict a rule between values."""
    batch_path = f"scenario.{workload.mix[0].name}.batch" if workload.mix else "scenario.batch"
    every_row = {batch_path: np.full(n_rows, float(workload.scenario.batch))} | dict(values)
    try:
        evaluation = evaluate_with(arch, workload, mapping, every_row)
    except SpecError:
        if n_rows == 1:
            return pd.DataFrame(math.nan, index=[0], columns=list(METRICS))
        halves = [{path: array[part] for path, array in every_row.items()} for part in halves_of(n_rows)]
        tables = [metric_table(arch, workload, mapping, half, len(half[batch_path])) for half in halves]
        return pd.concat(tables, ignore_index=True)
    found = {m: np.asarray(getattr(evaluation, m), np.float64) for m in METRICS}
    return pd.DataFrame({metric: np.broadcast_to(value, (n_rows,)) for metric, value in found.items()})


def halves_of(n_rows: int) -> tuple[slice, slice]:
    """The first and the second half of some rows."""
    return slice(0, n_rows // 2), slice(n_rows // 2, n_rows)


def extremes(
    arch: Architecture,
    workload: Workload,
    mapping: Mapping,
    spreads: Sequence[Spread],
    table: pd.DataFrame,
) -> dict[str, tuple[float, float]]:
    """Metric → its lowest and highest value that is found with every input at an end of its spread.

    An input starts at the end that lowers or raises the metric by itself. One whose effect another hides shows its
    direction only once that one is off too, so each input is then tried at both ends beside the others. ``table`` has
    the nominal design and each input by itself at its low and at its high end.
    """
    low, high = np.array([s.low for s in spreads]), np.array([s.high for s in spreads])
    singles = table.iloc[1 : 1 + 2 * len(spreads)]
    pairs = {metric: singles[metric].to_numpy().reshape(len(spreads), 2) for metric in METRICS}
    nominal = table.iloc[0].to_dict()
    at_high = np.array([(pairs[m][:, 1] >= pairs[m][:, 0]) == is_upper for m in METRICS for is_upper in (False, True)])
    best: dict[str, tuple[float, float]] = {}
    for _ in range(ROUNDS):
        tried = np.array([at_high[row] ^ flip for row in range(len(at_high)) for flip in flips(len(spreads))])
        points = np.where(tried, high, low)
        values = {spread.path: points[:, i] for i, spread in enumerate(spreads)}
        ends = metric_table(arch, workload, mapping, values, len(tried))
        for row, (metric, is_upper) in enumerate((m, upper) for m in METRICS for upper in (False, True)):
            found = ends[metric].to_numpy()[row * (1 + len(spreads)) : (row + 1) * (1 + len(spreads))]
            found = np.where(np.isnan(found), nominal[metric], found)
            gain = (found - found[0]) * (1 if is_upper else -1)
            at_high[row] ^= gain[1:] > ROUNDING * abs(found[0])
            lowest, highest = best.get(metric, (nominal[metric], nominal[metric]))
            best[metric] = (min(lowest, *found), max(highest, *found))
    return best


def flips(n: int) -> NDArray[np.bool_]:
    """(1 + n, n): which inputs are put at their other end, none and then each by itself."""
    return np.vstack([np.zeros((1, n), dtype=bool), np.eye(n, dtype=bool)])


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
