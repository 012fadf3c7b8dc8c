"""Rows of the mapping program that hold the time of a stage above the times of its groups."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from dse.mapping.instance import Instance
from dse.mapping.objective import GroupLoads
from dse.mapping.pools import Pool
from dse.mapping.program import Program, Terms, Variable, stage_class_option
from dse.mapping.step_tables import StepTables

Array = NDArray[np.float64]
Entries = list[tuple[int, int, Variable]]
"""(pool, option, count) of the pools of one stage."""


def stage_total(program: Program, at: tuple[int, int], loads: GroupLoads, unit_ns: float) -> Variable:
    """The time of one stage of one kind of step [unit_ns], with the rows that keep it above the times of its groups.

    Args:
        program: gets the rows, once.
        at: index of the step and of the stage.
        loads: of the blocks that have one option.
        unit_ns: what times are divided by.
    """
    known = program.stage_totals.get(at)
    if known is not None:
        return known
    (step, stage), instance = at, program.instance
    name = stage_name(instance, at)
    total = program.stage_totals[at] = program.add_time(f"t{step}_{stage}", stage)
    groups = stage_groups(program, at, loads, unit_ns)
    if instance.side_by_side[stage]:
        for label, (terms, constant) in zip(instance.groups, groups, strict=True):
            if terms or constant:
                program.add_row(f"time[{name}, {label}]", [(total, 1.0), *negative(terms)], ">=", constant)
    else:
        merged = [term for terms, _ in groups for term in terms]
        constant = sum(constant for _, constant in groups)
        program.add_row(f"time[{name}]", [(total, 1.0), *negative(merged)], ">=", constant)
    add_envelope(program, at, total, loads, unit_ns)
    return total


def stage_groups(program: Program, at: tuple[int, int], loads: GroupLoads, unit_ns: float) -> list[tuple[Terms, float]]:
    """Time of each group in one stage [unit_ns] as terms and a constant, with the rows that bound its parts."""
    if at not in program.stage_groups:
        entries = program.entries(at[1])
        program.stage_groups[at] = [
            add_group_time(program, (*at, group), entries, loads, unit_ns)
            for group in range(len(program.instance.groups))
        ]
    return program.stage_groups[at]


def stage_name(instance: Instance, at: tuple[int, int]) -> str:
    """Layer and name of a stage; with several kinds of steps also which."""
    step, stage = at
    layer, name = instance.stages[stage]
    return f"{layer}.{name}" + (f" of step {step}" if len(instance.steps) > 1 else "")


def add_envelope(program: Program, at: tuple[int, int], total: Variable, loads: GroupLoads, unit_ns: float) -> None:
    """Rows that every whole count keeps and fractions do not: the lower convex hull of time over count.

    For a stage of one pool with two options, its time is a function of one count. Where group times cross between
    two whole counts, or a launch begins, the relaxation of the other rows is far too low.
    """
    entries = program.entries(at[1])
    if len(entries) != 2 or program.pools[entries[0][0]].size < 2:
        return
    (p, first, _), (_, second, variable) = entries
    instance = program.instance
    times = times_by_count(instance, instance.steps[at[0]], program.pools[p], (first, second), loads) / unit_ns
    corners = lower_hull(times)
    for left, right in itertools.pairwise(corners):
        slope = float(times[right] - times[left]) / (right - left)
        rhs = float(times[left]) - slope * left
        program.add_row(f"hull[{stage_name(instance, at)}, {left}]", [(total, 1.0), (variable, -slope)], ">=", rhs)


def times_by_count(
    instance: Instance, step: StepTables, pool: Pool, options: tuple[int, int], loads: GroupLoads
) -> Array:
    """(size + 1,): time of a pool's stage when 0, 1, … of its blocks are under the second option [ns]."""
    block, stage = int(pool.members[0]), int(instance.stage[pool.members[0]])
    second = np.arange(pool.size + 1, dtype=np.float64)
    counts = {options[0]: pool.size - second, options[1]: second}
    host = sum(n * step.host_ns[block, o] for o, n in counts.items())
    times: list[Array] = []
    for group in range(len(instance.groups)):
        own = {o: n for o, n in counts.items() if instance.group[o] == group}
        path = np.full(pool.size + 1, loads.path[stage, group])
        fixed = np.full(pool.size + 1, loads.fixed[stage, group])
        compute = loads.compute[stage, group] + (host if group == instance.host else np.zeros(pool.size + 1))
        fetch = np.full(pool.size + 1, loads.fetch[stage, group])
        buffer = np.full(pool.size + 1, loads.buffer[stage, group])
        added = np.full(pool.size + 1, loads.added[stage, group])
        for o, n in own.items():
            path = np.maximum(path, np.where(n > 0, instance.path_ns[block, o], 0.0))
            fixed = np.maximum(fixed, np.where(n > 0, instance.fixed_ns[block, o], 0.0))
            compute = compute + n * step.compute_ns[block, o]
            fetch, added = fetch + n * step.fetch_ns[block, o], added + n * step.added_ns[block, o]
            buffer = buffer + n * step.buffer_ns[block, o]
        times.append(GroupLoads(path, compute, fetch, buffer, fixed, added).total_ns())
    table = np.array(times)
    total: Array = table.max(axis=0) if instance.side_by_side[stage] else table.sum(axis=0)
    return total


def lower_hull(values: Array) -> list[int]:
    """Positions of the corners of the lower convex hull of values at 0, 1, 2 and so on.

    >>> lower_hull(np.array([0.0, 5.0, 3.0, 6.0]))
    [0, 2, 3]
    """
    corners: list[int] = []
    for index in range(len(values)):
        while len(corners) >= 2:
            a, b = corners[-2:]
            if (values[b] - values[a]) * (index - b) < (values[index] - values[b]) * (b - a):
                break
            corners.pop()
        corners.append(index)
    return corners


def add_group_time(
    program: Program, cell: tuple[int, int, int], entries: Entries, loads: GroupLoads, unit_ns: float
) -> tuple[Terms, float]:
    """Time of one group in one stage [unit_ns] as terms and a constant, with the rows that bound its parts."""
    instance = program.instance
    index, stage, group = cell
    step, here = instance.steps[index], (stage, group)
    own = [(p, o, v) for p, o, v in entries if instance.group[o] == group]
    name = f"{stage_name(instance, (index, stage))}, {instance.groups[group]}"

    def terms_of(values: Array, among: Entries) -> Terms:
        found = [(v, float(values[program.pools[p].members[0], o]) / unit_ns) for p, o, v in among]
        return [(variable, value) for variable, value in found if value]

    compute = terms_of(step.compute_ns, own)
    compute += terms_of(step.host_ns, entries) if group == instance.host else []
    if not own and not compute:
        return [], float(loads.total_ns()[here]) / unit_ns
    parts = [
        ("compute", compute, loads.compute[here]),
        ("memory", terms_of(step.fetch_ns, own), loads.fetch[here]),
        ("buffer", terms_of(step.buffer_ns, own), loads.buffer[here]),
    ]
    parts = [part for part in parts if part[1] or part[2]]
    added, added_ns = terms_of(step.added_ns, own), float(loads.added[here])
    if len(parts) <= 1 and not has_start(instance, program, own, loads, here):
        terms, constant = (parts[0][1], float(parts[0][2])) if parts else ([], 0.0)
        return [*terms, *added], (constant + added_ns) / unit_ns
    busy = program.add_time(f"b{index}_{stage}_{group}", stage, float(loads.path[here]) / unit_ns)
    fixed = program.add_time(f"f{index}_{stage}_{group}", stage, float(loads.fixed[here]) / unit_ns)
    for kind, terms, constant in parts:
        program.add_row(f"{kind}[{name}]", [(busy, 1.0), *negative(terms)], ">=", float(constant) / unit_ns)
    add_use(program, own, busy, fixed, unit_ns)
    return [(busy, 1.0), (fixed, 1.0), *added], added_ns / unit_ns


def has_start(instance: Instance, program: Program, own: Entries, loads: GroupLoads, here: tuple[int, int]) -> bool:
    """Whether a group in a stage has a path or a fixed time, which count as soon as one block is there."""
    if loads.path[here] or loads.fixed[here]:
        return True
    at = [(program.first_block(p), o) for p, o, _ in own]
    return any(instance.path_ns[cell] or instance.fixed_ns[cell] for cell in at)


def add_use(program: Program, own: Entries, busy: Variable, fixed: Variable, unit_ns: float) -> None:
    """Path and fixed time count as soon as one block of a class is under an option."""
    instance = program.instance
    all_single = all(program.pools[p].size == 1 for p, _, _ in own)
    bounded = set()
    for p, option, variable in own:
        pool = program.pools[p]
        path = float(instance.path_ns[pool.members[0], option]) / unit_ns
        launch = float(instance.fixed_ns[pool.members[0], option]) / unit_ns
        if path <= busy.lowBound and launch <= fixed.lowBound:
            continue
        key = stage_class_option(instance, pool, option)
        name = f"{instance.names[pool.members[0]]}, {option}"
        if key not in program.use:
            program.use[key] = program.add_variable(f"y{len(program.use)}", 0.0, 1.0, is_integer=not all_single)
        if key not in bounded:
            bounded.add(key)
            program.add_row(f"path[{name}]", [(busy, 1.0), (program.use[key], -path)], ">=", 0.0)
            program.add_row(f"fixed[{name}]", [(fixed, 1.0), (program.use[key], -launch)], ">=", 0.0)
        if (p, option) not in program.tied:
            program.tied.add((p, option))
            tie_use(program, p, option, variable)


def tie_use(program: Program, p: int, option: int, variable: Variable) -> None:
    """An option is in use as soon as one block of a pool is under it."""
    instance, pool = program.instance, program.pools[p]
    use = program.use[stage_class_option(instance, pool, option)]
    if p not in program.named:
        row = [(variable, 1.0), (use, -float(pool.size))]
        program.add_row(f"use[{instance.names[pool.members[0]]}, {option}]", row, "<=", 0.0)
        return
    others = pool.options[:-1].tolist()
    for b in pool.members.tolist():
        is_last = option not in others
        row = [(program.take[b, o], -1.0 if is_last else 1.0) for o in (others if is_last else [option])]
        row.append((use, -1.0))
        program.add_row(f"use[{instance.names[b]}, {option}]", row, "<=", -1.0 if is_last else 0.0)


def negative(terms: Iterable[tuple[Variable, float]]) -> Terms:
    """The terms with opposite signs."""
    return [(variable, -value) for variable, value in terms]
