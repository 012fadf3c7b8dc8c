"""Says why no mapping exists: which limit, what it needs, what there is, what would do."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray

from dse.errors import Cause
from dse.mapping.child import solve_model
from dse.mapping.instance import Indices, Instance
from dse.mapping.limits import MappingLimits
from dse.mapping.pools import fixed_choice
from dse.mapping.problem import Objective, build_program, fixed_units
from dse.units import BITS


def arithmetic_causes(instance: Instance, limits: MappingLimits) -> list[Cause]:
    """Causes that need no solver: blocks without options, pinned blocks, total capacity, expert budgets."""
    for find in (empty_options, pinned_over_capacity, total_over_capacity):
        causes = find(instance)
        if causes:
            return causes
    return budget_causes(instance, limits)


def empty_options(instance: Instance) -> list[Cause]:
    """Blocks that pins, costs and the table of scores leave without any option."""
    empty = np.flatnonzero(~instance.allowed.any(axis=1))
    if not len(empty):
        return []
    fix = "loosen their pins, or list more of their options with scores"
    return [Cause("options", 1.0, 0.0, "options", names_of(instance, empty), fix)]


def pinned_over_capacity(instance: Instance) -> list[Cause]:
    """Blocks with one option that alone are too large for their resource."""
    used, fixed = fixed_units(instance), fixed_choice(instance)
    causes = []
    for resource in np.flatnonzero(used > instance.capacity * (1 + 1e-12)).tolist():
        blocks = np.flatnonzero((fixed >= 0) & (instance.resource[fixed] == resource))
        name, unit = instance.resources[resource], instance.resource_unit(resource)
        need, have = float(used[resource]), float(instance.capacity[resource])
        narrower = narrower_formats(instance, fixed[blocks])
        hint = f"store weights as {' or '.join(narrower)}, " if narrower else ""
        fix = f"add {more(need - have)} {unit} to {name}, {hint}or pin fewer blocks there"
        largest = blocks[np.argsort(-class_units(instance, blocks, fixed[blocks]), kind="stable")]
        causes.append(Cause(f"capacity[{name}]", need, have, unit, names_of(instance, largest), fix))
    return causes


def narrower_formats(instance: Instance, used: Indices) -> list[str]:
    """Formats with fewer bits than those in use that the same groups offer."""
    options = instance.costs.options
    held = [options[o] for o in np.unique(used).tolist()]
    digital = {o.group: BITS[o.precision] for o in held if o.precision != "analog"}
    offered = [o.precision for o in options if o.precision != "analog" and BITS[o.precision] < digital.get(o.group, 0)]
    return list(dict.fromkeys(offered))


def class_units(instance: Instance, blocks: Indices, options: Indices) -> NDArray[np.float64]:
    """(blocks,): capacity units that all listed blocks of the same class take together."""
    classes = instance.block_class[blocks]
    return np.bincount(classes, instance.units[blocks, options]).astype(np.float64)[classes]


def total_over_capacity(instance: Instance) -> list[Cause]:
    """Experts that do not fit all groups together (equal sizes; mixed ones are left to the elastic program)."""
    free = np.flatnonzero(instance.is_expert & (instance.allowed.sum(axis=1) > 1))
    if not len(free) or len(np.unique(instance.block_class[free])) > 1:
        return []
    room = instance.capacity - fixed_units(instance)
    slots, remedies = 0, []
    for resource, name in enumerate(instance.resources):
        options = np.flatnonzero((instance.resource == resource) & instance.allowed[free].any(axis=0))
        sizes = instance.units[free[0], options]
        if len(options) and sizes.min() > 0:
            fits = math.floor(max(room[resource], 0.0) / float(sizes.min()) + 1e-9)
            slots += fits
            remedies.append((name, float(sizes.min()), float(room[resource]) - fits * float(sizes.min())))
        elif len(options):
            return []
    if slots >= len(free):
        return []
    missing = len(free) - slots
    fixes = [
        f"{more(missing * size - left)} {instance.resource_unit(instance.resources.index(name))} to {name}"
        for name, size, left in remedies
    ]
    fix = f"add {' or '.join(fixes)}"
    return [Cause("total capacity", float(len(free)), float(slots), "experts", names_of(instance, free), fix)]


def budget_causes(instance: Instance, limits: MappingLimits) -> list[Cause]:
    """Limits on the number of digital experts against pins and the room on analog cores."""
    experts = np.flatnonzero(instance.is_expert)
    must = experts[~(instance.allowed[experts] & instance.is_analog).any(axis=1)]
    can = experts[(instance.allowed[experts] & ~instance.is_analog).any(axis=1)]
    wanted = limits.n_digital(len(experts))
    causes = []
    if wanted is not None and wanted > len(can):
        fix = f"digital_fraction {len(can) / len(experts):.4g}, or fewer experts pinned to analog cores"
        causes.append(
            Cause("digital_fraction", float(wanted), float(len(can)), "experts", names_of(instance, experts), fix)
        )
    for name, most in (("max_digital_experts", limits.max_digital_experts), ("digital_fraction", wanted)):
        if most is not None and len(must) > most:
            fix = f"{name} of {len(must)} experts, or fewer experts pinned to digital units"
            causes.append(Cause(name, float(len(must)), float(most), "experts", names_of(instance, must), fix))
    per_layer = limits.max_digital_experts_per_layer
    if per_layer is not None and len(must):
        counts = np.bincount(instance.layer[must])
        if counts.max() > per_layer:
            worst = must[instance.layer[must] == counts.argmax()]
            fix = f"max_digital_experts_per_layer {counts.max()}, or fewer experts of layer {counts.argmax()} pinned"
            name = "max_digital_experts_per_layer"
            causes.append(Cause(name, float(counts.max()), per_layer, "experts", names_of(instance, worst), fix))
    return causes


def diagnose(instance: Instance, limits: MappingLimits, *, time_limit_s: float, seed: int) -> list[Cause]:
    """Causes of an infeasible program: each limit alone against its best value, then all of them together."""
    causes = arithmetic_causes(instance, limits)
    if not causes:
        causes = single_limit_causes(instance, limits, time_limit_s=time_limit_s, seed=seed)
    if not causes:
        causes = elastic_causes(instance, limits, time_limit_s=time_limit_s, seed=seed)
    assert causes, "the solver found no mapping, yet no limit is missed"
    return causes


def single_limit_causes(instance: Instance, limits: MappingLimits, *, time_limit_s: float, seed: int) -> list[Cause]:
    """Sensitivity and energy limits that no placement reaches even with all other limits but capacity gone."""
    total = float(instance.rank_score[instance.is_expert].sum())
    share = None if limits.max_sensitivity_share is None else limits.max_sensitivity_share * total
    tasks: list[tuple[str, Objective, float | None, float, str]] = [
        ("max_sensitivity", "sensitivity", limits.max_sensitivity, 1.0, "score"),
        ("max_sensitivity_share", "sensitivity", share, total, "share"),
        ("max_energy_pj_per_token", "energy", limits.max_energy_pj_per_token, 1.0, "pJ"),
    ]
    causes = []
    for name, objective, limit, divisor, unit in tasks:
        if limit is None:
            continue
        view = instance if name != "max_sensitivity_share" else experts_only(instance)
        program = build_program(view, objective, MappingLimits())
        answer = solve_model(program.write, time_limit_s=time_limit_s, gap=1e-6, seed=seed)
        if answer.bound is None:
            continue
        least = program.bound(answer.bound)
        if least > limit * (1 + 1e-6):
            need, have = least / divisor, limit / divisor
            fix = (
                f"{name} {rounded_up(need)}, or more digital capacity" if unit != "pJ" else f"{name} {rounded_up(need)}"
            )
            causes.append(Cause(name, need, have, unit, "all placements within capacity and pins", fix))
    return causes


def experts_only(instance: Instance) -> Instance:
    """The instance with the scores of other blocks left out."""
    return dataclasses.replace(instance, score=np.where(instance.is_expert[:, None], instance.score, 0.0))


def elastic_causes(instance: Instance, limits: MappingLimits, *, time_limit_s: float, seed: int) -> list[Cause]:
    """Limits that must give way together: the least sum of relative violations over all of them."""
    program = build_program(
        instance, "energy" if limits.max_energy_pj_per_token else "sensitivity", limits, elastic=True
    )
    answer = solve_model(program.write, time_limit_s=time_limit_s, gap=1e-4, seed=seed)
    worst: dict[str, Cause] = {}
    for slack in program.slack:
        missed = answer.values.get(slack.variable.name, 0.0)
        if missed <= 1e-7:
            continue
        name = slack.name.partition("[")[0] if slack.name.startswith("max_") else slack.name
        limit, reached, unit = slack.meaning.limit, slack.reached(missed), slack.meaning.unit
        need, have = (reached, limit) if slack.coefficient < 0 else (limit, reached)
        fix = f"{name} {rounded_up(reached)} {unit}: the limits contradict each other, and this is the least change"
        cause = Cause(slack.name, need, have, unit, "all placements that keep the other limits", fix)
        if name not in worst or cause.short_by > worst[name].short_by:
            worst[name] = cause
    return list(worst.values())


def names_of(instance: Instance, blocks: Indices) -> str:
    """How many blocks, and the first ones by name."""
    first = ", ".join(instance.blocks[block].name for block in blocks[:2].tolist())
    return f"{len(blocks)} blocks ({first}{', …' if len(blocks) > 2 else ''})"


def more(amount: float) -> str:
    """A missing amount, rounded up."""
    return f"{math.ceil(amount - 1e-9)}"


def rounded_up(value: float) -> str:
    """A value rounded up to six digits."""
    if value <= 0:
        return f"{value:.6g}"
    step = 10.0 ** (math.floor(math.log10(value)) - 5)
    return f"{math.ceil(value / step - 1e-9) * step:.6g}"
