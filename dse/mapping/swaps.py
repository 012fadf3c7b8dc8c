"""Blocks of a stage change places until its slowest group is as fast as that makes it.

The relaxation knows how many blocks of a stage go to each group; which of them leave the groups equally busy is what
branch and bound takes longest for, and exchanges find at once.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dse.mapping.checks import keeps_limits
from dse.mapping.instance import Instance
from dse.mapping.objective import Choice, goal_value, group_loads
from dse.mapping.problem import MappingProblem
from dse.mapping.step_tables import StepTables

# G groups, n and m blocks of one class in a stage under one option each

Array = NDArray[np.float64]
PARTS: Final = ("compute", "fetch", "buffer", "added")
"""Parts of the time of a group that are sums over its blocks."""
MOST_SWAPS: Final = 200
"""Exchanges in one stage."""
WORTH: Final = 1e-7
"""Share of the time of a stage that an exchange must save."""


def swapped(problem: MappingProblem, choice: Choice, *, time_limit_s: float) -> Choice:
    """The placement after exchanges of two blocks of one stage that shorten it; the objective falls, all limits hold.

    Two blocks of one class take the same room, so that an exchange of their options changes no capacity.

    Args:
        problem: what is minimised, under which limits.
        choice: (N,) a placement that keeps the limits.
        time_limit_s: no stage is begun later [s].
    """
    end, instance = time.monotonic() + time_limit_s, problem.instance
    value = goal_value(instance, problem.goal, choice)
    for stage in range(len(instance.stages)):
        if time.monotonic() > end:
            break
        trial = stage_swapped(instance, stage, choice)
        if np.array_equal(trial, choice):
            continue
        found = goal_value(instance, problem.goal, trial)
        if found < value and keeps_limits(instance, trial, problem.limits):
            value, choice = found, trial
    return choice


def stage_swapped(instance: Instance, stage: int, choice: Choice) -> Choice:
    """The placement after the best exchanges in one stage, one after the other."""
    choice = choice.copy()
    own = np.flatnonzero(instance.stage == stage)
    for _ in range(MOST_SWAPS):
        times = [StageTimes(instance, step, stage, choice) for step in instance.steps]
        now = sum((t.step.weight * t.total() for t in times), 0.0)
        best, move = now * (1 - WORTH), None
        for a, b in option_pairs(instance, own, choice, {t.slowest for t in times}, stage):
            for first, second in same_class(instance, own[choice[own] == a], own[choice[own] == b], (a, b)):
                after = np.add.reduce([t.step.weight * t.after(first, a, second, b) for t in times])
                at = np.unravel_index(int(np.argmin(after)), after.shape)
                if after[at] < best:
                    best, move = float(after[at]), (first[at[0]], b, second[at[1]], a)
        if move is None:
            break
        i, b, j, a = move
        choice[i], choice[j] = b, a
    return choice


def option_pairs(
    instance: Instance, own: Choice, choice: Choice, slowest: set[int], stage: int
) -> Iterator[tuple[int, int]]:
    """Pairs of options in use on different groups; where groups work side by side, one on the slowest."""
    used = np.unique(choice[own]).tolist()
    for a in used:
        for b in used:
            g, h = int(instance.group[a]), int(instance.group[b])
            if g != h and (g in slowest if instance.side_by_side[stage] else a < b):
                yield a, b


def same_class(
    instance: Instance, first: Choice, second: Choice, options: tuple[int, int]
) -> Iterator[tuple[Choice, Choice]]:
    """Blocks of one class that may take each other's option, class by class."""
    a, b = options
    first, second = first[instance.allowed[first, b]], second[instance.allowed[second, a]]
    for block_class in np.intersect1d(instance.block_class[first], instance.block_class[second]).tolist():
        yield first[instance.block_class[first] == block_class], second[instance.block_class[second] == block_class]


class StageTimes:
    """The time of each group in one stage of one kind of step, and what exchanges make of it."""

    def __init__(self, instance: Instance, step: StepTables, stage: int, choice: Choice) -> None:
        """Adds up the stage."""
        loads = group_loads(instance, step, choice, instance.stage == stage)
        self.instance, self.step, self.is_side_by_side = instance, step, bool(instance.side_by_side[stage])
        self.sums: dict[str, Array] = {name: getattr(loads, name)[stage] for name in PARTS}
        self.path, self.fixed = loads.path[stage], loads.fixed[stage]
        self.slowest = int(loads.total_ns()[stage].argmax())

    def total(self) -> float:
        """Time of the stage [ns]."""
        return float(self.of_parts({name: values[:, None, None] for name, values in self.sums.items()})[0, 0])

    def after(self, first: Choice, a: int, second: Choice, b: int) -> Array:
        """(n, m): time of the stage [ns] when a block of ``first`` takes b and one of ``second`` a."""
        g, h, host = (int(self.instance.group[a]), int(self.instance.group[b]), self.instance.host)
        parts = {}
        for name, values in self.sums.items():
            table: Array = getattr(self.step, f"{name}_ns")
            moved = np.repeat(values[:, None], len(first), axis=1)[:, :, None] + np.zeros(len(second))
            moved[g] += table[second, a][None, :] - table[first, a][:, None]
            moved[h] += table[first, b][:, None] - table[second, b][None, :]
            if name == "compute":
                own: Array = self.step.host_ns
                moved[host] += (own[first, b] - own[first, a])[:, None] + (own[second, a] - own[second, b])[None, :]
            parts[name] = moved
        return self.of_parts(parts)

    def of_parts(self, parts: dict[str, Array]) -> Array:
        """Time of the stage from parts (G, n, m)."""
        path, fixed = self.path[:, None, None], self.fixed[:, None, None]
        busy = np.maximum.reduce([parts["compute"], parts["fetch"], parts["buffer"]])
        times = np.maximum(busy, path) + fixed + parts["added"]
        total: Array = times.max(axis=0) if self.is_side_by_side else times.sum(axis=0)
        return total
