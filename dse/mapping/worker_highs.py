"""Solver process: HiGHS.

1. The relaxation; its optimum is a bound, and its reduced costs say what changing a variable costs at least.
2. Programs that fall into parts (the stages) but for a few rows: a solution part by part, and the Lagrangian bound of
   those rows, which is stronger than the relaxation, because each part is solved in whole numbers.
3. Else the core: the program with all integer variables fixed but those that the relaxation leaves open or nearly so.
4. Where value and bound are not within the gap: the program without the variables whose reduced cost exceeds the
   distance between value and the relaxation, by branch and bound from the best solution.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import Any, Final, TextIO

import highspy
import numpy as np
from numpy.typing import NDArray

from dse.mapping.parts import lagrangian_bound, parts_of, rolled_solution
from dse.mapping.worker import Task, open_answers, read_task, say

CORES: Final = (150, 600, 2400)
"""Integer variables of the first cores that the relaxation does not leave open by itself."""
CORE_SHARE: Final = 0.15
"""Share of the remaining time for one core."""
SHARE: Final = 0.3
"""Share of the remaining time for a solution, and again for a bound, part by part."""
SMALL: Final = 500
"""Integer variables of a small program."""
POLISH_S: Final = {True: 10.0, False: 1.0}
"""Whether a program is small → time for which it is solved beyond the gap, to the optimum itself where that is near."""
EXACT: Final = 1e-9
"""Gap that counts as none."""
MARGIN: Final = 1e-9
"""Share of the value that reduced costs must exceed the distance by before a variable is fixed."""

Array = NDArray[np.float64]


@dataclass(slots=True, eq=False)
class Search:
    """What is known so far of one program."""

    task: Task
    begin: float
    bound: float = float("-inf")
    value: float = float("inf")
    values: Array | None = None

    def left_s(self) -> float:
        """Time that is left [s]."""
        return max(self.task.time_limit_s - (time.monotonic() - self.begin), 0.05)

    def spent_s(self) -> float:
        """Time since the beginning [s]."""
        return time.monotonic() - self.begin

    def is_over(self) -> bool:
        """Whether there is no time left."""
        return time.monotonic() - self.begin >= self.task.time_limit_s

    def is_good(self) -> bool:
        """Whether value and bound are within the gap."""
        return self.values is not None and self.value - self.bound <= self.task.gap * abs(self.value) + 1e-9

    def take(self, highs: Any) -> None:
        """Keeps the solution of a solver where it is the best so far."""
        if highs.getInfo().primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
            return
        values = np.array(highs.getSolution().col_value)
        value = objective_of(highs, values)
        if value < self.value:
            self.value, self.values = value, values


def objective_of(highs: Any, values: Array) -> float:
    """The objective of values, by multiplication.

    HiGHS 1.16 reports another one where presolve solves a program that has a start.
    """
    program = highs.getLp()
    return float(program.offset_ + np.dot(program.col_cost_, values))


def solve_highs(answers: TextIO, task: Task) -> None:
    """Solves a task and says the relaxation's bound and the solution."""
    search = Search(task, time.monotonic())
    highs: Any = highspy.Highs()  # type: ignore[no-untyped-call]
    for name, value in (("output_flag", False), ("threads", 1), ("random_seed", task.seed)):
        highs.setOptionValue(name, value)
    highs.readModel(task.model)
    integer = integer_columns(highs)
    relaxation = solved_relaxation(highs, search)
    status = status_of(relaxation)
    if status == "optimal":
        search.bound = objective_of(relaxation, np.array(relaxation.getSolution().col_value))
    say(answers, event="relaxation", status=status, bound=finite(search.bound))
    if status == "optimal" and not len(integer):
        search.take(relaxation)
    elif status == "optimal":
        if search.task.parts:
            by_parts(highs, relaxation, search, integer)
        if not search.is_good() and search.values is None:
            status = solved_core(highs, relaxation, search, integer)
        if not search.is_good():
            status = proven(highs, relaxation, search, integer, search.task.gap / 2, search.left_s())
        polish_s = min(POLISH_S[len(integer) <= SMALL] - search.spent_s(), search.left_s())
        if search.is_good() and polish_s > 0 and search.value - search.bound > EXACT * abs(search.value):
            proven(highs, relaxation, search, integer, 0.0, polish_s)
    elif status != "infeasible":
        status = branch_and_bound(highs, search, {})
    names = highs.getLp().col_names_
    found = search.values if search.values is not None else np.zeros(0)
    say(
        answers,
        event="solution",
        status="optimal" if search.is_good() and search.values is not None else status,
        bound=finite(min(search.bound, search.value)),
        values={names[column]: float(found[column]) for column in np.flatnonzero(found).tolist()},
        solver=f"HiGHS {highs.version()}",
    )


def integer_columns(highs: Any) -> NDArray[np.int64]:
    """Columns of integer variables."""
    kinds = highs.getLp().integrality_
    return np.array([i for i, kind in enumerate(kinds) if kind == highspy.HighsVarType.kInteger], dtype=np.int64)


def solved_relaxation(highs: Any, search: Search) -> Any:
    """The program without integrality, solved."""
    relaxation: Any = highspy.Highs()  # type: ignore[no-untyped-call]
    for name, value in (("output_flag", False), ("threads", 1), ("random_seed", search.task.seed)):
        relaxation.setOptionValue(name, value)
    relaxation.passModel(highs.getLp())
    relaxation.setOptionValue("solve_relaxation", True)
    relaxation.setOptionValue("time_limit", search.left_s())
    relaxation.run()
    return relaxation


def solved_core(highs: Any, relaxation: Any, search: Search, integer: NDArray[np.int64]) -> str:
    """Solves the core, and larger ones until value and bound are within the gap; the last one is the whole program."""
    solution = relaxation.getSolution()
    values, costs = np.array(solution.col_value)[integer], np.abs(np.array(solution.col_dual))[integer]
    is_open = np.abs(values - np.round(values)) > 1e-6
    order = np.argsort(np.where(is_open, -1.0, costs), kind="stable")
    for size in (*CORES, len(order)):
        kept = order[min(int(is_open.sum()) + size, len(order)) :]
        fixed = dict(zip(integer[kept].tolist(), np.round(values[kept]).tolist(), strict=True))
        status = branch_and_bound(highs, search, fixed, time_limit_s=CORE_SHARE * search.left_s())
        if search.is_good() or not len(kept) or search.is_over():
            break
    return status


def proven(  # noqa: PLR0917 (the state of one search)
    highs: Any, relaxation: Any, search: Search, integer: NDArray[np.int64], gap: float, time_limit_s: float
) -> str:
    """Branch and bound without the variables whose reduced cost says that they stay as they are."""
    if search.is_over():
        return "time_limit"
    solution = relaxation.getSolution()
    costs, fixed = np.abs(np.array(solution.col_dual))[integer], {}
    least = objective_of(relaxation, np.array(solution.col_value))
    if search.values is not None:
        sure = costs > (search.value - least) + MARGIN * abs(search.value)
        values = np.round(np.array(solution.col_value)[integer[sure]])
        fixed = dict(zip(integer[sure].tolist(), values.tolist(), strict=True))
    return branch_and_bound(highs, search, fixed, is_proof=True, gap=gap, time_limit_s=time_limit_s)


def by_parts(highs: Any, relaxation: Any, search: Search, integer: NDArray[np.int64]) -> None:
    """A solution and a bound part by part."""
    parts, solution = parts_of(highs.getLp(), search.task.parts), relaxation.getSolution()
    rolled = rolled_solution(
        parts, np.array(solution.col_value), gap=max(search.task.gap / 3, 1e-6), time_limit_s=SHARE * search.left_s()
    )
    if rolled is not None:
        branch_and_bound(highs, search, dict(zip(integer.tolist(), rolled[integer].tolist(), strict=True)))
    if not search.is_good():
        prices, left_s = np.array(solution.row_dual), SHARE * search.left_s()
        bound = lagrangian_bound(parts, prices, value=search.value, time_limit_s=left_s)
        search.bound = max(search.bound, bound)


def branch_and_bound(
    highs: Any,
    search: Search,
    fixed: dict[int, float],
    *,
    is_proof: bool = False,
    gap: float | None = None,
    time_limit_s: float | None = None,
) -> str:
    """Runs branch and bound with some variables fixed; its bound counts where nothing was fixed but what is proven."""
    program = highs.getLp()
    lower, upper = np.array(program.col_lower_), np.array(program.col_upper_)
    columns = np.array(list(fixed), dtype=np.int32)
    if len(columns):
        at = np.array(list(fixed.values()))
        highs.changeColsBounds(len(columns), columns, at, at)
    highs.setOptionValue("time_limit", search.left_s() if time_limit_s is None else time_limit_s)
    highs.setOptionValue("mip_rel_gap", search.task.gap / 2 if gap is None else gap)
    highs.setOptionValue("mip_abs_gap", 1e-9)
    highs.clearSolver()
    start = search.values
    if start is None and search.task.start and not fixed:
        start = start_values(program.col_names_, search.task.start)
    if start is not None:
        known = np.arange(len(start)) if search.values is not None else integer_columns(highs)
        highs.setSolution(len(known), known.astype(np.int32), start[known])
    highs.run()
    if start is not None and not is_consistent(highs):
        highs.clearSolver()
        highs.run()
    status = status_of(highs)
    search.take(highs)
    bound = highs.getInfo().mip_dual_bound
    if is_proof and status == "infeasible" and search.values is not None:
        search.bound = search.value
    if (is_proof or not fixed) and np.isfinite(bound) and status in ("optimal", "time_limit"):
        search.bound = max(search.bound, min(bound, search.value))
    if len(columns):
        highs.changeColsBounds(len(columns), columns, lower[columns], upper[columns])
    if fixed and status == "infeasible" and not is_proof:
        return "time_limit"
    return status


def is_consistent(highs: Any) -> bool:
    """Whether the objective that HiGHS reports is that of its values; else its bound is not to be trusted either."""
    info = highs.getInfo()
    if info.primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
        return True
    value = objective_of(highs, np.array(highs.getSolution().col_value))
    return bool(abs(value - info.objective_function_value) <= 1e-7 * max(1.0, abs(value)))


def start_values(names: list[str], start: dict[str, float]) -> Array:
    """(columns,): values of a known placement, 0 where it says none."""
    return np.array([start.get(name, 0.0) for name in names])


def status_of(highs: Any) -> str:
    """How a run ended."""
    known = {
        highspy.HighsModelStatus.kOptimal: "optimal",
        highspy.HighsModelStatus.kInfeasible: "infeasible",
        highspy.HighsModelStatus.kUnboundedOrInfeasible: "infeasible",
        highspy.HighsModelStatus.kTimeLimit: "time_limit",
    }
    return known.get(highs.getModelStatus(), "failed")


def finite(value: float) -> float | None:
    """A number, or None for what is none."""
    return value if abs(value) < 1e300 else None


if __name__ == "__main__":
    solve_highs(open_answers(), read_task(sys.argv[1:]))
