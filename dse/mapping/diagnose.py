"""Says why no mapping exists: which limit, what it needs, what there is, what would do."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Collection, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dse.errors import Cause
from dse.mapping.child import solve_model
from dse.mapping.constraints import fixed_units
from dse.mapping.instance import Indices, Instance
from dse.mapping.limits import PAIRS, MappingLimits
from dse.mapping.pools import fixed_choice
from dse.mapping.problem import MappingProblem, build_program
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
    options = instance.options
    held = [options[o] for o in np.unique(used).tolist()]
    digital = {o.group: BITS[o.precision] for o in held if o.precision in BITS}
    offered = [o.precision for o in options if o.precision in BITS and BITS[o.precision] < digital.get(o.group, 0)]
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
        if len(options) and sizes.min() > 0 and math.isfinite(room[resource]):
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
    per_layer, layers = limits.max_digital_experts_per_layer, instance.layer[must]
    if per_layer is not None:
        counts = np.bincount(layers[layers >= 0], minlength=1)
        if counts.max() > per_layer:
            worst = must[layers == counts.argmax()]
            fix = f"max_digital_experts_per_layer {counts.max()}, or fewer experts of layer {counts.argmax()} pinned"
            name = "max_digital_experts_per_layer"
            causes.append(Cause(name, float(counts.max()), per_layer, "experts", names_of(instance, worst), fix))
    return causes


class Relax(Protocol):
    """Solves the elastic program in which some limits may be missed at a price, and others at none."""

    def __call__(
        self, priced: Collection[str], dropped: Collection[str] = (), *, gap: float = 1e-4
    ) -> dict[str, Cause] | None:
        """Priced limit → by how much it is missed; None where the others are infeasible by themselves."""


def diagnose(problem: MappingProblem, *, time_limit_s: float, seed: int) -> list[Cause]:
    """Causes of an infeasible problem: by arithmetic, else an irreducible set of limits that contradict each other.

    Each cause says the least change of its limit alone that makes the whole problem feasible, which is the optimum of
    an elastic program; where there is none, because others contradict each other as well, what would do together.
    Empty where the time was over before a set was found.
    """
    begin = time.monotonic()

    def relax(priced: Collection[str], dropped: Collection[str] = (), *, gap: float = 1e-4) -> dict[str, Cause] | None:
        left_s = max(time_limit_s - (time.monotonic() - begin), 1.0)
        return least_changes(problem, priced, dropped, time_limit_s=left_s, gap=gap, seed=seed)

    causes = arithmetic_causes(problem.instance, problem.limits)
    if any(cause.limit == "options" for cause in causes):
        return causes
    program = build_program(problem, soft=lambda _: True)
    families = list(dict.fromkeys(family(slack.name) for slack in program.slack))
    if causes:
        return [with_whole_remedy(cause, families, relax) if cause.limit in families else cause for cause in causes]
    needed = irreducible_set(families, relax)
    found = [set_cause(name, needed, families, relax) for name in needed]
    kept = [cause for cause in found if cause is not None]
    return [with_company(cause, [one.limit for one in kept]) for cause in kept]


def irreducible_set(families: Sequence[str], relax: Relax) -> list[str]:
    """Limits that contradict each other, none of which can be left out.

    Found by leaving out one after the other (Chinneck and Dravnieks, ORSA J. Computing 3, 1991): a limit without
    which the rest stays infeasible is left out for good.
    """
    needless: set[str] = set()
    for name in families:
        if relax((), {*needless, name}, gap=1.0) is None:
            needless.add(name)
    return [name for name in families if name not in needless]


def set_cause(name: str, needed: Sequence[str], families: Sequence[str], relax: Relax) -> Cause | None:
    """What one limit of an irreducible set needs; None where the time was over."""
    alone = relax([name])
    if alone:
        return dataclasses.replace(alone[name], least_relaxation=f"{alone[name].least_relaxation} alone would do")
    own = relax([name], [other for other in families if other not in needed])
    return dataclasses.replace(own[name], least_relaxation=joint_remedy(families, relax)) if own else None


def with_whole_remedy(cause: Cause, families: Sequence[str], relax: Relax) -> Cause:
    """A cause found by arithmetic, with a remedy that makes the whole problem feasible."""
    alone = relax([cause.limit])
    if alone is None:
        return dataclasses.replace(cause, least_relaxation=f"{cause.least_relaxation}; {joint_remedy(families, relax)}")
    found = alone.get(cause.limit)
    if found is None or abs(found.short_by) <= abs(cause.short_by) * (1 + 1e-6):
        return cause
    remedy = f"{cause.least_relaxation}; for all blocks {found.least_relaxation} alone would do"
    return dataclasses.replace(cause, least_relaxation=remedy)


def joint_remedy(families: Sequence[str], relax: Relax) -> str:
    """Limits that would do together where none does alone."""
    found = relax(families) or {}
    changes = " and ".join(cause.least_relaxation for cause in found.values())
    return f"{changes} together would do" if changes else "not enough alone: others contradict each other as well"


def family(row: str) -> str:
    """The limit that a row belongs to: those of layers and pairs are one limit, those of groups one each."""
    name = row.partition("[")[0]
    return name if name in ("max_digital_experts_per_layer", *PAIRS) else row


def with_company(cause: Cause, limits: Sequence[str]) -> Cause:
    """A cause that says which other limits it contradicts."""
    others = [name for name in limits if name != cause.limit]
    if not others:
        return cause
    return dataclasses.replace(cause, blocks=f"{cause.blocks}, with {' and '.join(others)} as they are")


def least_changes(
    problem: MappingProblem,
    priced: Collection[str],
    dropped: Collection[str],
    *,
    time_limit_s: float,
    gap: float,
    seed: int,
) -> dict[str, Cause] | None:
    """Priced limit → by how much it must be missed, when others are dropped; empty where the time was over.

    None where the other limits are infeasible by themselves.
    """
    soft = {*priced, *dropped}
    program = build_program(problem, soft=lambda row: family(row) in soft, priced=lambda row: family(row) in priced)
    answer = solve_model(program.write, time_limit_s=time_limit_s, gap=gap, seed=seed)
    if answer.status == "infeasible":
        return None
    missed_by = [
        (slack, answer.values.get(slack.variable.name, 0.0)) for slack in program.slack if family(slack.name) in priced
    ]
    rows = dict.fromkeys(slack.name for slack, missed in missed_by if missed > 1e-7)
    worst = {name: pairs_cause(name, own) for name in PAIRS if (own := [row for row in rows if family(row) == name])}
    for slack, missed in missed_by:
        if missed <= 1e-7 or family(slack.name) in PAIRS:
            continue
        name, limit, unit = family(slack.name), slack.meaning.limit, slack.meaning.unit
        reached = slack.reached(missed)
        need, have = (reached, limit) if slack.coefficient < 0 else (limit, reached)
        fix = relaxed(problem.instance, name, reached, unit)
        worst[name] = Cause(name, need, have, unit, named_blocks(problem.instance, slack.name), fix)
    return worst


def pairs_cause(name: str, rows: Sequence[str]) -> Cause:
    """Pairs of blocks that cannot be kept together or apart."""
    pairs = [row.removeprefix(f"{name}[").removesuffix("]") for row in rows]
    noun = "pair" if len(pairs) == 1 else "pairs"
    said = " and ".join(f"({pair})" for pair in pairs)
    return Cause(name, float(len(pairs)), 0.0, "broken pairs", f"the {noun} {said}", f"{name} without {said}")


def relaxed(instance: Instance, name: str, reached: float, unit: str) -> str:
    """The limit at the value that would do, in the user's unit."""
    if name != "digital_fraction":
        return f"{name} {rounded_up(reached)} {unit}"
    return f"digital_fraction {reached / max(int(instance.is_expert.sum()), 1):.4g} ({reached:.6g} experts)"


def named_blocks(instance: Instance, row: str) -> str:
    """The blocks that a limit is about."""
    name, _, inside = row.rstrip("]").partition("[")
    if name in ("capacity", "max_units"):
        on_it = instance.allowed & (instance.resource == instance.resources.index(inside))
        return names_of(instance, np.flatnonzero(on_it.any(axis=1)))
    if name == "max_digital_experts_per_layer":
        return "the experts of each layer"
    return "all placements that keep the other limits"


def names_of(instance: Instance, blocks: Indices) -> str:
    """How many blocks, and the first ones by name."""
    first = ", ".join(instance.names[block] for block in blocks[:2].tolist())
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
