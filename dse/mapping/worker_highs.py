"""Solver process: HiGHS."""

from __future__ import annotations

import sys
import time
from typing import Any, TextIO

import highspy

from dse.mapping.worker import Task, open_answers, read_task, say


def solve_highs(answers: TextIO, task: Task) -> None:
    """The relaxation first, so that a bound is known whatever happens, then the program itself."""
    begin = time.monotonic()

    def load(relaxed: bool) -> Any:
        highs: Any = highspy.Highs()  # type: ignore[no-untyped-call]
        for name, value in (("output_flag", False), ("threads", 1), ("random_seed", task.seed)):
            highs.setOptionValue(name, value)
        highs.setOptionValue("solve_relaxation", relaxed)
        highs.setOptionValue("time_limit", max(task.time_limit_s - (time.monotonic() - begin), 0.05))
        highs.readModel(task.model)
        return highs

    status_of = {
        highspy.HighsModelStatus.kOptimal: "optimal",
        highspy.HighsModelStatus.kInfeasible: "infeasible",
        highspy.HighsModelStatus.kUnboundedOrInfeasible: "infeasible",
        highspy.HighsModelStatus.kTimeLimit: "time_limit",
    }
    relaxation = load(relaxed=True)
    relaxation.run()
    status = status_of.get(relaxation.getModelStatus(), "failed")
    bound = relaxation.getObjectiveValue() if status == "optimal" else None
    say(answers, event="relaxation", status=status, bound=bound)

    highs = solved_program(load(relaxed=False), task.gap, task.start)
    if task.start and not is_consistent(highs):
        highs = solved_program(load(relaxed=False), task.gap, {})
    info = highs.getInfo()
    values = {}
    if info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible:
        pairs = zip(highs.getLp().col_names_, highs.getSolution().col_value, strict=True)
        values = {name: value for name, value in pairs if value}
    found = highs.getLp().integrality_
    mip_bound = info.mip_dual_bound if len(found) else bound
    say(
        answers,
        event="solution",
        status=status_of.get(highs.getModelStatus(), "failed"),
        bound=mip_bound if mip_bound is not None and abs(mip_bound) < 1e300 else None,
        values=values,
        solver=f"HiGHS {highs.version()}",
    )


def solved_program(highs: Any, gap: float, start: dict[str, float]) -> Any:
    """Runs the program to the gap, from a start where one is given."""
    highs.setOptionValue("mip_rel_gap", gap)
    highs.setOptionValue("mip_abs_gap", 1e-9)
    if start:
        column = {name: index for index, name in enumerate(highs.getLp().col_names_)}
        known = [(column[name], value) for name, value in start.items() if name in column]
        highs.setSolution(len(known), [index for index, _ in known], [value for _, value in known])
    highs.run()
    return highs


def is_consistent(highs: Any) -> bool:
    """Whether the objective is that of the values.

    HiGHS 1.16 gives another one, and a bound that fits it, where presolve solves a program that has a start.
    """
    info, program = highs.getInfo(), highs.getLp()
    if info.primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
        return True
    pairs = zip(program.col_cost_, highs.getSolution().col_value, strict=True)
    value = program.offset_ + sum(cost * x for cost, x in pairs)
    return bool(abs(value - info.objective_function_value) <= 1e-7 * max(1.0, abs(value)))


if __name__ == "__main__":
    solve_highs(open_answers(), read_task(sys.argv[1:]))
