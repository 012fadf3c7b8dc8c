"""Turns the chosen option of every block into a Mapping."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from dse.mapping.instance import Instance
from dse.mapping.model import Mapping, Status
from dse.mapping.objective import Choice, chosen, summed, units_by_resource
from dse.spec.architecture import Architecture
from dse.workload.build import Workload


def make_mapping(
    instance: Instance,
    choice: Choice,
    *,
    objective: str,
    value: float,
    status: Status,
    solver: str,
    arch: Architecture,
    workload: Workload,
    bound: float = float("-inf"),
    binding: Sequence[str] = (),
) -> Mapping:
    """The mapping of a choice, with loads, capacities without slack and digests of the inputs."""
    options = instance.costs.options
    used = summed(chosen(instance.units, choice), instance.group[choice], len(instance.groups))
    capacity = {
        option.group: float(instance.capacity[resource])
        for option, resource in zip(options, instance.resource, strict=True)
    }
    return Mapping(
        placement={block.name: options[index] for block, index in zip(instance.blocks, choice.tolist(), strict=True)},
        objective=objective,
        value=value,
        bound=bound,
        status=status,
        units_used=dict(zip(instance.groups, used.tolist(), strict=True)),
        units_available=capacity,
        binding=(*full_resources(instance, choice), *binding),
        solver=solver,
        digests={
            "architecture": arch.digest,
            "workload": workload.digest,
            "scores": hashlib.sha256(np.ascontiguousarray(instance.score).tobytes()).hexdigest(),
        },
    )


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
