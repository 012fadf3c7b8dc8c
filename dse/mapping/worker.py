"""What the solver processes share: their arguments, and the JSON lines they answer with.

A solver process runs as ``python -m dse.mapping.worker_highs MODEL.mps HINTS.json TIME_LIMIT_S GAP SEED``. Lines:
``{"event": "relaxation", "status", "bound"}``, then ``{"event": "solution", "status", "bound", "values", "solver"}``
for every better solution, the last one with how the search ended; status is ``optimal``, ``infeasible``,
``time_limit`` or ``failed``.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One model to solve."""

    model: str
    """Path of the MPS file."""
    start: dict[str, float]
    """Variable → value of a known solution; may be partial or empty."""
    time_limit_s: float
    gap: float
    seed: int
    parts: dict[str, int] = field(default_factory=dict)
    """Variable → the part of the program it belongs to, where it falls into parts but for a few rows."""
    sums: list[list[str]] = field(default_factory=list)
    """Integer variables whose sum is often all that a limit sees of them."""
    sweep: list[dict[str, tuple[float | None, float | None]]] = field(default_factory=list)
    """Row → its sides, for one solution after the other; empty: one solution with the model as it is."""


def read_task(arguments: list[str]) -> Task:
    """The task on a command line."""
    model, start, time_limit_s, gap, seed = arguments
    hints = json.loads(Path(start).read_text(encoding="utf-8"))
    return Task(
        model=model,
        start=hints["start"],
        parts=hints["parts"],
        sums=hints["sums"],
        sweep=hints["sweep"],
        time_limit_s=float(time_limit_s),
        gap=float(gap),
        seed=int(seed),
    )


def open_answers() -> TextIO:
    """Keeps standard output for the JSON lines and sends whatever else is printed to nowhere."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return answers


def say(answers: TextIO, **event: object) -> None:
    """Writes one line."""
    answers.write(json.dumps(event) + "\n")
    answers.flush()
