"""Which candidates of an exploration are measured, and what the measurements say."""

from __future__ import annotations

import dataclasses
import math
import re
import time
from collections.abc import Callable
from collections.abc import Mapping as MappingABC
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pandas as pd

import dse.noise
from dse.errors import TimeLimitError
from dse.exploration.points import DIGITAL_FRACTION
from dse.exploration.space import AccuracyPlan, Space
from dse.exploration.sweep import design_points
from dse.mapping.model import Mapping

NOISE_PATHS = (
    "rows", "cols", "device", "weight", "read.phases", "read.noise", "dac", "adc.bits", "adc.range", "adc.grid",
    "ir_drop", "v_offset", "output_noise", "s_shape", "drift_compensation",
)  # fmt: skip
"""What the noise simulator reads of an analog core, by the beginning of its path below the core."""
AGE = re.compile(r"scenario\.(\w+\.)?time_since_programming_s")
"""What it reads of a workload."""


class Bench(NamedTuple):
    """What candidates are measured on."""

    folder: Path | None
    """Keeps every chip at once."""
    executor: Executor | None
    torch_device: str
    deadline: float
    """Time of ``time.monotonic`` after which no chip is begun."""


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Draws and summaries of all measured candidates."""

    draws: pd.DataFrame
    summary: pd.DataFrame


def noise_axes(space: Space) -> list[str]:
    """Axes that change accuracy: the mapping, and what the noise simulator reads of an analog core."""
    return [p for p in space.axes if p == DIGITAL_FRACTION or is_noise_path(p)]


def is_noise_path(path: str) -> bool:
    """Whether a path leads to something the noise simulator reads."""
    if AGE.fullmatch(path):
        return True
    parts = path.split(".")
    below = ".".join(parts[2:])
    return parts[0] == "analog_cores" and any(below == start or below.startswith(f"{start}.") for start in NOISE_PATHS)


def candidates(space: Space, points: pd.DataFrame, plan: AccuracyPlan) -> pd.DataFrame:
    """Distinct noise settings of the front, at most ``plan.candidates``, spread evenly; one row each."""
    axes = noise_axes(space)
    front = points[points["on_front"]]
    distinct = front.drop_duplicates(subset=[*axes, "mapping_id"]).sort_values([*axes, "mapping_id"])
    if len(distinct) <= plan.candidates:
        return distinct
    chosen = [round(i * (len(distinct) - 1) / max(plan.candidates - 1, 1)) for i in range(plan.candidates)]
    return distinct.iloc[chosen]


def measure(
    space: Space,
    points: pd.DataFrame,
    mappings: MappingABC[str, Mapping],
    plan: AccuracyPlan,
    progress: Callable[[str, int, int], None],
    *,
    bench: Bench,
) -> Measured:
    """Measures the candidates at every noise scale of the plan.

    Raises:
        TimeLimitError: not all of their chips were simulated in time.
    """
    chosen = candidates(space, points, plan)
    jobs = [(point, scale) for scale in plan.scales for point in chosen.index]
    draws, summaries = [], []
    for done, (point, scale) in enumerate(jobs):
        progress("accuracy", done, len(jobs))
        row = chosen.loc[[point]]
        arch, workload = design_points(dataclasses.replace(space, axes=dict(space.axes)), row[list(space.axes)])
        mapping_id = str(row["mapping_id"].iloc[0])
        mapping = mappings[mapping_id]
        settings = dse.noise.Plan(
            draws=plan.draws, seed=space.seed, scale=scale, n_tokens=plan.n_tokens, n_items=plan.n_items
        )
        report = dse.noise.check_accuracy(
            arch,
            workload,
            mapping,
            draws=plan.draws,
            seed=space.seed,
            scale=scale,
            n_tokens=plan.n_tokens,
            n_items=plan.n_items,
            executor=bench.executor,
            folder=bench.folder and bench.folder / dse.noise.study_digest(arch, workload, mapping, settings)[:16],
            time_limit_s=None if math.isinf(bench.deadline) else max(0.0, bench.deadline - time.monotonic()),
            torch_device=bench.torch_device,
        )
        if report.status == "time_limit":
            raise TimeLimitError("time is over")
        key = {"point": point, "mapping_id": mapping_id, "scale": scale}
        key["digital_fraction"] = float(row[DIGITAL_FRACTION].iloc[0]) if DIGITAL_FRACTION in row else 0.0
        draws.append(report.draws.assign(**key))
        summaries.append(report.summary.assign(**key))
    progress("accuracy", len(jobs), len(jobs))
    return Measured(pd.concat(draws, ignore_index=True), pd.concat(summaries, ignore_index=True))


def attach(space: Space, points: pd.DataFrame, measured: Measured, plan: AccuracyPlan) -> pd.DataFrame:
    """Points with the loss increase of their noise settings at the first scale (NaN where not measured)."""
    axes = [*noise_axes(space), "mapping_id"]
    first = measured.summary[
        (measured.summary["metric"] == "loss_nats") & (measured.summary["scale"] == plan.scales[0])
    ].set_index("point")
    table = points.loc[first.index, axes].copy()
    names = {
        "increase": "loss_increase_nats",
        "increase_low": "loss_increase_low",
        "increase_high": "loss_increase_high",
    }
    for source, name in names.items():
        table[name] = first[source]
    return points.drop(columns=list(names.values()), errors="ignore").reset_index().merge(
        table, on=axes, how="left", validate="many_to_one"
    ).set_index("point")  # fmt: skip
