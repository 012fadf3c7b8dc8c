"""``dse explore``: evaluates a space of designs and writes a run folder."""

from __future__ import annotations

import argparse
import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import cast, get_args

from dse.commands.output import emit, json_text, tell
from dse.commands.processes import processes
from dse.commands.progress import progress_bar
from dse.errors import Problem, SpecError
from dse.exploration.points import Value, axis_values
from dse.exploration.run import ExplorationInterrupted, explore
from dse.exploration.space import AccuracyPlan, Space, load_space_file
from dse.report.study_text import study_text
from dse.spec.axis import parse_axis
from dse.spec.load import load_architecture
from dse.spec.node import OVERRIDE
from dse.spec.provenance import Provenance
from dse.spec.space import MappingLimit, MappingPolicy
from dse.spec.suggest import did_you_mean
from dse.workload.build import load_workload


def run(arguments: argparse.Namespace) -> int:
    """Explores a space; 3 where no design is feasible.

    Interrupted, or out of time (4), it keeps the finished points, and goes on when it is called again.
    """
    space = space_of(arguments)
    folder = run_folder(arguments, space)
    limit_s = math.inf if arguments.time_limit_s is None else arguments.time_limit_s
    try:
        with processes(arguments.jobs) as executor:
            study = explore(space, folder=folder, progress=progress_bars(arguments), executor=executor,
                            torch_device=arguments.torch_device, time_limit_s=limit_s)  # fmt: skip
    except ExplorationInterrupted as stopped:
        return stopped_early(arguments, stopped, folder)
    for warning in study.manifest["warnings"]:
        tell(arguments, f"warning: {warning}")
    for remark in study.manifest["remarks"]:
        tell(arguments, f"remark: {remark}")
    document = {**study.manifest, "folder": str(folder), "front": study.front.reset_index().to_dict(orient="records")}
    emit(arguments, document, lambda: study_text(study))
    tell(arguments, f"run folder: {folder}; `dse report {folder}` writes the report")
    return 3 if study.manifest["status_counts"]["ok"] == 0 else 0


def stopped_early(arguments: argparse.Namespace, stopped: ExplorationInterrupted, folder: Path) -> int:
    """Says what is kept of an exploration that did not come to its end; returns the exit code.

    Out of time, the points that are done are the answer.
    """
    finished = len(stopped.study.points)
    status = "time_limit" if stopped.is_late else "interrupted"
    if arguments.json:
        print(json_text({"status": status, "folder": str(folder), "finished_points": finished}))
    elif stopped.is_late and finished:
        print(study_text(stopped.study))
    tell(arguments, f"\n{status.replace('_', ' ')}: {finished} finished points kept in {folder}; "
                    "run the same command again to go on")  # fmt: skip
    return 4 if stopped.is_late else 130


def space_of(arguments: argparse.Namespace) -> Space:
    """The space that the arguments describe: a space file, or architecture, workload and ``--set`` axes.

    Axes, limits, ranking, seed and title that are given replace those of the file.
    """
    accuracy = None
    if arguments.accuracy:
        accuracy = AccuracyPlan(draws=arguments.draws, candidates=arguments.candidates, scales=arguments.scales,
                                n_tokens=arguments.tokens, n_items=arguments.items)  # fmt: skip
    axes, limits = axes_of(arguments.set), limits_of(arguments.limit)
    given = {path: Provenance(file=OVERRIDE) for path in axes}
    if arguments.workload is None:
        space = load_space_file(arguments.architecture, accuracy=accuracy)
        axes = {**{path: list(values) for path, values in space.axes.items()}, **axes}
        limits = {**space.limits, **limits}
    else:
        arch, workload = load_architecture(arguments.architecture), load_workload(arguments.workload)
        space = Space(architecture=arch, workload=workload, axes={}, accuracy=accuracy)
    return dataclasses.replace(
        space,
        axes=axes,
        axis_places={**space.axis_places, **given},
        limits=limits,
        mapping=policy_of(arguments, space.mapping),
        seed=space.seed if arguments.seed is None else arguments.seed,
        title=arguments.title or space.title,
    )


def policy_of(arguments: argparse.Namespace, policy: MappingPolicy) -> MappingPolicy:
    """The mapping policy of a file with what the arguments give instead.

    Raises:
        SpecError: a limit that is none, or that no mapping policy has.
    """
    given = {name: getattr(arguments, name) for name in ("policy", "ranking", "objective", "certify")}
    limits = dict(policy.limits)
    for text in arguments.mapping_limit:
        name = text.partition("=")[0]
        if name not in get_args(MappingLimit):
            known = get_args(MappingLimit)
            raise SpecError(f"--mapping-limit {text}: unknown limit{did_you_mean(name, known)}")
        limits[cast(MappingLimit, name)] = limit_value("--mapping-limit", text)
    kept = {name: value for name, value in given.items() if value is not None}
    return dataclasses.replace(policy, **kept, limits=limits)


def limit_value(option: str, text: str) -> float:
    """The number of NAME=NUMBER.

    Raises:
        SpecError: no number, or one below 0.
    """
    try:
        value = float(text.partition("=")[2])
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise SpecError(f"{option} {text}: expected NAME=NUMBER with a number >= 0")
    return value


def axes_of(texts: list[str]) -> dict[str, list[Value]]:
    """``--set`` texts as axes.

    Raises:
        SpecError: a broken text, or two for one path.
    """
    axes: dict[str, list[Value]] = {}
    for text in texts:
        path, values = parse_axis(text)
        if path in axes:
            raise SpecError([Problem("given twice; write all values in one --set, e.g. 6,7,8", path, OVERRIDE)])
        axes[path] = axis_values(path, values)
    return axes


def limits_of(texts: list[str]) -> dict[str, float]:
    """``--limit`` texts as a mapping.

    Raises:
        SpecError: a text that is not ``max_METRIC=NUMBER`` or ``min_METRIC=NUMBER``.
    """
    limits: dict[str, float] = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            limits[name] = float(value)
        except ValueError:
            raise SpecError(f"--limit {text}: expected max_METRIC=NUMBER or min_METRIC=NUMBER") from None
    return limits


def run_folder(arguments: argparse.Namespace, space: Space) -> Path:
    """The folder that the run is written to.

    Raises:
        SpecError: there is a file of that name.
    """
    folder = Path(arguments.output or Path("reports") / f"{space.architecture.name}_{space.workload.name}")
    in_the_way = next((path for path in (folder, *folder.parents) if path.exists() and not path.is_dir()), None)
    if in_the_way is not None:
        raise SpecError(f"-o {folder}: {in_the_way} is a file; a run is written to a folder")
    return folder


def progress_bars(arguments: argparse.Namespace) -> Callable[[str, int, int], None]:
    """One bar for each stage of an exploration."""
    bars: dict[str, Callable[[int, int], None]] = {}

    def step(stage: str, done: int, total: int) -> None:
        if stage not in bars:
            bars[stage] = progress_bar(arguments, stage)
        bars[stage](done, total)

    return step
