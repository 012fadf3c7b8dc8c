"""Accuracy of a mapping over fabricated chips, against the digital model on the same text."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dse.errors import Problem, SpecError
from dse.mapping.model import Mapping
from dse.noise.bench import BenchKey, bench_key, load_bench, require_same_shapes
from dse.noise.convert import analog_cores, noisy_model
from dse.noise.key import Sign, chip_seed
from dse.noise.linear import unmodelled_conditions
from dse.noise.metrics import evaluate_model
from dse.noise.result import AccuracyReport
from dse.noise.summary import summarise
from dse.noise.threads import threads_for
from dse.spec.architecture import Architecture
from dse.workload.build import Workload

EFFECTS = ("programming noise", "DAC quantisation and clipping", "ADC quantisation and clipping")
UNMODELLED = (
    "conductance drift",
    "read noise",
    "IR drop",
    "output noise of the array",
    "weights of digital units at less than checkpoint precision",
)
SIGNS: tuple[Sign, Sign] = (1, -1)

Progress = Callable[[int, int], None]
"""Called with the number of chips done and of chips in all."""


@dataclass(frozen=True, slots=True, eq=False)
class PairJob:
    """One antithetic pair of chips; plain values, so that it can go to another process."""

    arch: Architecture
    mapping: Mapping
    bench: BenchKey
    seed: int
    scale: float
    width: int
    """Width of the model."""


def check_accuracy(
    arch: Architecture,
    workload: Workload,
    mapping: Mapping,
    *,
    draws: int = 12,
    seed: int = 0,
    time_s: float = 0.0,
    scale: float = 1.0,
    executor: Executor | None = None,
    n_tokens: int = 8192,
    n_items: int | None = 0,
    progress: Progress | None = None,
) -> AccuracyReport:
    """Measures loss, perplexity and top-1 share of a mapping on chips drawn in antithetic pairs.

    The chips of a seed are the same for every mapping, so mappings are compared pair by pair. Model, text,
    digital result and converter ranges are kept in memory for the next call.

    Args:
        arch: the core groups; one design point.
        workload: gives checkpoint, evaluation text and calibration text.
        mapping: which blocks are analog.
        draws: chips to evaluate; even, at least 4.
        seed: seed of the study.
        time_s: age of the programmed weights [s]; 0 only.
        scale: further factor on the programming noise of every device.
        executor: runs the pairs; default one after the other in this process.
        n_tokens: predicted tokens of held-out text, rounded down to whole windows.
        n_items: multiple-choice items; 0 none, None all of the workload's file.
        progress: told after every pair.

    Raises:
        SpecError: impossible settings, missing files, files that do not belong together, or a mapping that
            does not fit model and architecture.
    """
    started = time.perf_counter()
    require_settings(workload, draws=draws, time_s=time_s, scale=scale, n_tokens=n_tokens, n_items=n_items)
    placed = [name for name, option in mapping.placement.items() if option.precision == "analog"]
    key = bench_key(workload, n_tokens=n_tokens, n_items=n_items, needs_ranges=bool(placed))
    with threads_for(workload.model.d_model):
        bench = load_bench(key)
        require_same_shapes(bench.model, workload)
        cores = analog_cores(bench.model, mapping, arch)
        width = workload.model.d_model
        jobs = [PairJob(arch, mapping, key, chip_seed(seed, pair), scale, width) for pair in range(draws // 2)]
        results = map(evaluate_pair, jobs) if executor is None or not cores else executor.map(evaluate_pair, jobs)
        table = collect(results, draws, progress)
    return AccuracyReport(
        draws=table,
        digital=dict(bench.digital),
        summary=summarise(table, bench.digital),
        seed=seed,
        scale=scale,
        n_tokens=bench.n_tokens,
        n_items=len(bench.items),
        effects=EFFECTS if cores else (),
        analog_blocks=len(cores),
        unmodelled=UNMODELLED,
        digests={
            "architecture": arch.digest,
            "workload": workload.digest,
            "mapping": placement_digest(mapping),
            **dict(key.digests),
        },
        seconds=time.perf_counter() - started,
    )


def evaluate_pair(job: PairJob) -> list[dict[str, float]]:
    """Metrics of the two chips of a pair; without analog blocks those of the digital model."""
    bench = load_bench(job.bench)
    cores = analog_cores(bench.model, job.mapping, job.arch)
    if not cores:
        return [dict(bench.digital) for _ in SIGNS]
    results = []
    with threads_for(job.width):
        ranges = bench.ranges(frozenset(int(core.rows) for core in cores.values()))
        for sign in SIGNS:
            chip = noisy_model(
                bench.model, job.mapping, job.arch, seed=job.seed, sign=sign, scale=job.scale, ranges=ranges
            )
            results.append(evaluate_model(chip, bench.windows, bench.items))
    return results


def collect(results: Iterable[list[dict[str, float]]], draws: int, progress: Progress | None) -> pd.DataFrame:
    """One row per chip: pair, sign and the metrics."""
    rows = []
    for pair, chips in enumerate(results):
        rows += [{"pair": pair, "sign": sign, **metrics} for sign, metrics in zip(SIGNS, chips, strict=True)]
        if progress is not None:
            progress(len(rows), draws)
    return pd.DataFrame(rows)


def require_measurable(
    workload: Workload,
    *,
    draws: int,
    time_s: float = 0.0,
    scale: float = 1.0,
    n_tokens: int = 8192,
    n_items: int | None = 0,
) -> None:
    """Refuses a measurement that ``check_accuracy`` could not make, before anything is computed for it.

    Raises:
        SpecError: impossible settings, or a workload without checkpoint or held-out text.
    """
    require_settings(workload, draws=draws, time_s=time_s, scale=scale, n_tokens=n_tokens, n_items=n_items)
    bench_key(workload, n_tokens=n_tokens, n_items=n_items, needs_ranges=False)


def require_settings(
    workload: Workload, *, draws: int, time_s: float, scale: float, n_tokens: int, n_items: int | None
) -> None:
    """Refuses settings that no measurement can have.

    Raises:
        SpecError: every such setting.
    """
    problems = unmodelled_conditions(time_s=time_s, scale=scale)
    if draws < 4 or draws % 2:
        problems.append(Problem(f"chips come in antithetic pairs: expected an even number >= 4 (got {draws})", "draws"))
    if n_tokens < 1:
        problems.append(Problem(f"expected a number > 0 (got {n_tokens})", "n_tokens"))
    if n_items is not None and n_items < 0:
        problems.append(Problem(f"expected a number >= 0, or None for all (got {n_items})", "n_items"))
    if np.any(np.asarray(workload.scenario.time_since_programming_s) != 0):
        problems.append(
            Problem("drift is not modelled by this version, only 0 is possible", "scenario.time_since_programming_s")
        )
    if problems:
        raise SpecError(problems)


def placement_digest(mapping: Mapping) -> str:
    """sha256 over the placement of all blocks."""
    placed = sorted((name, *option) for name, option in mapping.placement.items())
    return hashlib.sha256(json.dumps(placed).encode()).hexdigest()
