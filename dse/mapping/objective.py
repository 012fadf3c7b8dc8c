"""Energy, step time and sensitivity of a placement, recomputed from the arrays without a solver."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dse.mapping.instance import Instance

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
    """Time of a step [ns]: the stages one after the other."""
    times = group_times_ns(instance, choice)
    serial = times.sum(axis=1)
    if not instance.overlapped:
        return float(serial.sum())
    is_experts = np.array([name == "experts" for _, name in instance.stages])
    return float(np.where(is_experts, times.max(axis=1), serial).sum())


def group_times_ns(instance: Instance, choice: Choice) -> Array:
    """(S, G): time of each group in each stage [ns]; the formula of ``CostTable``."""
    shape = (len(instance.stages), len(instance.groups))
    cell = instance.stage * shape[1] + instance.group[choice]

    def total(values: Array, cells: Choice = cell) -> Array:
        return summed(chosen(values, choice), cells, shape[0] * shape[1]).reshape(shape)

    def largest(values: Array) -> Array:
        found = np.zeros(shape[0] * shape[1])
        np.maximum.at(found, cell, chosen(values, choice))
        return found.reshape(shape)

    compute, fetch, fixed = total(instance.compute_ns), total(instance.fetch_ns), largest(instance.fixed_ns)
    compute += total(instance.host_ns, instance.stage * shape[1] + instance.host)
    compute[:, instance.host] += instance.host_compute_ns
    fetch[:, instance.host] += instance.host_fetch_ns
    fixed[:, instance.host] = np.maximum(fixed[:, instance.host], instance.host_fixed_ns)
    return np.maximum(largest(instance.path_ns), np.maximum(compute, fetch)) + fixed + total(instance.link_ns)


def units_by_resource(instance: Instance, choice: Choice) -> Array:
    """(R,): capacity units in use."""
    return summed(chosen(instance.units, choice), instance.resource[choice], len(instance.resources))


def chosen(values: Array, choice: Choice) -> Array:
    """(N,): entry of each block under its option."""
    return values[np.arange(len(choice)), choice]


def summed(values: Array, cells: Choice, n_cells: int) -> Array:
    """Sum of the values that fall into each cell."""
    return np.bincount(cells, values, minlength=n_cells).astype(np.float64)
