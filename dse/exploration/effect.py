"""Which axes of a space change anything: told before the sweep by designs that differ in one axis only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from dse.errors import Problem, SpecError
from dse.exploration.accuracy import is_noise_path
from dse.exploration.metrics import DEFAULT_FRONT, METRICS
from dse.exploration.points import DIGITAL_FRACTION, Value
from dse.exploration.space import Space
from dse.exploration.sweep import Mapper, chunks

MOST_VALUES = 5
"""Values of an axis that are compared, at most; the first and the last are among them."""
SETTINGS = 12
"""Settings of the other axes under which an axis is tried before it counts as without effect."""
TOLERANCE = 1e-12
"""Relative difference that counts as rounding."""


def require_effects(space: Space, mapper: Mapper) -> list[str]:
    """Remarks on axes that change accuracy only.

    Raises:
        SpecError: an axis changes neither a requested metric nor whether a design is feasible, and no accuracy that
            is measured.
    """
    remarks, problems = [], []
    for path in idle_axes(space, mapper):
        unchanged = cost_remark(space, path)
        said = f" ({unchanged})" if path.startswith("analog_cores.") else ""
        if path == DIGITAL_FRACTION and not space.architecture.analog_cores:
            said = f" ({space.architecture.name} has no analog core)"
        if not is_noise_path(path):
            message = f"changes none of {metrics_text(space)}{said}; leave it out, or {remedy(space, path)}"
            problems.append(Problem(message, path, "--set"))
        elif space.accuracy is None:
            message = f"changes accuracy only{said}, and accuracy is not measured; add --accuracy or leave it out"
            problems.append(Problem(message, path, "--set"))
        else:
            remarks.append(f"{path}: {unchanged}")
    if problems:
        raise SpecError(problems)
    return remarks


def asks_for_all(space: Space) -> bool:
    """Whether the requested metrics are at least those of the front where none are named."""
    return set(DEFAULT_FRONT) <= set(space.requested)


def metrics_text(space: Space) -> str:
    """The requested metrics in words."""
    return "the metrics" if asks_for_all(space) else f"the requested metrics ({', '.join(space.requested)})"


def remedy(space: Space, path: str) -> str:
    """What to do about a path without effect but to leave it out."""
    if asks_for_all(space):
        return f"vary one of {useful_paths(space, path)}"
    others = [name for name in METRICS if name not in space.requested]
    return f"add another metric, such as {others[0]}, to metrics"


def useful_paths(space: Space, path: str) -> str:
    """What to vary instead of a path without effect."""
    if path == DIGITAL_FRACTION:
        return "scenario.batch, scenario.context_tokens"
    root, _, rest = path.partition(".")
    if root == "analog_cores":
        core = f"{root}.{rest.partition('.')[0]}"
        if model_of(space, path) == "components":
            return f"{core}.adc.bits, {core}.adc.per_tile, {core}.read.phases"
        if model_of(space, path) == "table":
            return f"{core}.rows, {core}.cols, or a column of its table"
        return f"{core}.cost.mvm.energy_pj, {core}.cost.mvm.latency_ns, {core}.cost.tile_area_mm2"
    return f"{DIGITAL_FRACTION}, scenario.batch"


def cost_remark(space: Space, path: str) -> str:
    """Why an axis of an analog core changes no cost."""
    return f"cost unchanged: {model_of(space, path)} core" if is_given(space, path) else "cost unchanged"


def model_of(space: Space, path: str) -> str:
    """Cost model of the core that a path lies in; empty where it lies in none."""
    parts = path.split(".")
    return next((core.cost.model for core in space.architecture.analog_cores if core.name in parts[1:2]), "")


def is_given(space: Space, path: str) -> bool:
    """Whether the core that a path lies in is known by its totals, or by a table, only."""
    return model_of(space, path) in ("lumped", "table")


def idle_axes(space: Space, mapper: Mapper) -> list[str]:
    """Axes with several values of which none changes a requested metric or whether a design is feasible."""
    several = [path for path, values in space.axes.items() if len(set(values)) > 1]
    return [p for p in several if not any(differs(frame, space.requested) for frame in probes(space, mapper, p))]


def probes(space: Space, mapper: Mapper, path: str) -> Iterator[pd.DataFrame]:
    """Evaluated designs that differ in one axis only, for one setting of the other axes after another."""
    tried = spread_values(list(dict.fromkeys(space.axes[path])))
    for setting in settings(space, path):
        columns = {name: tried if name == path else [setting[name]] * len(tried) for name in space.axes}
        rows = pd.DataFrame(columns, index=pd.RangeIndex(len(tried), name="point"))
        yield pd.concat([mapper.evaluated(chunk) for chunk in chunks(space, rows)])


def differs(frame: pd.DataFrame, requested: Sequence[str]) -> bool:
    """Whether the designs of a table differ in a metric or in feasibility; taken so where none has a mapping."""
    metrics = frame[list(requested)].to_numpy(dtype=np.float64)
    if np.isnan(metrics).all():
        return True
    same = np.isclose(metrics, metrics[0], rtol=TOLERANCE, atol=0.0, equal_nan=True).all()
    return not same or frame["status"].nunique() > 1


def spread_values(values: list[Value]) -> list[Value]:
    """At most MOST_VALUES values, spread evenly."""
    if len(values) <= MOST_VALUES:
        return values
    return [values[round(i * (len(values) - 1) / (MOST_VALUES - 1))] for i in range(MOST_VALUES)]


def settings(space: Space, path: str) -> Iterator[dict[str, Value]]:
    """Settings of the other axes: all first, all last and all middle values, then drawn ones."""
    others = {name: values for name, values in space.axes.items() if name != path}
    sizes = [len(values) for values in others.values()]
    generator = np.random.default_rng(0)
    drawn = [tuple(int(generator.integers(size)) for size in sizes) for _ in range(SETTINGS - 3)]
    corners = [tuple(at) for at in ([0 for _ in sizes], [size - 1 for size in sizes], [size // 2 for size in sizes])]
    for positions in dict.fromkeys([*corners, *drawn]):
        yield {name: values[at] for (name, values), at in zip(others.items(), positions, strict=True)}
