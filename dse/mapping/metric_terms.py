"""Sensitivity, energy, group load and layer latency in the mapping program, as terms over its variables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dse.mapping.bound import fixed_loads
from dse.mapping.instance import Instance
from dse.mapping.metrics import Metric
from dse.mapping.objective import busy_ns, energy_pj_per_token, stage_ns, step_ns
from dse.mapping.pools import fixed_choice
from dse.mapping.program import MetricTerms, Program, Terms, Variable
from dse.mapping.stage_time import negative, stage_groups, stage_total

Array = NDArray[np.float64]


def metric_terms(program: Program, metric: Metric) -> MetricTerms:
    """A metric over the variables of the program, with the rows that it needs."""
    return known_terms(program, metric, TERMS_OF[metric])


def known_terms(program: Program, name: str, make: Callable[[Program], MetricTerms]) -> MetricTerms:
    """A metric, made when it is first asked for."""
    if name not in program.metrics:
        program.metrics[name] = make(program)
    return program.metrics[name]


def sensitivity_terms(program: Program) -> MetricTerms:
    """The sum of scores."""
    scale = score_scale(program.instance)
    terms, implied = score_terms(program, program.instance.score / scale)
    return MetricTerms(terms, scale, fixed_score(program.instance) + scale * implied)


def energy_terms(program: Program) -> MetricTerms:
    """Energy per token: blocks, and standing power for as long as the step takes."""
    instance, fixed = program.instance, fixed_choice(program.instance)
    reference = positive(energy_pj_per_token(instance, first_choice(instance)))
    per_model_unit = reference * instance.tokens
    energy = float(instance.energy_pj[fixed >= 0, fixed[fixed >= 0]].sum()) + instance.background_pj
    terms: Terms = [
        (variable, value / per_model_unit)
        for (p, o), variable in program.count.items()
        if (value := float(instance.energy_pj[program.first_block(p), o]))
    ]
    if instance.standing_mw > 0:
        time = step_time_terms(program)
        terms += [(v, instance.standing_mw * time.scale * factor / per_model_unit) for v, factor in time.terms]
        energy += instance.standing_mw * time.constant
    return MetricTerms(terms, reference, energy / instance.tokens)


def step_time_terms(program: Program) -> MetricTerms:
    """Time of a step of the run [ns]: of each kind of step its stages, or where they overlap its busiest resource."""
    if not program.instance.is_pipelined:
        return metric_terms(program, "layer_latency")
    return known_terms(program, "step time", pipelined_terms)


def pipelined_terms(program: Program) -> MetricTerms:
    """Time of a pipelined step [ns]."""
    unit = unit_ns(program.instance)
    terms: Terms = []
    for index, step in enumerate(program.instance.steps):
        path, constant_ns = path_terms(program, index)
        total = program.add_variable(f"w{index}")
        program.add_row(f"path[step {index}]", [(total, 1.0), *negative(path)], ">=", constant_ns / unit)
        add_busy_rows(program, index, total, "busy", lambda _: True)
        terms.append((total, step.weight))
    return MetricTerms(terms, unit, 0.0)


def layer_latency_terms(program: Program) -> MetricTerms:
    """Time of one micro-batch through all stages [ns]."""
    terms: Terms = []
    constant = 0.0
    for index, step in enumerate(program.instance.steps):
        path, constant_ns = path_terms(program, index)
        terms += [(variable, step.weight * factor) for variable, factor in path]
        constant += step.weight * constant_ns
    return MetricTerms(terms, unit_ns(program.instance), constant)


def group_load_terms(program: Program) -> MetricTerms:
    """Work of the busiest group or link in a step [ns]."""
    return busiest_terms(program, "load", lambda _: True)


def digital_terms(program: Program) -> MetricTerms:
    """Work of the busiest digital unit in a step [ns]."""
    return busiest_terms(program, "digital", lambda group: not program.instance.group_is_analog[group])


def busiest_terms(program: Program, what: str, counts: Callable[[int], bool]) -> MetricTerms:
    """Work of the busiest of some groups [ns], as one variable for each kind of step."""
    terms: Terms = []
    for index, step in enumerate(program.instance.steps):
        most = program.add_variable(f"{what}{index}")
        add_busy_rows(program, index, most, what, counts)
        terms.append((most, step.weight))
    return MetricTerms(terms, unit_ns(program.instance), 0.0)


TERMS_OF: Final[dict[Metric, Callable[[Program], MetricTerms]]] = {
    "sensitivity": sensitivity_terms,
    "energy": energy_terms,
    "bottleneck": group_load_terms,
    "layer_latency": layer_latency_terms,
}


def path_terms(program: Program, index: int) -> tuple[Terms, float]:
    """Stages of one kind of step, one after the other: terms [unit_ns], and the stages without any choice [ns]."""
    instance = program.instance
    loads = fixed_loads(instance, instance.steps[index])
    free, unit = free_stages(program), unit_ns(program.instance)
    terms: Terms = [(stage_total(program, (index, stage), loads, unit), 1.0) for stage in free]
    return terms, float(np.delete(stage_ns(instance, loads), free).sum())


def add_busy_rows(program: Program, index: int, above: Variable, what: str, counts: Callable[[int], bool]) -> None:
    """Keeps a variable [unit_ns] above the work of groups and links for all micro-batches of one kind of step."""
    instance, step, loads = (
        program.instance,
        program.instance.steps[index],
        fixed_loads(program.instance, program.instance.steps[index]),
    )
    free, unit = free_stages(program), unit_ns(instance)
    factor = step.micro_batches / unit
    fixed_work, fixed_link = factor * busy_ns(instance, loads)
    without_choice = factor * np.delete(loads.total_ns(), free, axis=0).sum(axis=0)
    of_stages = [stage_groups(program, (index, stage), loads, unit) for stage in free]
    for group, name in enumerate(instance.groups):
        if not counts(group):
            continue
        least = float(fixed_work[group])
        if instance.group_is_analog[group]:
            own = [(program.first_block(p), o, v) for (p, o), v in program.count.items() if instance.group[o] == group]
            work = [(v, factor * float(step.compute_ns[b, o])) for b, o, v in own if step.compute_ns[b, o]]
            link = [(v, factor * float(step.added_ns[b, o])) for b, o, v in own if step.added_ns[b, o]]
            if link or fixed_link[group]:
                rhs = float(fixed_link[group])
                program.add_row(f"{what}[{name} link, step {index}]", [(above, 1.0), *negative(link)], ">=", rhs)
        else:
            parts = [groups[group] for groups in of_stages]
            work = [(v, step.micro_batches * value) for terms, _ in parts for v, value in terms]
            least = float(without_choice[group]) + step.micro_batches * sum(constant for _, constant in parts)
        program.add_row(f"{what}[{name}, step {index}]", [(above, 1.0), *negative(work)], ">=", least)


def free_stages(program: Program) -> list[int]:
    """Stages in which some block has a choice."""
    return sorted({int(program.instance.stage[pool.members[0]]) for pool in program.pools})


def first_choice(instance: Instance) -> NDArray[np.int64]:
    """(N,): the first option of every block."""
    return np.where(instance.allowed.any(axis=1), instance.allowed.argmax(axis=1), 0)


def unit_ns(instance: Instance) -> float:
    """What times are divided by in the model: the mean time of a stage where every block has its first option."""
    return positive(step_ns(instance, first_choice(instance)) / max(len(instance.stages), 1))


def positive(value: float) -> float:
    """The value where it can divide, else 1."""
    return value if value > 0 else 1.0


def score_terms(program: Program, score: Array) -> tuple[Terms, float]:
    """The sum of scores over all free blocks: terms, and a constant from the shares that are left implied."""
    terms: Terms = []
    constant = 0.0
    for p, pool in enumerate(program.pools):
        if p not in program.named:
            own = [(program.count[p, o], float(score[pool.members[0], o])) for o in pool.options.tolist()]
            terms += [(variable, value) for variable, value in own if value]
            continue
        last = pool.options[-1]
        constant += float(score[pool.members, last].sum())
        for o in pool.options[:-1].tolist():
            gains = (score[pool.members, o] - score[pool.members, last]).tolist()
            pairs = zip(pool.members.tolist(), gains, strict=True)
            terms += [(program.take[b, o], gain) for b, gain in pairs if gain]
    return terms, constant


def fixed_score(instance: Instance) -> float:
    """Scores of blocks with one option."""
    fixed = fixed_choice(instance)
    return float(instance.score[fixed >= 0, fixed[fixed >= 0]].sum())


def score_scale(instance: Instance) -> float:
    """Mean positive score: what scores are divided by in the model."""
    found = instance.score[instance.score > 0]
    return float(found.mean()) if len(found) else 1.0
