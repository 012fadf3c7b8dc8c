"""Turns the chosen option of every block into a Mapping with all that its objective and limits are made of."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping as MappingABC
from collections.abc import Sequence

import numpy as np
import pandas as pd

from dse.mapping.checks import Check
from dse.mapping.instance import Instance
from dse.mapping.model import Mapping, Status
from dse.mapping.objective import Choice, all_loads, chosen, summed, units_by_resource


def make_mapping(
    instance: Instance,
    choice: Choice,
    *,
    objective: str,
    value: float,
    status: Status,
    solver: str,
    bound: float = float("-inf"),
    digests: MappingABC[str, str],
    metrics: MappingABC[str, float],
    checks: Sequence[Check] = (),
) -> Mapping:
    """The mapping of a choice, with loads, limits, capacities without slack and digests of the inputs."""
    used = summed(chosen(instance.units, choice), instance.group[choice], len(instance.groups))
    resource_of = dict(zip(instance.group.tolist(), instance.resource.tolist(), strict=True))
    capacity = {
        name: float(instance.capacity[resource_of[group]])
        for group, name in enumerate(instance.groups)
        if group in resource_of and np.isfinite(instance.capacity[resource_of[group]])
    }
    binding = [check.limit for check in checks if check.binds and check.is_limit]
    return Mapping(
        placement={name: instance.options[o] for name, o in zip(instance.names, choice.tolist(), strict=True)},
        objective=objective,
        value=value,
        bound=bound,
        status=status,
        units_used=dict(zip(instance.groups, used.tolist(), strict=True)),
        units_available=capacity,
        binding=(*full_resources(instance, choice), *binding),
        solver=solver,
        digests={**digests, "scores": hashlib.sha256(np.ascontiguousarray(instance.score).tobytes()).hexdigest()},
        metrics=metrics,
        limits=tuple(check._asdict() for check in checks),
        blocks=block_table(instance, choice),
        stages=stage_table(instance, choice),
        energy_terms={
            "background_pj_per_token": instance.background_pj / instance.tokens,
            "standing_mw": instance.standing_mw,
            "tokens_per_step": instance.tokens,
        },
    )


def block_table(instance: Instance, choice: Choice) -> pd.DataFrame:
    """One row per block: what its option adds to every limit and metric."""
    busy = sum(step.weight * step.micro_batches * chosen(step.compute_ns, choice) for step in instance.steps)
    return pd.DataFrame(
        {
            "block": instance.names,
            "kind": instance.kinds,
            "layer": instance.layer,
            "units": chosen(instance.units, choice),
            "bytes": chosen(instance.n_bytes, choice),
            "sensitivity": chosen(instance.score, choice),
            "energy_pj_per_token": chosen(instance.energy_pj, choice) / instance.tokens,
            "busy_ns": busy,
        }
    )


def stage_table(instance: Instance, choice: Choice) -> pd.DataFrame:
    """One row per kind of step, stage and group: its time in one micro-batch [ns]."""
    rows = [
        (index, step.weight, step.micro_batches, *instance.stages[stage], bool(instance.side_by_side[stage]), group, ns)
        for index, step in enumerate(instance.steps)
        for stage, times in enumerate(all_loads(instance, step, choice).total_ns().tolist())
        for group, ns in zip(instance.groups, times, strict=True)
        if ns
    ]
    columns = ["step", "weight", "micro_batches", "layer", "stage", "side_by_side", "group", "time_ns"]
    return pd.DataFrame(rows, columns=columns)


def full_resources(instance: Instance, choice: Choice) -> list[str]:
    """Capacities that cannot take one more block, among those some block could choose to use."""
    free = instance.allowed.sum(axis=1) > 1
    left = instance.capacity - units_by_resource(instance, choice)
    full = []
    for resource, name in enumerate(instance.resources):
        usable = instance.allowed & free[:, None] & (instance.resource == resource)
        elsewhere = instance.resource[choice] != resource
        sizes = instance.units[usable & elsewhere[:, None]]
        if len(sizes) and sizes.min() > left[resource]:
            full.append(f"capacity[{name}]")
    return full
