"""Solver process: CBC through PuLP, for machines without highspy."""

from __future__ import annotations

import sys
from typing import Any, TextIO

import pulp

from dse.mapping.worker import Task, open_answers, read_task, say


def solve_cbc(answers: TextIO, task: Task) -> None:
    """CBC through PuLP, for machines without highspy; its bound is that of the relaxation."""

    def run(relaxed: bool) -> tuple[Any, Any]:
        variables, model = pulp.LpProblem.fromMPS(task.model, sense=pulp.LpMinimize)
        solver = pulp.PULP_CBC_CMD(
            msg=False,
            mip=not relaxed,
            timeLimit=task.time_limit_s,
            gapRel=task.gap,
            threads=1,
            options=[f"randomCbcSeed {task.seed}"],
        )
        model.solve(solver)
        return variables, model

    status_of = {
        pulp.LpSolutionOptimal: "optimal",
        pulp.LpSolutionInfeasible: "infeasible",
        pulp.LpSolutionIntegerFeasible: "time_limit",
    }
    _, relaxation = run(relaxed=True)
    status = status_of.get(relaxation.sol_status, "failed")
    bound = relaxation.objective.value() if status == "optimal" else None
    say(answers, event="relaxation", status=status, bound=bound)
    variables, model = run(relaxed=False)
    status = status_of.get(model.sol_status, "failed")
    has_values = status in ("optimal", "time_limit")
    values = {name: variable.value() for name, variable in variables.items()} if has_values else {}
    if status == "infeasible" and bound is not None:
        status = "failed"
    say(
        answers,
        event="solution",
        status=status,
        bound=bound,
        values=values,
        solver=f"CBC through PuLP {pulp.__version__}",
    )


if __name__ == "__main__":
    solve_cbc(open_answers(), read_task(sys.argv[1:]))
