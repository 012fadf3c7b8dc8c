"""Runs a model through a solver in a child process with a deadline of our own."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

PACKAGE_HOME: Final = Path(__file__).parents[2]
"""Folder that the child must be able to import ``dse`` from."""
LOGGER: Final = logging.getLogger(__name__)
GRACE_S: Final = 2.0
"""Time beyond the limit that the solver gets to stop by itself [s]."""

Changes: TypeAlias = dict[str, tuple[float | None, float | None]]
"""Name of a row in the model → its sides."""
Outcome = Literal["optimal", "infeasible", "time_limit", "failed"]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Answer:
    """What a solver found in time."""

    status: Outcome
    bound: float | None
    """Proven lower bound of the model's objective; None: none is known."""
    values: dict[str, float] = field(default_factory=dict)
    """Variable → value, zeros left out; empty: no solution."""
    solver: str = ""
    seconds: float = 0.0


def installed_solvers() -> tuple[str, ...]:
    """``highs`` where highspy is installed, then ``cbc``, which comes with PuLP."""
    return ("highs", "cbc") if importlib.util.find_spec("highspy") else ("cbc",)


def solve_model(
    write: Callable[[Path], None],
    *,
    start: dict[str, float] | None = None,
    parts: dict[str, int] | None = None,
    sums: list[list[str]] | None = None,
    time_limit_s: float,
    gap: float,
    seed: int,
    solver: str | None = None,
) -> Answer:
    """Solves the model that ``write`` writes as an MPS file.

    After the deadline the child is ended and the relaxation's bound, if known, is the answer. Where a solver's process
    fails, the next solver gets the rest of the time; where all fail, the answer is ``failed`` without values.
    """
    begin = time.monotonic()
    answer = Answer(status="failed", bound=None)
    with written_task(write, {"start": start or {}, "parts": parts or {}, "sums": sums or [], "sweep": []}) as files:
        for name in (solver,) if solver else installed_solvers():
            left_s = max(time_limit_s - (time.monotonic() - begin), 0.1)
            lines, errors = run_until(worker_command(name, *files, left_s, gap, seed), left_s + GRACE_S)
            spent_s = time.monotonic() - begin
            found = read_answer(lines, spent_s)
            if found is not None:
                return found
            if spent_s >= time_limit_s:
                return Answer(status="time_limit", bound=None, seconds=spent_s)
            LOGGER.warning("the solver %s ended without an answer: %s", name, errors.strip()[-500:] or "no message")
            answer = Answer(status="failed", bound=None, seconds=spent_s)
    return answer


def solve_sweep(
    write: Callable[[Path], None],
    sweep: list[Changes],
    *,
    parts: dict[str, int] | None = None,
    sums: list[list[str]] | None = None,
    time_limit_s: float,
    gap: float,
    seed: int,
) -> list[Answer]:
    """Solves one model again and again with other sides of its rows, in one process of HiGHS.

    The answers come in the order of the sweep; there are fewer where the time was over.
    """
    with written_task(write, {"start": {}, "parts": parts or {}, "sums": sums or [], "sweep": sweep}) as files:
        lines, _ = run_until(worker_command("highs", *files, time_limit_s, gap, seed), time_limit_s + GRACE_S)
    return read_answers(lines, time_limit_s)


@contextlib.contextmanager
def written_task(write: Callable[[Path], None], hints: dict[str, Any]) -> Iterator[tuple[Path, Path]]:
    """Files with the model and what is known besides, for as long as the context lasts."""
    with tempfile.TemporaryDirectory(prefix="dse-mapping-") as folder:
        files = Path(folder, "model.mps"), Path(folder, "hints.json")
        write(files[0])
        files[1].write_text(json.dumps(hints), encoding="utf-8")
        yield files


def worker_command(name: str, *arguments: object) -> list[str]:
    """Command line of a solver's process (``worker.read_task`` says its arguments)."""
    return [sys.executable, "-P", "-m", f"dse.mapping.worker_{name}", *map(str, arguments)]


def run_until(command: list[str], deadline_s: float) -> tuple[list[str], str]:
    """Output lines and errors of a command that is ended at the deadline."""
    pipe = subprocess.PIPE
    path = os.pathsep.join(filter(None, [str(PACKAGE_HOME), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"PYTHONPATH": path}
    with subprocess.Popen(
        command, stdout=pipe, stderr=pipe, stdin=subprocess.DEVNULL, text=True, env=environment
    ) as process:
        try:
            output, errors = process.communicate(timeout=deadline_s)
        except subprocess.TimeoutExpired:
            process.kill()
            output, errors = process.communicate()
        except BaseException:
            process.kill()
            raise
    return output.splitlines(), errors


def events_of(lines: list[str]) -> list[dict[str, Any]]:
    """The worker's events; a cut-off last line is left out."""
    events = []
    for line in lines:
        with contextlib.suppress(json.JSONDecodeError):
            events.append(json.loads(line))
    return events


def read_answers(lines: list[str], seconds: float) -> list[Answer]:
    """The answers of a sweep, in its order, as far as they came."""
    groups: list[list[str]] = []
    for line in lines:
        if '"event": "relaxation"' in line[:40] or not groups:
            groups.append([])
        groups[-1].append(line)
    found = [read_answer(group, seconds) for group in groups]
    return [answer for answer in found if answer is not None]


def read_answer(lines: list[str], seconds: float) -> Answer | None:
    """The answer in the worker's lines; a cut-off last line is left out."""
    bound: float | None = None
    answer = None
    for event in events_of(lines):
        if event["event"] == "relaxation":
            bound = event["bound"]
            status: Outcome = "infeasible" if event["status"] == "infeasible" else "time_limit"
            answer = Answer(status=status, bound=bound, seconds=seconds)
        else:
            found = [value for value in (bound, event["bound"]) if value is not None]
            answer = Answer(
                status=event["status"],
                bound=max(found, default=None),
                values=event["values"],
                solver=event["solver"],
                seconds=seconds,
            )
    return answer
