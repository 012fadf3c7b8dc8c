"""Accuracy of a mapping over fabricated chips, against the digital model on the same text."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from pathlib import Path

from dse.mapping.model import Mapping
from dse.noise.accuracy_study import Progress, prepared
from dse.noise.bench import bench_key
from dse.noise.plan import MAX_DRAWS, Plan
from dse.noise.result import AccuracyReport
from dse.noise.task_plan import TaskPlan
from dse.noise.threads import threads_for
from dse.spec.architecture import Architecture
from dse.workload.build import Workload


def check_accuracy(
    arch: Architecture,
    workload: Workload,
    mapping: Mapping,
    *,
    draws: int = 12,
    seed: int = 0,
    time_s: float | None = None,
    scale: float = 1.0,
    executor: Executor | None = None,
    n_tokens: int = 8192,
    n_items: int | None = 0,
    half_width_nats: float | None = None,
    max_draws: int = MAX_DRAWS,
    yield_limit_nats: float | None = None,
    margin_nats: float | None = None,
    tasks: Sequence[str] = (),
    task_path: str | Path | None = None,
    task_items: int | None = None,
    folder: str | Path | None = None,
    time_limit_s: float | None = None,
    torch_device: str = "cpu",
    progress: Progress | None = None,
) -> AccuracyReport:
    """Measures loss, perplexity and top-1 share of a mapping on chips drawn in antithetic pairs.

    The chips of a seed are the same for every mapping, so mappings are compared pair by pair. With
    ``half_width_nats`` the first ``draws`` chips say how many are needed (Stein's two-stage plan, see
    ``intervals.py``). Model, text, digital result and converter ranges are kept in memory for the next call.

    Args:
        arch: the core groups; one design point.
        workload: gives checkpoint, evaluation text and calibration text.
        mapping: which blocks are analog.
        draws: chips to evaluate, or with ``half_width_nats`` those of the first stage; even, at least 4.
        seed: seed of the study.
        time_s: age of the programmed weights [s]; above 0 the devices need a drift model. None: the
            ``time_since_programming_s`` of the workload's scenario.
        scale: further factor on the programming noise of every device.
        executor: evaluates the chips; default one after the other in this process. The results are the same.
        n_tokens: predicted tokens of held-out text, rounded down to whole windows.
        n_items: multiple-choice items; 0 none, None all of the workload's file.
        half_width_nats: wanted half-width of the 95 % interval of the loss increase.
        max_draws: most chips for it.
        yield_limit_nats: largest loss increase of a chip that passes; gives the yield with its exact bound.
        margin_nats: loss increase within which a mapping counts as equivalent to all-digital.
        tasks: names of tasks of the evaluation harness (needs the extra ``tasks``).
        task_path: folder with YAML files of own tasks.
        task_items: most items of each task; None: all.
        folder: keeps every chip there as soon as it is known; an equal call goes on from them.
        time_limit_s: no chip is begun later; the report covers the pairs that are complete.
        torch_device: where models compute: cpu, cuda or cuda:N. Chips are drawn on the CPU and are the same everywhere;
            a model that the device cannot hold twice is moved there layer by layer, and its noisy weights are drawn
            again whenever they are used.
        progress: told after every chip.

    Raises:
        SpecError: impossible settings, missing files, files that do not belong together, a folder of another study,
            or a mapping that does not fit model and architecture.
        TimeLimitError: fewer than two pairs were complete in time.
        AccuracyInterrupted: the user stopped it; says how many chips are kept.
    """
    task_plan = TaskPlan(tuple(tasks), None if task_path is None else Path(task_path), task_items)
    plan = Plan(
        draws=draws, seed=seed, time_s=time_s, scale=scale, n_tokens=n_tokens, n_items=n_items,
        half_width_nats=half_width_nats, max_draws=max_draws, yield_limit_nats=yield_limit_nats,
        margin_nats=margin_nats, tasks=task_plan,
        torch_device=torch_device,
    )  # fmt: skip
    begin = time.monotonic()
    deadline = math.inf if time_limit_s is None else begin + time_limit_s
    study = prepared(arch, workload, mapping, plan, None if folder is None else Path(folder))
    with threads_for(workload.model.d_model):
        chips = study.measured(
            executor if study.cores or study.formats else None, deadline, progress or (lambda done, total: None)
        )
        return study.report(chips, seconds=time.monotonic() - begin)


def require_measurable(workload: Workload, plan: Plan) -> None:
    """Refuses a measurement that ``check_accuracy`` could not make, before anything is computed for it.

    Raises:
        SpecError: impossible settings, or a workload without checkpoint or held-out text.
    """
    plan.require_possible(workload)
    bench_key(workload, n_tokens=plan.n_tokens, n_items=plan.n_items, tasks=plan.tasks, needs_ranges=False)


def study_digest(arch: Architecture, workload: Workload, mapping: Mapping, plan: Plan) -> str:
    """Digest of everything that decides what the chips of a study compute, but not how many they are.

    Raises:
        SpecError: as for ``check_accuracy``.
    """
    return prepared(arch, workload, mapping, plan, None).store.key
