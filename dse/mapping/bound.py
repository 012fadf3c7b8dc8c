"""A lower bound of an objective that needs no solver: every block takes its best option, whatever the others do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dse.mapping.goal import Goal
from dse.mapping.instance import Instance
from dse.mapping.metrics import Metric
from dse.mapping.objective import GroupLoads, group_loads, stage_ns
from dse.mapping.pools import fixed_choice
from dse.mapping.step_tables import StepTables

Array = NDArray[np.float64]


def simple_bound(instance: Instance, goal: Goal) -> float:
    """A lower bound of the goal under the options alone; −inf for one metric after the other."""
    if goal.order or not instance.allowed.any(axis=1).all():
        return float("-inf")
    return sum(weight * BOUND_OF[name](instance) for name, weight in goal.weights.items())


def least(instance: Instance, values: Array) -> Array:
    """(N,): smallest entry of each block over its options."""
    smallest: Array = np.where(instance.allowed, values, np.inf).min(axis=1)
    return smallest


def least_sensitivity(instance: Instance) -> float:
    """Every block under the option of its smallest score."""
    return float(least(instance, instance.score).sum())


def least_energy(instance: Instance) -> float:
    """Every block under the option of its least energy, and standing power over the least time."""
    blocks = float(least(instance, instance.energy_pj).sum()) + instance.background_pj
    return (blocks + instance.standing_mw * least_latency(instance)) / instance.tokens


def least_latency(instance: Instance) -> float:
    """Stages with the blocks that have no choice alone."""
    return sum(step.weight * float(stage_ns(instance, fixed_loads(instance, step)).sum()) for step in instance.steps)


def least_load(instance: Instance) -> float:
    """The work of all groups shared evenly: Σ_b min_o work / G, of the largest of its kinds."""
    groups = max(len(instance.groups), 1)
    return sum(
        step.weight * step.micro_batches * float(least(instance, step.compute_ns).sum()) / groups
        for step in instance.steps
    )


def fixed_loads(instance: Instance, step: StepTables) -> GroupLoads:
    """Loads of the blocks that have one option."""
    fixed = fixed_choice(instance)
    return group_loads(instance, step, fixed, fixed >= 0)


BOUND_OF: Final[dict[Metric, Callable[[Instance], float]]] = {
    "sensitivity": least_sensitivity,
    "energy": least_energy,
    "bottleneck": least_load,
    "layer_latency": least_latency,
}
"""Metric → its bound."""
