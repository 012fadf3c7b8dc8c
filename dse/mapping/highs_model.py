"""A program in HiGHS with its relaxation beside it, whose rows can change between solutions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Final

import highspy
import numpy as np
from numpy.typing import NDArray

from dse.mapping.worker import Task

SMALL: Final = 500
"""Integer variables of a small program."""
FEASIBLE: Final = 1e-9
"""By how much a small program may miss a row; HiGHS's own 1e-6 leaves gaps of that size to an optimum that is found."""
TOLERANCES: Final = ("primal_feasibility_tolerance", "dual_feasibility_tolerance", "mip_feasibility_tolerance")

Array = NDArray[np.float64]
Indices = NDArray[np.int64]


class Model:
    """A program in HiGHS, with its relaxation beside it, which starts again from its last basis."""

    def __init__(self, highs: Any, relaxation: Any) -> None:
        """Takes both; the program is read before."""
        self.highs, self.relaxation = highs, relaxation
        program = highs.getLp()
        kinds = program.integrality_
        self.names: list[str] = list(program.col_names_)
        self.cost, self.offset = np.array(program.col_cost_), float(program.offset_)
        self.lower, self.upper = np.array(program.col_lower_), np.array(program.col_upper_)
        self.integer: Indices = np.array(
            [i for i, kind in enumerate(kinds) if kind == highspy.HighsVarType.kInteger], dtype=np.int64
        )
        self.sums: tuple[int, ...] = ()
        """Rows whose left side is a whole number, without sides as long as nothing is known of it."""

    def add_sums(self, sums: Sequence[Sequence[str]]) -> None:
        """Adds a row without sides for the sum of some integer variables, for each of the sums."""
        column, first = {name: index for index, name in enumerate(self.names)}, self.highs.getNumRow()
        for names in sums:
            columns = np.array([column[name] for name in names], dtype=np.int32)
            for highs in (self.highs, self.relaxation):
                highs.addRow(-np.inf, np.inf, len(columns), columns, np.ones(len(columns)))
        self.sums = tuple(range(first, self.highs.getNumRow()))

    def set_sides(self, row: int, low: float, high: float) -> None:
        """Sets the sides of a row, in the program and its relaxation."""
        for highs in (self.highs, self.relaxation):
            highs.changeRowBounds(row, low, high)

    @cached_property
    def row_index(self) -> dict[str, int]:
        """Name of a row → its index."""
        return {name: index for index, name in enumerate(self.highs.getLp().row_names_)}

    def change_rows(self, changes: Mapping[str, tuple[float | None, float | None]]) -> None:
        """Sets the sides of rows; None: none."""
        for name, (low, high) in changes.items():
            self.set_sides(self.row_index[name], -np.inf if low is None else low, np.inf if high is None else high)
        for row in self.sums:
            self.set_sides(row, -np.inf, np.inf)

    def value_of(self, values: Array) -> float:
        """The objective of values, by multiplication.

        HiGHS 1.16 reports another one where presolve solves a program that has a start.
        """
        return self.offset + float(np.dot(self.cost, values))


def loaded_model(task: Task) -> Model:
    """The program of a task and its relaxation."""
    highs = new_solver(task)
    highs.readModel(task.model)
    relaxation, program = new_solver(task), highs.getLp()
    program.integrality_ = []
    relaxation.passModel(program)
    model = Model(highs, relaxation)
    model.add_sums(task.sums)
    for name in TOLERANCES if len(model.integer) <= SMALL else ():
        highs.setOptionValue(name, FEASIBLE)
        relaxation.setOptionValue(name, FEASIBLE)
    return model


def new_solver(task: Task) -> Any:
    """HiGHS with the options of a task."""
    highs: Any = highspy.Highs()  # type: ignore[no-untyped-call]
    for name, value in (("output_flag", False), ("threads", 1), ("random_seed", task.seed)):
        highs.setOptionValue(name, value)
    return highs
