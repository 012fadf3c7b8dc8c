"""Solves one model file in a process of its own and writes what it finds as JSON lines; run by ``solve``.

Usage: python worker.py SOLVER MODEL.mps START.json TIME_LIMIT_S GAP SEED, with SOLVER ``highs`` or ``cbc``.
Lines: ``{"event": "relaxation", "status", "bound"}``, then ``{"event": "solution", "status", "bound", "values",
"solver"}``; status is ``optimal``, ``infeasible``, ``time_limit`` or ``failed``.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any, TextIO


def main(arguments: list[str]) -> None:
    """Keeps standard output for the JSON lines, sends the solver's own output to nowhere, and solves."""
    solver, model, start, time_limit_s, gap, seed = arguments
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    solve = {"highs": solve_highs, "cbc": solve_cbc}[solver]
    with open(start, encoding="utf-8") as stream:
        values = json.load(stream)
    solve(answers, model, values, time_limit_s=float(time_limit_s), gap=float(gap), seed=int(seed))


def say(answers: TextIO, **event: object) -> None:
    """Writes one line."""
    answers.write(json.dumps(event) + "\n")
    answers.flush()


def solve_highs(
    answers: TextIO, file: str, start: dict[str, float], *, time_limit_s: float, gap: float, seed: int
) -> None:
    """The relaxation first, so that a bound is known whatever happens, then the program itself."""
    import highspy

    begin = time.monotonic()

    def load(relaxed: bool) -> Any:
        highs: Any = highspy.Highs()  # type: ignore[no-untyped-call]
        for name, value in (("output_flag", False), ("threads", 1), ("random_seed", seed)):
            highs.setOptionValue(name, value)
        highs.setOptionValue("solve_relaxation", relaxed)
        highs.setOptionValue("time_limit", max(time_limit_s - (time.monotonic() - begin), 0.05))
        highs.readModel(file)
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

    highs = load(relaxed=False)
    highs.setOptionValue("mip_rel_gap", gap)
    highs.setOptionValue("mip_abs_gap", 1e-9)
    if start:
        column = {name: index for index, name in enumerate(highs.getLp().col_names_)}
        known = [(column[name], value) for name, value in start.items() if name in column]
        highs.setSolution(len(known), [index for index, _ in known], [value for _, value in known])
    highs.run()
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


def solve_cbc(
    answers: TextIO, file: str, start: dict[str, float], *, time_limit_s: float, gap: float, seed: int
) -> None:
    """CBC through PuLP, for machines without highspy; its bound is that of the relaxation."""
    import pulp

    def run(relaxed: bool) -> tuple[Any, Any]:
        variables, model = pulp.LpProblem.fromMPS(file, sense=pulp.LpMinimize)
        solver = pulp.PULP_CBC_CMD(
            msg=False,
            mip=not relaxed,
            timeLimit=time_limit_s,
            gapRel=gap,
            threads=1,
            options=[f"randomCbcSeed {seed}"],
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
    main(sys.argv[1:])
