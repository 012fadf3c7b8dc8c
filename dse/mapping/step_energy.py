"""Energy of a step in the mapping program: blocks, and power drawn for as long as the step takes."""

from __future__ import annotations

import numpy as np

from dse.mapping.objective import (
    GroupLoads,
    analog_groups,
    busy_ns,
    energy_pj_per_token,
    group_loads,
    stage_ns,
    step_ns,
)
from dse.mapping.pools import fixed_choice
from dse.mapping.program import Program, Terms
from dse.mapping.stage_time import StageRows, add_stage_time, negative


def add_energy(program: Program) -> tuple[Terms, float, float]:
    """Adds the time rows; the energy per token of free blocks over a reference, that reference, the constant part.

    The constant part [pJ/token]: blocks with one option, background, and the time of stages without any choice.
    """
    instance = program.instance
    fixed = fixed_choice(instance)
    first = np.where(instance.allowed.any(axis=1), instance.allowed.argmax(axis=1), 0)
    reference = max(energy_pj_per_token(instance, first), 1e-300)
    per_model_unit = reference * instance.tokens
    energy = float(instance.energy_pj[fixed >= 0, fixed[fixed >= 0]].sum()) + instance.background_pj
    terms: Terms = [
        (variable, float(instance.energy_pj[program.pools[p].members[0], o]) / per_model_unit)
        for (p, o), variable in program.count.items()
    ]
    if instance.standing_mw > 0:
        unit_ns = max(step_ns(instance, first) / len(instance.stages), 1e-300)
        for index, step in enumerate(instance.steps):
            times, constant_ns = add_step_time(program, index, unit_ns)
            power = instance.standing_mw * step.weight
            terms += [(variable, power * unit_ns * factor / per_model_unit) for variable, factor in times]
            energy += power * constant_ns
    return terms, reference, energy / instance.tokens


def add_step_time(program: Program, index: int, unit_ns: float) -> tuple[Terms, float]:
    """Time of one kind of step: terms [unit_ns], and the time of stages without any choice [ns]."""
    instance, fixed = program.instance, fixed_choice(program.instance)
    loads = group_loads(instance, instance.steps[index], fixed, fixed >= 0)
    free = sorted({int(instance.stage[pool.members[0]]) for pool in program.pools})
    rows = {stage: add_stage_time(program, (index, stage), loads, unit_ns) for stage in free}
    terms: Terms = [(row.total, 1.0) for row in rows.values()]
    constant_ns = float(np.delete(stage_ns(instance, loads), free).sum())
    if not instance.is_pipelined:
        return terms, constant_ns
    total = program.add_variable(f"w{index}")
    program.add_row(f"path[step {index}]", [(total, 1.0), *negative(terms)], ">=", constant_ns / unit_ns)
    for what, busy, least in busy_terms(program, index, loads, rows, unit_ns):
        row = [(total, 1.0), *negative(busy)]
        program.add_row(f"busy[{what}, step {index}]", row, ">=", least)
    return [(total, 1.0)], 0.0


def busy_terms(
    program: Program, index: int, loads: GroupLoads, rows: dict[int, StageRows], unit_ns: float
) -> list[tuple[str, Terms, float]]:
    """Every resource and its work for all micro-batches of a step, as terms and a constant [unit_ns]."""
    instance = program.instance
    step, is_analog = instance.steps[index], analog_groups(instance)
    factor = step.micro_batches / unit_ns
    fixed_work, fixed_link = factor * busy_ns(instance, loads)
    without_choice = factor * np.delete(loads.total_ns(), list(rows), axis=0).sum(axis=0)
    found: list[tuple[str, Terms, float]] = []
    for group, name in enumerate(instance.groups):
        own = [
            (int(program.pools[p].members[0]), o, v)
            for (p, o), v in program.count.items()
            if instance.group[o] == group
        ]
        work: Terms = [(v, factor * float(step.compute_ns[b, o])) for b, o, v in own]
        least = float(fixed_work[group])
        if is_analog[group]:
            link: Terms = [(v, factor * float(step.added_ns[b, o])) for b, o, v in own]
            found.append((f"{name} link", link, float(fixed_link[group])))
        else:
            parts = [row.groups[group] for row in rows.values()]
            work = [(v, step.micro_batches * value) for terms, _ in parts for v, value in terms]
            least = float(without_choice[group]) + step.micro_batches * sum(constant for _, constant in parts)
        found.append((name, work, least))
    return found
