"""How one program is solved with HiGHS.

1. The relaxation; its optimum is a bound, and its reduced costs say what changing a variable costs at least.
2. Programs that fall into parts (the stages) but for a few rows, small ones as a whole for a moment before: a solution
   part by part, and the Lagrangian bound of those rows, which is stronger than the relaxation, because each part is
   solved in whole numbers.
3. Else the core: the program with all integer variables fixed but those that the relaxation leaves open or nearly so.
4. Where value and bound are not within the gap: the program without the variables whose reduced cost exceeds the
   distance between value and the relaxation, by branch and bound from the best solution.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import highspy
import numpy as np
from numpy.typing import NDArray

from dse.mapping.highs_model import SMALL, Model
from dse.mapping.parts import Parts, lagrangian_bound, parts_of, rolled_solution
from dse.mapping.worker import Task

CORES: Final = (150, 600, 2400)
"""Integer variables of the first cores that the relaxation does not leave open by itself."""
CORE_SHARE: Final = 0.15
"""Share of the remaining time for one core."""
PARTS_SHARE: Final = 0.3
"""Share of the remaining time for a solution, and again for a bound, part by part."""
PARTS_S: Final = 3.0
PARTS_S_PER_COLUMN: Final = 2e-4
"""Most time for a solution part by part, and what each integer variable adds to it [s]."""
SMALL_S: Final = 1.0
"""Time for a small program as a whole before it is solved part by part [s]."""
POLISH_S: Final = {True: 10.0, False: 1.0}
"""Whether a program is small → time for which it is solved beyond the gap, to the optimum itself where that is near."""
EXACT: Final = 1e-9
"""Gap that counts as none."""
WHOLE: Final = 1e-7
"""Distance from a whole number that counts as none."""
WHOLE_SUM: Final = 1e-6
"""The same for a sum of integer variables."""
MARGIN: Final = 1e-9
"""Share of the value that reduced costs must exceed the distance by before a variable is fixed."""

Array = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(slots=True, eq=False)
class Search:
    """What is known so far of one program."""

    task: Task
    model: Model
    limit_s: float
    begin: float = field(default_factory=time.monotonic)
    least: float = float("-inf")
    """Optimum of the relaxation."""
    bound: float = float("-inf")
    value: float = float("inf")
    values: Array | None = None
    report: Callable[[Search], None] = lambda _: None
    """Called with every better solution."""

    def spent_s(self) -> float:
        """Time since the beginning [s]."""
        return time.monotonic() - self.begin

    def left_s(self) -> float:
        """Time that is left [s]."""
        return max(self.limit_s - self.spent_s(), 0.05)

    def is_over(self) -> bool:
        """Whether there is no time left."""
        return self.spent_s() >= self.limit_s

    def gap_left(self) -> float:
        """Distance of value and bound as a share of the value."""
        if self.values is None:
            return float("inf")
        return (self.value - self.bound) / max(abs(self.value), 1e-300) if self.value - self.bound > EXACT else 0.0

    def is_good(self) -> bool:
        """Whether value and bound are within the gap."""
        return self.gap_left() <= self.task.gap

    def take(self, highs: Any) -> None:
        """Keeps the solution of a solver where it is the best so far."""
        if highs.getInfo().primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
            return
        values = np.array(highs.getSolution().col_value)
        value = self.model.value_of(values)
        if value < self.value:
            self.value, self.values = value, values
            self.report(self)

    def relax(self) -> str:
        """Solves the relaxation; its status."""
        status = self.solve_relaxation()
        if status == "optimal":
            self.least = self.bound = self.relaxed_value()
            for row in self.model.sums:
                self.round_sum(row)
        return status

    def solve_relaxation(self) -> str:
        """Solves the relaxation from its last basis; its status.

        HiGHS counts the time limit of a program without integer variables from its first run on.
        """
        relaxation = self.model.relaxation
        relaxation.setOptionValue("time_limit", relaxation.getRunTime() + self.left_s())
        relaxation.run()
        return status_of(relaxation)

    def relaxed_value(self) -> float:
        """Value of the relaxation's solution."""
        return self.model.value_of(np.array(self.model.relaxation.getSolution().col_value))

    def round_sum(self, row: int) -> None:
        """Holds a sum of integer variables, which the relaxation breaks, on the side where there are solutions.

        A split (W. Cook, R. Kannan, A. Schrijver, Math. Prog. 47 (1990) 155): no more than ⌊s⌋ or no less than ⌈s⌉.
        Where a limit leaves one side without a solution, the other one holds; else the lower of the two is a bound.
        """
        model = self.model
        value = float(np.array(model.relaxation.getSolution().row_value)[row])
        if abs(value - round(value)) <= WHOLE_SUM or self.is_over():
            return
        least = {}
        for side in ((-np.inf, float(np.floor(value))), (float(np.ceil(value)), np.inf)):
            model.relaxation.changeRowBounds(row, *side)
            status = self.solve_relaxation()
            if status == "optimal":
                least[side] = self.relaxed_value()
            elif status != "infeasible":
                least[side] = self.bound
        self.bound = max(self.bound, min(least.values(), default=self.bound))
        model.set_sides(row, *(next(iter(least)) if len(least) == 1 else (-np.inf, np.inf)))
        if self.solve_relaxation() == "optimal":
            self.least = max(self.least, self.relaxed_value())

    def run(self, status: str) -> str:
        """Solves the program after its relaxation; how that ended."""
        if status == "infeasible":
            return status
        if status != "optimal":
            return self.branch({})
        values = self.relaxed()[1]
        if np.all(np.abs(values - np.round(values)) <= WHOLE):
            self.take(self.model.relaxation)
            return status
        if self.task.parts and len(self.model.integer) <= SMALL:
            self.branch({}, is_proof=True, time_limit_s=SMALL_S)
        if self.task.parts and not self.is_good():
            self.solve_parts()
        if self.values is None:
            status = self.solve_core()
        if not self.is_good() and not self.is_over():
            status = self.prove(self.task.gap / 2, self.left_s())
        polish_s = min(POLISH_S[len(self.model.integer) <= SMALL] - self.spent_s(), self.left_s())
        if not self.task.sweep and self.is_good() and polish_s > 0 and self.gap_left() > EXACT:
            self.prove(0.0, polish_s)
        return "optimal" if self.is_good() else status

    def solve_parts(self) -> None:
        """A solution and a bound part by part."""
        solution = self.model.relaxation.getSolution()
        parts: Parts = parts_of(self.model.highs.getLp(), self.task.parts)
        most_s = PARTS_S + PARTS_S_PER_COLUMN * len(self.model.integer)
        gap, limit_s = max(self.task.gap / 3, 1e-6), min(PARTS_SHARE * self.left_s(), most_s)
        rolled = rolled_solution(parts, np.array(solution.col_value), gap=gap, time_limit_s=limit_s)
        if rolled is not None:
            integer = self.model.integer
            self.branch(dict(zip(integer.tolist(), rolled[integer].tolist(), strict=True)))
        if not self.is_good():
            prices, limit_s = np.array(solution.row_dual), PARTS_SHARE * self.left_s()
            self.bound = max(self.bound, lagrangian_bound(parts, prices, value=self.value, time_limit_s=limit_s))

    def solve_core(self) -> str:
        """Solves the core, and larger ones until value and bound are within the gap; the last one is the program."""
        integer, values, costs = self.relaxed()
        is_open = np.abs(values - np.round(values)) > 1e-6
        order = np.argsort(np.where(is_open, -1.0, costs), kind="stable")
        status = "time_limit"
        for size in (*CORES, len(order)):
            kept = order[min(int(is_open.sum()) + size, len(order)) :]
            fixed = dict(zip(integer[kept].tolist(), np.round(values[kept]).tolist(), strict=True))
            status = self.branch(fixed, time_limit_s=CORE_SHARE * self.left_s() if len(kept) else None)
            if self.is_good() or not len(kept) or self.is_over():
                break
        return status

    def prove(self, gap: float, time_limit_s: float) -> str:
        """Branch and bound without the variables whose reduced cost says that they stay as they are."""
        integer, values, costs = self.relaxed()
        fixed: dict[int, float] = {}
        if self.values is not None:
            sure = costs > (self.value - self.least) + MARGIN * abs(self.value)
            fixed = dict(zip(integer[sure].tolist(), np.round(values[sure]).tolist(), strict=True))
        return self.branch(fixed, is_proof=True, gap=gap, time_limit_s=time_limit_s)

    def relaxed(self) -> tuple[Indices, Array, Array]:
        """Integer columns, their values in the relaxation, and the size of their reduced costs."""
        solution, integer = self.model.relaxation.getSolution(), self.model.integer
        return integer, np.array(solution.col_value)[integer], np.abs(np.array(solution.col_dual))[integer]

    def branch(
        self,
        fixed: Mapping[int, float],
        *,
        is_proof: bool = False,
        gap: float | None = None,
        time_limit_s: float | None = None,
    ) -> str:
        """Branch and bound with some variables fixed; its bound counts where nothing was fixed but what is proven."""
        highs = self.model.highs
        columns = np.array(list(fixed), dtype=np.int32)
        if len(columns):
            at = np.array(list(fixed.values()))
            highs.changeColsBounds(len(columns), columns, at, at)
        highs.setOptionValue("time_limit", self.left_s() if time_limit_s is None else time_limit_s)
        highs.setOptionValue("mip_rel_gap", self.task.gap / 2 if gap is None else gap)
        highs.setOptionValue("mip_abs_gap", EXACT)
        highs.clearSolver()
        has_start = self.set_start(is_whole=not len(columns))
        highs.run()
        if has_start and not self.is_consistent():
            highs.clearSolver()
            highs.run()
        status = status_of(highs)
        self.take(highs)
        bound = highs.getInfo().mip_dual_bound
        if is_proof and status == "infeasible" and self.values is not None:
            self.bound = self.value
        if (is_proof or not fixed) and np.isfinite(bound) and status in ("optimal", "time_limit"):
            self.bound = max(self.bound, min(bound, self.value))
        if len(columns):
            highs.changeColsBounds(len(columns), columns, self.model.lower[columns], self.model.upper[columns])
        return "time_limit" if fixed and status == "infeasible" and not is_proof else status

    def set_start(self, *, is_whole: bool) -> bool:
        """Gives HiGHS the best solution so far, or the task's own for a program without fixed variables."""
        if self.values is not None:
            columns, values = np.arange(len(self.values)), self.values
        elif self.task.start and is_whole:
            columns = self.model.integer
            values = np.array([self.task.start.get(name, 0.0) for name in self.model.names])
        else:
            return False
        self.model.highs.setSolution(len(columns), columns.astype(np.int32), values[columns])
        return True

    def is_consistent(self) -> bool:
        """Whether the objective that HiGHS reports is that of its values; else its bound is not to be trusted."""
        highs = self.model.highs
        info = highs.getInfo()
        if info.primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
            return True
        value = self.model.value_of(np.array(highs.getSolution().col_value))
        return bool(abs(value - info.objective_function_value) <= 1e-7 * max(1.0, abs(value)))


def status_of(highs: Any) -> str:
    """How a run ended."""
    known = {
        highspy.HighsModelStatus.kOptimal: "optimal",
        highspy.HighsModelStatus.kInfeasible: "infeasible",
        highspy.HighsModelStatus.kUnboundedOrInfeasible: "infeasible",
        highspy.HighsModelStatus.kTimeLimit: "time_limit",
    }
    return known.get(highs.getModelStatus(), "failed")
