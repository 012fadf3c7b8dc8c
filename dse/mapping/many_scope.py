"""What ``map_many`` can place: experts with one load, one analog and one digital group, few kinds of limits."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dse.cost.table import CostTable
from dse.errors import Problem, SpecError
from dse.mapping.limits import MappingLimits
from dse.mapping.step_tables import placeable
from dse.spec.architecture import Architecture
from dse.workload.batch import layer_routings
from dse.workload.build import Workload
from dse.workload.steps import all_steps

Bools = NDArray[np.bool_]
Counts = NDArray[np.int64]

BUDGETS: Final = ("max_sensitivity", "max_sensitivity_share", "max_energy_pj_per_token")
"""Limits of which one may be given."""
COUNTED: Final = ("max_digital_experts", "max_digital_experts_per_layer", "digital_fraction")
"""Limits on the number of digital experts."""
REMEDY: Final = "`dse map` places one design at a time without this restriction"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Scope:
    """The blocks and options of a task."""

    fixed: Counts
    """(N,): option of every block with one, −1 for routed experts."""
    experts: Counts
    """(L, E): routed experts of each layer among the blocks."""
    expert_class: int
    analog: tuple[int, ...]
    """Options of the experts on the analog group."""
    digital: tuple[int, ...]
    """Options of the experts on the digital unit."""


def scope_of(arch: Architecture, workload: Workload, costs: CostTable, allowed: Bools, limits: MappingLimits) -> Scope:
    """The blocks and options of a task.

    Raises:
        SpecError: everything that many designs cannot be mapped with at once.
    """
    blocks = placeable(workload)
    is_expert = np.array([block.kind == "expert" for block in blocks])
    experts = np.flatnonzero(is_expert).reshape(len(workload.model.expert_layers), -1)
    of_expert = np.flatnonzero(allowed[experts.ravel()[0]]) if experts.size else np.empty(0, np.int64)
    sides = [[int(o) for o in of_expert if costs.is_analog[costs.options[o].group] == kind] for kind in (True, False)]
    problems = check_limits(limits)
    if arch.composition == "pipelined":
        problems.append(
            Problem(f"must be serial or overlapped where many designs are mapped at once; {REMEDY}", "composition")
        )
    if not has_equal_loads(workload):
        message = f"must give all experts of a layer the same load where many designs are mapped at once; {REMEDY}"
        problems.append(Problem(message, "routing.kind"))
    if not (allowed[experts.ravel()] == allowed[experts.ravel()[:1]]).all():
        problems.append(Problem(f"all experts must have the same options; {REMEDY}", "pins"))
    if (allowed[~is_expert].sum(axis=1) != 1).any():
        problems.append(Problem(f"every dense block must have one option, pin it to one group; {REMEDY}", "pins"))
    for own, what, path in zip(sides, ("analog core", "digital unit"), ("analog_cores", "digital_units"), strict=True):
        groups = sorted({costs.options[o].group for o in own})
        if len(groups) != 1:
            found = ", ".join(groups) or "none"
            problems.append(Problem(f"experts must have one {what} to go to (got {found}); {REMEDY}", path))
    if problems:
        raise SpecError(problems)
    class_of = {block_class: index for index, block_class in enumerate(costs.classes)}
    return Scope(
        fixed=np.where(is_expert, -1, allowed.argmax(axis=1)),
        experts=experts,
        expert_class=class_of[blocks[int(experts[0, 0])].block_class],
        analog=tuple(sides[0]),
        digital=tuple(sides[1]),
    )


def check_limits(limits: MappingLimits) -> list[Problem]:
    """Limits that are none of those that many designs can be mapped with."""
    given = [field.name for field in dataclasses.fields(limits) if getattr(limits, field.name) not in (None, (), {})]
    problems = [
        Problem(
            f"not a limit of many designs at once (those are {', '.join((*BUDGETS, *COUNTED))}); {REMEDY}",
            f"limits.{name}",
        )
        for name in given
        if name not in (*BUDGETS, *COUNTED)
    ]
    budgets = [name for name in given if name in BUDGETS]
    if len(budgets) > 1:
        problems.append(Problem(f"at most one of {', '.join(budgets)}; {REMEDY}", "limits"))
    return problems


def has_equal_loads(workload: Workload) -> bool:
    """Whether every step uses the experts of a layer alike."""
    return all(
        routing.trace is None and (routing.visits == routing.visits[0]).all()
        for step in all_steps(workload)
        for routing in layer_routings(step.workload).values()
    )
