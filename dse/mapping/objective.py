"""Energy, step time and sensitivity of a placement, recomputed from the arrays without a solver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dse.mapping.goal import Goal
from dse.mapping.instance import Instance
from dse.mapping.metrics import Metric
from dse.mapping.step_tables import StepTables

Array = NDArray[np.float64]
Choice = NDArray[np.int64]
"""(N,): option of each block."""


def sensitivity(instance: Instance, choice: Choice) -> float:
    """Sum of the scores of all blocks under their options [unit of the scores]."""
    return float(chosen(instance.score, choice).sum())


def share(instance: Instance, choice: Choice) -> float:
    """Sum of the experts' scores under their options over their sum with all experts on analog, in [0, 1]."""
    total = float(instance.rank_score[instance.is_expert].sum())
    return float(chosen(instance.score, choice)[instance.is_expert].sum()) / total if total > 0 else 0.0


def energy_pj_per_token(instance: Instance, choice: Choice) -> float:
    """Energy of a step per token [pJ]: blocks, attention scores, KV cache, and power drawn over the step.

    The tiles of an analog group share their load evenly here, so that this is a lower end; packing decides how
    much the busiest tile adds.
    """
    blocks = float(chosen(instance.energy_pj, choice).sum())
    standing = instance.standing_mw * step_ns(instance, choice)
    return (blocks + instance.background_pj + standing) / instance.tokens


def step_ns(instance: Instance, choice: Choice) -> float:
    """Time of a step of the run [ns]: the weighted mean over its kinds of steps."""
    return sum(step.weight * one_step_ns(instance, step, choice) for step in instance.steps)


def one_step_ns(instance: Instance, step: StepTables, choice: Choice) -> float:
    """Time of one kind of step [ns]: the stages one after the other, or the busiest resource."""
    loads = all_loads(instance, step, choice)
    path = float(stage_ns(instance, loads).sum())
    if not instance.is_pipelined:
        return path
    return max(path, step.micro_batches * float(busy_ns(instance, loads).max()))


def group_load_ns(instance: Instance, choice: Choice) -> float:
    """Work of the busiest group or link for all micro-batches of a step [ns]: what bounds the throughput."""
    return sum(
        step.weight * step.micro_batches * float(busy_ns(instance, all_loads(instance, step, choice)).max())
        for step in instance.steps
    )


def layer_latency_ns(instance: Instance, choice: Choice) -> float:
    """Time of one micro-batch through all stages [ns]: the sum over the stages of their slowest group."""
    return sum(
        step.weight * float(stage_ns(instance, all_loads(instance, step, choice)).sum()) for step in instance.steps
    )


def digital_ns(instance: Instance, choice: Choice) -> float:
    """Work of the busiest digital unit for all micro-batches of a step [ns]."""
    return sum(
        step.weight * step.micro_batches * float(digital_busy_ns(instance, step, choice)) for step in instance.steps
    )


def digital_busy_ns(instance: Instance, step: StepTables, choice: Choice) -> float:
    """Work of the busiest digital unit for one micro-batch [ns]."""
    busy = busy_ns(instance, all_loads(instance, step, choice))[0]
    return float(busy[~instance.group_is_analog].max(initial=0.0))


def power_mw(instance: Instance, choice: Choice) -> float:
    """Mean power over a step [mW]; 0 where no step takes time."""
    time_ns = step_ns(instance, choice)
    return energy_pj_per_token(instance, choice) * instance.tokens / time_ns if time_ns > 0 else 0.0


def area_mm2(instance: Instance, choice: Choice) -> float:
    """Silicon of the capacity units in use [mm²]."""
    return float((chosen(instance.units, choice) * instance.unit_area_mm2[choice]).sum())


VALUE_OF: Final[dict[Metric, Callable[[Instance, Choice], float]]] = {
    "sensitivity": sensitivity,
    "energy": energy_pj_per_token,
    "bottleneck": group_load_ns,
    "layer_latency": layer_latency_ns,
}
"""Metric → its value for a placement."""


def metric_values(instance: Instance, choice: Choice) -> dict[Metric, float]:
    """Every metric of a placement."""
    return {name: value(instance, choice) for name, value in VALUE_OF.items()}


def goal_value(instance: Instance, goal: Goal, choice: Choice) -> float:
    """Value of what is minimised."""
    return goal.value({name: VALUE_OF[name](instance, choice) for name in goal.metrics})


def all_loads(instance: Instance, step: StepTables, choice: Choice) -> GroupLoads:
    """Loads of one micro-batch by all blocks."""
    return group_loads(instance, step, choice, np.ones(len(choice), dtype=bool))


def stage_ns(instance: Instance, loads: GroupLoads) -> Array:
    """(S,): time of every stage [ns]: its slowest group, or the sum of all."""
    times = loads.total_ns()
    total: Array = np.where(instance.side_by_side, times.max(axis=1), times.sum(axis=1))
    return total


def busy_ns(instance: Instance, loads: GroupLoads) -> Array:
    """(2, G): time of every group for one micro-batch, and of its link [ns]; a digital unit has none.

    A digital unit runs its kernels one after the other; the tiles of an analog group share all work evenly here.
    """
    is_analog = instance.group_is_analog
    work = np.where(is_analog, loads.compute.sum(axis=0), loads.total_ns().sum(axis=0))
    return np.stack([work, np.where(is_analog, loads.added.sum(axis=0), 0.0)])


@dataclass(frozen=True, slots=True, eq=False)
class GroupLoads:
    """Parts of the time of each group in each stage, (S, G) each [ns]."""

    path: Array
    compute: Array
    fetch: Array
    buffer: Array
    fixed: Array
    added: Array
    """On the link, launches of active blocks, vector work."""

    def total_ns(self) -> Array:
        """(S, G): the largest of path, compute, fetch and buffer, plus what is fixed and what adds."""
        busy: Array = np.maximum.reduce([self.path, self.compute, self.fetch, self.buffer])
        return busy + self.fixed + self.added


def group_loads(instance: Instance, step: StepTables, choice: Choice, mask: NDArray[np.bool_]) -> GroupLoads:
    """Loads of one micro-batch by the blocks of a mask under their options, and by attention scores."""
    n_stages, n_groups = len(instance.stages), len(instance.groups)
    stage, option = instance.stage[mask], choice[mask]
    at = (np.flatnonzero(mask), option)
    cell, host_cell = stage * n_groups + instance.group[option], stage * n_groups + instance.host

    def total(values: Array, cells: Choice) -> Array:
        return summed(values[at], cells, n_stages * n_groups).reshape(n_stages, n_groups)

    def largest(values: Array) -> Array:
        found = np.zeros(n_stages * n_groups)
        np.maximum.at(found, cell, values[at])
        return found.reshape(n_stages, n_groups)

    compute = total(step.compute_ns, cell) + total(step.host_ns, host_cell)
    fetch, fixed = total(step.fetch_ns, cell), largest(instance.fixed_ns)
    compute[:, instance.host] += step.host_compute_ns
    fetch[:, instance.host] += step.host_fetch_ns
    fixed[:, instance.host] = np.maximum(fixed[:, instance.host], step.host_fixed_ns)
    added = total(step.added_ns, cell)
    added[:, instance.host] += step.host_added_ns
    return GroupLoads(largest(instance.path_ns), compute, fetch, total(step.buffer_ns, cell), fixed, added)


def units_by_resource(instance: Instance, choice: Choice) -> Array:
    """(R,): capacity units in use."""
    return summed(chosen(instance.units, choice), instance.resource[choice], len(instance.resources))


def chosen(values: Array, choice: Choice) -> Array:
    """(N,): entry of each block under its option."""
    return values[np.arange(len(choice)), choice]


def summed(values: Array, cells: Choice, n_cells: int) -> Array:
    """Sum of the values that fall into each cell."""
    return np.bincount(cells, values, minlength=n_cells).astype(np.float64)
