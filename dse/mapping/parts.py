"""Programs that fall into parts but for a few rows: a lower bound and a solution, part by part."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import highspy
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

FIRST_S: Final = 2.0
LEAST_S: Final = 0.05
"""Least time for a first solution of a part, whatever the share of it, and for a better one [s]."""
PART_CORE: Final = 60
"""Integer variables of a part's core that its relaxation does not leave open by itself."""

Array = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Parts:
    """A program as arrays, with the part of every column and row."""

    cost: Array
    offset: float
    lower: Array
    upper: Array
    row_lower: Array
    row_upper: Array
    is_integer: NDArray[np.bool_]
    matrix: csr_matrix
    of_column: Indices
    """Part of each column, −1: none."""
    of_row: Indices
    """Part that all columns of a row belong to, −1: several or none."""

    @property
    def numbers(self) -> list[int]:
        """The parts."""
        return [int(number) for number in np.unique(self.of_column[self.of_column >= 0])]


def parts_of(program: Any, part_of: dict[str, int]) -> Parts:
    """The arrays of a HiGHS program (``getLp``).

    Args:
        program: what falls into parts.
        part_of: name of a column → its part.
    """
    of_column = np.array([part_of.get(name, -1) for name in program.col_names_])
    matrix = rows_of(program)
    kinds = program.integrality_
    is_integer = np.array([kind == highspy.HighsVarType.kInteger for kind in kinds], dtype=bool)
    return Parts(
        cost=np.array(program.col_cost_),
        offset=float(program.offset_),
        lower=np.array(program.col_lower_),
        upper=np.array(program.col_upper_),
        row_lower=np.array(program.row_lower_),
        row_upper=np.array(program.row_upper_),
        is_integer=is_integer if len(is_integer) else np.zeros(len(of_column), dtype=bool),
        matrix=matrix,
        of_column=of_column,
        of_row=parts_of_rows(matrix, of_column),
    )


def rows_of(program: Any) -> csr_matrix:
    """The matrix of a program."""
    stored = program.a_matrix_
    shape = (program.num_row_, program.num_col_)
    if stored.format_ == highspy.MatrixFormat.kColwise:
        return csr_matrix(csr_matrix((stored.value_, stored.index_, stored.start_), shape=shape[::-1]).T)
    return csr_matrix((stored.value_, stored.index_, stored.start_), shape=shape)


def parts_of_rows(matrix: csr_matrix, of_column: Indices) -> Indices:
    """(rows,): the part that all columns of a row belong to, −1 where there are several or none."""
    found = np.full(matrix.shape[0], -1)
    filled = np.flatnonzero(np.diff(matrix.indptr))
    of_entry, starts = of_column[matrix.indices], matrix.indptr[filled]
    smallest, largest = np.minimum.reduceat(of_entry, starts), np.maximum.reduceat(of_entry, starts)
    found[filled] = np.where(smallest == largest, smallest, -1)
    return found


class Priced(NamedTuple):
    """The Lagrangian bound at some prices."""

    bound: float
    values: Array
    """A point that attains it, but for the parts' own gaps; not a solution."""


def lagrangian_bound(parts: Parts, row_dual: Array, *, value: float, time_limit_s: float, rounds: int = 12) -> float:
    """The best Lagrangian bound near the relaxation's prices, which steps along subgradients.

    Steps after B. Polyak: ``u ← u + θ (value − L(u)) / |g|² g`` with the joint rows' violation g, θ halved where a step
    did not help.

    Args:
        parts: the program.
        row_dual: the first prices, such as the row duals of the relaxation.
        value: of the best known solution.
        time_limit_s: for all rounds together [s].
        rounds: most steps.
    """
    end = time.monotonic() + time_limit_s
    prices, factor = row_dual, 1.0
    best = priced(parts, prices, time_limit_s)
    for _ in range(rounds if np.isfinite(value) else 0):
        joint = parts.of_row == -1
        activity = parts.matrix @ best.values
        short, over = parts.row_lower - activity, activity - parts.row_upper
        slope = np.where(joint, np.where(prices > 0, short, np.where(prices < 0, -over, 0.0)), 0.0)
        slope = np.where(joint & (prices == 0), np.maximum(short, 0.0) - np.maximum(over, 0.0), slope)
        size = float(np.dot(slope, slope))
        left_s = end - time.monotonic()
        if size <= 0 or left_s <= 0 or factor < 0.05 or value - best.bound <= 1e-5 * abs(value):
            break
        trial = prices + factor * (value - best.bound) / size * slope
        trial = np.where(np.sign(trial) * np.sign(prices) < 0, 0.0, trial)
        found = priced(parts, trial, left_s)
        if found.bound > best.bound:
            best, prices = found, trial
        else:
            factor /= 2
    return best.bound


def priced(parts: Parts, row_dual: Array, time_limit_s: float) -> Priced:
    """A lower bound of the optimum: rows that join parts at prices, each part in whole numbers.

    ``L(u) = Σ_p min_{x in X_p} (c − uA)_p x + u b`` for any prices u with the signs of their rows (Geoffrion, Math.
    Prog. Study 2, 1974); every part's own lower bound may stand in for its minimum, so that it holds whenever the
    time is over.

    Args:
        parts: the program.
        row_dual: prices, such as the row duals of the relaxation.
        time_limit_s: for all parts together [s].
    """
    end = time.monotonic() + time_limit_s
    prices = np.where(parts.of_row == -1, row_dual, 0.0)
    sides = np.where(prices > 0, parts.row_lower, parts.row_upper)
    prices = np.where(np.isfinite(sides), prices, 0.0)
    total = parts.offset + float(np.dot(prices[prices != 0], sides[prices != 0]))
    cost = parts.cost - parts.matrix.T @ prices
    total += box_minimum(parts, cost, np.flatnonzero(parts.of_column == -1))
    values = np.clip(0.0, parts.lower, parts.upper)
    numbers = parts.numbers
    for done, number in enumerate(numbers):
        rows = np.flatnonzero(parts.of_row == number)
        left_s = (end - time.monotonic()) / (len(numbers) - done)
        part = part_solver(parts, number, cost, rows, (parts.row_lower[rows], parts.row_upper[rows]))
        total += solved_bound(part, left_s)
        if not np.isfinite(total):
            return Priced(float("-inf"), values)
        found = np.array(part.getSolution().col_value)
        columns = np.flatnonzero(parts.of_column == number)
        values[columns] = found if len(found) == len(columns) else values[columns]
    return Priced(total, values)


def box_minimum(parts: Parts, cost: Array, columns: Indices) -> float:
    """Least cost of columns that only their bounds hold; costs that are 0 but for rounding count as 0."""
    own = cost[columns]
    own = np.where(np.abs(own) <= 1e-9 * max(float(np.abs(cost).max(initial=0.0)), 1.0), 0.0, own)
    at = np.where(own > 0, parts.lower[columns], parts.upper[columns])
    used = own != 0
    return float(np.dot(own[used], at[used]))


def solved_bound(part: Any, time_limit_s: float) -> float:
    """A lower bound of the least cost of one part; ∞ where it has no solution."""
    part.setOptionValue("time_limit", max(time_limit_s, 0.05))
    part.run()
    if part.getModelStatus() == highspy.HighsModelStatus.kInfeasible:
        return float("inf")
    return float(part.getInfo().mip_dual_bound)


def rolled_solution(parts: Parts, relaxed: Array, *, gap: float, time_limit_s: float) -> Array | None:
    """A solution near that of the relaxation: one part after the other, each with what the others leave it.

    Of a row that joins parts, a part may use what the parts before it have left over, beyond what the relaxation
    gives to those after it. None where a part finds no solution within that.

    Args:
        parts: the program.
        relaxed: values of the relaxation.
        gap: of each part at which its solution is good enough.
        time_limit_s: for all parts together [s].
    """
    end = time.monotonic() + time_limit_s
    values, numbers = relaxed.copy(), parts.numbers
    joint = parts.of_row == -1
    for done, number in enumerate(numbers):
        columns = np.flatnonzero(parts.of_column == number)
        own = parts.matrix[:, columns]
        rows = np.flatnonzero((parts.of_row == number) | (joint & (np.diff(own.indptr) > 0)))
        others = (parts.matrix @ values - own @ values[columns])[rows]
        tolerance = 1e-9 * np.maximum(1.0, np.abs(others))
        sides = (parts.row_lower[rows] - others - tolerance, parts.row_upper[rows] - others + tolerance)
        part = part_solver(parts, number, parts.cost, rows, sides)
        part.setOptionValue("mip_rel_gap", gap / 2)
        found = solved_part(part, gap, until=time.monotonic() + (end - time.monotonic()) / (len(numbers) - done))
        if found is None:
            return None
        values[columns] = np.where(parts.is_integer[columns], np.round(found), found)
    return values


def solved_part(part: Any, gap: float, *, until: float) -> Array | None:
    """A good solution of one part: of its core first, of a larger one or all of it where that has none."""
    kinds = part.getLp().integrality_
    integer = np.array([i for i, kind in enumerate(kinds) if kind == highspy.HighsVarType.kInteger], dtype=np.int32)
    part.setOptionValue("solve_relaxation", True)
    part.run()
    part.setOptionValue("solve_relaxation", False)
    if part.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return None
    solution = part.getSolution()
    values, costs = np.array(solution.col_value)[integer], np.abs(np.array(solution.col_dual))[integer]
    is_open = np.abs(values - np.round(values)) > 1e-6
    order = np.argsort(np.where(is_open, -1.0, costs), kind="stable")
    lower, upper = np.array(part.getLp().col_lower_)[integer], np.array(part.getLp().col_upper_)[integer]
    least, best, most = float(part.getInfo().objective_function_value), None, np.inf
    for size in (PART_CORE, 4 * PART_CORE, 16 * PART_CORE, len(order)):
        kept = order[min(int(is_open.sum()) + size, len(order)) :]
        at = np.round(values[kept])
        part.changeColsBounds(len(kept), integer[kept], at, at)
        part.setOptionValue("time_limit", max(until - time.monotonic(), FIRST_S if best is None else LEAST_S))
        part.run()
        value = float(part.getInfo().objective_function_value)
        is_solved = part.getInfo().primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
        if is_solved and value < most:
            best, most = np.array(part.getSolution().col_value), value
        part.changeColsBounds(len(kept), integer[kept], lower[kept], upper[kept])
        if most - least <= gap * abs(most) or not len(kept) or (best is not None and time.monotonic() > until):
            break
    return best


def part_solver(parts: Parts, number: int, cost: Array, rows: Indices, sides: tuple[Array, Array]) -> Any:
    """HiGHS with the program of one part: its columns, and rows between two sides."""
    columns = np.flatnonzero(parts.of_column == number)
    own = csr_matrix(parts.matrix[rows][:, columns])
    part = highspy.HighsLp()
    part.num_col_, part.num_row_ = len(columns), len(rows)
    part.col_cost_, part.col_lower_, part.col_upper_ = cost[columns], parts.lower[columns], parts.upper[columns]
    part.row_lower_, part.row_upper_ = sides
    kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
    part.integrality_ = [kinds[is_integer] for is_integer in parts.is_integer[columns].tolist()]
    part.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    part.a_matrix_.start_, part.a_matrix_.index_, part.a_matrix_.value_ = own.indptr, own.indices, own.data
    highs: Any = highspy.Highs()  # type: ignore[no-untyped-call]
    for name, value in (("output_flag", False), ("threads", 1), ("mip_rel_gap", 1e-5)):
        highs.setOptionValue(name, value)
    highs.passModel(part)
    return highs
