"""``dse accuracy``: accuracy of a mapping under device noise."""

from __future__ import annotations

import argparse
import os
import shutil
import time
from concurrent.futures import BrokenExecutor
from pathlib import Path

import dse.noise
from dse.commands.inputs import Pair, chosen_mapping, load_pair
from dse.commands.output import emit, json_text, result_file, tell, write_document
from dse.commands.processes import processes
from dse.commands.progress import progress_bar
from dse.errors import DseError, TimeLimitError
from dse.mapping.model import Mapping
from dse.noise.result import AccuracyReport
from dse.report.accuracy_text import accuracy_text
from dse.report.text import wrapped


def run(arguments: argparse.Namespace) -> int:
    """Measures accuracy over chips and prints it against the digital model; 4 where the time limit ended it.

    Stopped, it keeps the chips that are done, and goes on when it is called again.
    """
    begin = time.monotonic()
    file = result_file(arguments.output, "accuracy.json")
    pair, plan = load_pair(arguments), plan_of(arguments)
    dse.noise.require_measurable(pair.workload, plan)
    mapping, how = chosen_mapping(arguments, pair)
    tell(arguments, wrapped(how))
    folder = Path(arguments.keep) if arguments.keep else cache_folder(pair, mapping, plan)
    used_s = time.monotonic() - begin
    try:
        report = measured(arguments, pair, mapping, folder, used_s=used_s)
    except dse.noise.AccuracyInterrupted as stopped:
        if arguments.json:
            print(json_text({"status": "interrupted", "folder": str(folder), "chips": stopped.done}))
        tell(arguments, "\n" + wrapped(f"interrupted: {stopped.done} of {stopped.planned} chips {kept_in(folder)}"))
        return 130
    except TimeLimitError as error:
        raise TimeLimitError(f"{error}; they are {kept_in(folder)}") from None
    except BrokenExecutor:
        ended = "a worker process was ended from outside, perhaps for want of memory (fewer --jobs need less)"
        raise DseError(f"{ended}; the chips that were done are {kept_in(folder)}") from None
    document = {"mapping": how, **report.to_dict()}
    write_document(arguments, file, document)
    emit(arguments, document, lambda: accuracy_text(report))
    if report.status == "time_limit":
        tell(arguments, wrapped(f"time limit: {len(report.draws)} of {report.planned_draws} chips {kept_in(folder)}"))
        return 4
    if folder is not None and not arguments.keep:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def plan_of(arguments: argparse.Namespace) -> dse.noise.Plan:
    """The settings that the arguments describe."""
    tasks = dse.noise.TaskPlan(
        tuple(arguments.tasks), Path(arguments.task_path) if arguments.task_path else None, arguments.task_items
    )
    return dse.noise.Plan(
        draws=arguments.draws,
        seed=arguments.seed,
        time_s=arguments.time_s,
        scale=arguments.scale,
        n_tokens=arguments.tokens,
        n_items=arguments.items,
        half_width_nats=arguments.half_width_nats,
        max_draws=arguments.max_draws,
        yield_limit_nats=arguments.yield_limit_nats,
        margin_nats=arguments.margin_nats,
        tasks=tasks,
        torch_device=arguments.torch_device,
    )


def measured(
    arguments: argparse.Namespace, pair: Pair, mapping: Mapping, folder: Path | None, *, used_s: float
) -> AccuracyReport:
    """The report that the arguments ask for."""
    limit_s = arguments.time_limit_s
    with processes(arguments.jobs) as executor:
        return dse.noise.check_accuracy(
            pair.arch,
            pair.workload,
            mapping,
            draws=arguments.draws,
            seed=arguments.seed,
            time_s=arguments.time_s,
            scale=arguments.scale,
            executor=executor,
            n_tokens=arguments.tokens,
            n_items=arguments.items,
            half_width_nats=arguments.half_width_nats,
            max_draws=arguments.max_draws,
            yield_limit_nats=arguments.yield_limit_nats,
            margin_nats=arguments.margin_nats,
            tasks=arguments.tasks,
            task_path=arguments.task_path,
            task_items=arguments.task_items,
            folder=folder,
            time_limit_s=None if limit_s is None else max(0.0, limit_s - used_s),
            torch_device=arguments.torch_device,
            progress=progress_bar(arguments, "chips"),
        )


def kept_in(folder: Path | None) -> str:
    """Where the chips are, and how to go on."""
    if folder is None:
        return "are lost, since no folder could be made for them; give one with --keep DIR"
    return f"kept in {folder}; run the same command again to go on"


def cache_folder(pair: Pair, mapping: Mapping, plan: dse.noise.Plan) -> Path | None:
    """A folder of the user's cache for the chips of one study, until it is complete; None where there is none."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dse" / "accuracy"
    folder = root / dse.noise.study_digest(pair.arch, pair.workload, mapping, plan)[:16]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder
