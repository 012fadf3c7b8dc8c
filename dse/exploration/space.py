"""A space: a base design, the axes that vary, the mapping policy, what is minimised, accuracy effort, seed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from dse.errors import Problem, SpecError
from dse.exploration.metrics import DEFAULT_FRONT, METRICS
from dse.exploration.pareto import Direction
from dse.exploration.points import Value, axis_values
from dse.spec.architecture import Architecture
from dse.spec.load import load_architecture
from dse.spec.node import OVERRIDE
from dse.spec.provenance import Provenance, first_origin
from dse.spec.space import MappingPolicy, load_space
from dse.spec.suggest import did_you_mean
from dse.workload.build import Workload, load_workload


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyPlan:
    """How much accuracy is measured: chips per candidate, candidates, noise scales, evaluated tokens."""

    draws: int = 8
    """Chips per candidate, in antithetic pairs."""
    candidates: int = 8
    """Most mappings (with their converter and device settings) that are measured."""
    scales: Sequence[float] = (1.0,)
    """Factors on the programming noise."""
    n_tokens: int = 8192
    """Held-out tokens per measurement."""
    n_items: int = 0
    """Multiple-choice items per measurement."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Space:
    """What ``explore`` searches."""

    architecture: Architecture
    workload: Workload
    axes: Mapping[str, Sequence[Value]]
    """Dotted path → values; ``mapping.digital_fraction`` is the share of routed experts that are digital."""
    mapping: MappingPolicy = field(default_factory=MappingPolicy)
    """How experts are chosen: by a ranking, or by the best mapping of every point."""
    metrics: Mapping[str, Direction] = field(default_factory=lambda: {m: METRICS[m] for m in DEFAULT_FRONT})
    """Metrics of the front and their better direction."""
    limits: Mapping[str, float] = field(default_factory=dict)
    """``max_METRIC`` or ``min_METRIC`` → value; points beyond are infeasible."""
    accuracy: AccuracyPlan | None = None
    """None: accuracy is not measured."""
    seed: int = 0
    title: str = ""
    axis_places: Mapping[str, Provenance] = field(default_factory=dict, repr=False)
    """Axis → where it is stated, in a file or as ``--set``."""

    @property
    def requested(self) -> tuple[str, ...]:
        """Metrics that the answer rests on: those of the front, of limits, and what accuracy follows."""
        limited = (name.partition("_")[2] for name in self.limits)
        measured = () if self.accuracy is None else ("sensitivity_share",)
        return tuple(dict.fromkeys((*self.metrics, *limited, *measured)))


@contextmanager
def placing(places: Mapping[str, Provenance]) -> Iterator[None]:
    """Problems of axes that are found inside stand at the places where the axes are stated."""
    try:
        yield
    except SpecError as error:
        raise SpecError([at_axis(problem, places) for problem in error.problems]) from None


def at_axis(problem: Problem, places: Mapping[str, Provenance]) -> Problem:
    """A problem at the place of its axis."""
    place = places.get(problem.path)
    if place is None or problem.file not in ("", OVERRIDE):
        return problem
    return replace(problem, file=place.file, line=place.line, column=place.column)


def load_space_file(path: str | Path, *, accuracy: AccuracyPlan | None = None) -> Space:
    """The space that a file describes; ``accuracy`` replaces the file's budget.

    Raises:
        SpecError: every problem of the file and of the specs it starts from.
    """
    loaded = load_space(path)
    spec, budget = loaded.spec, loaded.spec.accuracy
    if accuracy is None and budget is not None:
        accuracy = AccuracyPlan(draws=2 * budget.pairs, candidates=budget.points)
    require_metrics(spec.metrics, spec.limits, file=loaded.file)
    places = {axis: origin for axis in loaded.axes if (origin := first_origin(loaded.provenance, f"axes.{axis}"))}
    with placing(places):
        axes = {path: axis_values(path, values) for path, values in loaded.axes.items()}
    return Space(
        architecture=load_architecture(loaded.architecture),
        workload=load_workload(loaded.workload),
        axes=axes,
        axis_places=places,
        mapping=spec.mapping,
        metrics=spec.metrics,
        limits=spec.limits,
        accuracy=accuracy,
        seed=spec.seed,
        title=spec.name,
    )


def require_metrics(metrics: Iterable[str], limits: Mapping[str, float], *, file: str = "") -> None:
    """Refuses metrics and limits that no design point has.

    Raises:
        SpecError: an unknown metric, a limit that is not ``max_METRIC`` or ``min_METRIC``, or no finite number.
    """
    problems = [
        Problem(f"unknown metric{hint(name)}", f"metrics.{name}", file) for name in metrics if name not in METRICS
    ]
    for name, value in limits.items():
        kind, _, metric = name.partition("_")
        if kind not in ("max", "min"):
            problems.append(Problem("expected max_METRIC or min_METRIC", f"limits.{name}", file))
        elif metric not in METRICS:
            problems.append(Problem(f"unknown metric{hint(metric)}", f"limits.{name}", file))
        elif not (math.isfinite(value) and value >= 0):
            problems.append(Problem(f"expected a number >= 0 (got {value:g})", f"limits.{name}", file))
    if problems:
        raise SpecError(problems)


def hint(name: str) -> str:
    """The metric that was meant, or all of them."""
    return did_you_mean(name, METRICS) or f"; metrics are {', '.join(METRICS)}"
