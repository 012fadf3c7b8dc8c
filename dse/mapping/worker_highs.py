"""Solver process: HiGHS; of a sweep one model, whose rows change between the solutions."""

from __future__ import annotations

import sys
from functools import partial
from typing import TextIO

from dse.mapping.highs_model import loaded_model
from dse.mapping.highs_search import Search
from dse.mapping.worker import Task, open_answers, read_task, say


def solve_highs(answers: TextIO, task: Task) -> None:
    """Solves a task and says for each of its changes the relaxation's bound and the solution."""
    model = loaded_model(task)
    limit_s = task.time_limit_s / max(len(task.sweep), 1)
    for changes in task.sweep or [{}]:
        model.change_rows(changes)
        search = Search(task, model, limit_s, report=partial(say_solution, answers, "time_limit"))
        status = search.relax()
        say(answers, event="relaxation", status=status, bound=finite(search.bound))
        say_solution(answers, search.run(status), search)


def say_solution(answers: TextIO, status: str, search: Search) -> None:
    """Says the best solution so far, so that a process that is ended leaves its last one."""
    names = search.model.names
    found = [] if search.values is None else list(enumerate(search.values.tolist()))
    say(
        answers,
        event="solution",
        status=status,
        bound=finite(min(search.bound, search.value)),
        values={names[column]: value for column, value in found if value},
        solver=f"HiGHS {search.model.highs.version()}",
    )


def finite(value: float) -> float | None:
    """A number, or None for what is none."""
    return value if abs(value) < 1e300 else None


if __name__ == "__main__":
    solve_highs(open_answers(), read_task(sys.argv[1:]))
