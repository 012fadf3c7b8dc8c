"""Finds the best mapping, proves how good it is, and compares it with every rule."""

from __future__ import annotations

import time
from collections.abc import Mapping as MappingABC
from typing import Final, NamedTuple, get_args

import pandas as pd

from dse.cost.micro_batch import require_sequences
from dse.cost.table import CostTable
from dse.errors import InfeasibleError, SpecError, TimeLimitError
from dse.mapping.baseline import Rule, rule_choice
from dse.mapping.child import Answer, solve_model
from dse.mapping.diagnose import arithmetic_causes, diagnose
from dse.mapping.instance import Instance, make_instance, option_score_matrix
from dse.mapping.limits import MappingLimits, check_limits, keeps_limits, read_limits
from dse.mapping.model import Mapping, Status
from dse.mapping.objective import Choice, energy_pj_per_token, sensitivity
from dse.mapping.problem import Objective, build_program
from dse.mapping.result import make_mapping
from dse.spec.architecture import Architecture
from dse.spec.suggest import did_you_mean
from dse.workload.build import Workload

FRACTIONS: Final = (0.0, 0.125, 0.25, 0.5, 0.75)
"""Digital fractions at which rules are compared with the solver's answer, besides those of the limits."""
NAMES: Final[dict[Objective, str]] = {"sensitivity": "sensitivity", "energy": "energy_pj_per_token"}
EXACT: Final = 1e-9
"""Gap that counts as none: rounding of sums."""


class Candidate(NamedTuple):
    """A placement that keeps all limits."""

    value: float
    origin: str
    choice: Choice


class Solution(NamedTuple):
    """The best placement and a proven lower bound (−inf: none)."""

    best: Candidate
    bound: float


def solve_mapping(
    costs: CostTable,
    option_scores: pd.DataFrame,
    workload: Workload,
    arch: Architecture,
    *,
    objective: Objective = "sensitivity",
    limits: MappingABC[str, float] | MappingLimits | None = None,
    pins: MappingABC[str, str] | None = None,
    time_limit_s: float = 60.0,
    gap: float = 1e-4,
    seed: int = 0,
    point: int = 0,
) -> Mapping:
    """The mapping that minimises an objective under capacity, pins and limits, with a proven lower bound.

    ``sensitivity``: the summed scores of the chosen options. ``energy``: energy per token of a step, with the load of
    an analog group shared evenly by its tiles, without the embedding look-up and without the power of flat-power
    units other than the host. Value, gap and limits are recomputed from the placement; the answer is never worse
    than a rule of ``baseline`` that keeps the limits (at the fractions of ``FRACTIONS`` and of the limits).

    Args:
        costs: table of ``cost_table(arch, workload)``.
        option_scores: block, group, precision, copies, score; options that are not listed are not used.
        workload: blocks, visits.
        arch: groups and composition.
        objective: what is minimised.
        limits: names of ``MappingLimits`` → number.
        pins: as for ``resolve_pins``.
        time_limit_s: wall-clock limit of the solver [s].
        gap: relative gap at which the solver may stop.
        seed: of the solver.
        point: design point of a table with several.

    Returns:
        A mapping with status ``optimal`` (no gap but rounding), ``within_gap``, or ``time_limit``.

    Raises:
        SpecError: unknown objective, limit, pin; more micro-batches than sequences.
        InfeasibleError: no placement keeps the limits; the causes say which and by how much.
        TimeLimitError: the time passed before any placement was found.
    """
    if objective not in NAMES:
        known = ", ".join(NAMES)
        raise SpecError(f"unknown objective {objective!r}{did_you_mean(objective, NAMES)} (objectives: {known})")
    bounds = read_limits(limits)
    require_sequences(arch, workload)
    score, listed = option_score_matrix(option_scores, workload, costs)
    instance = make_instance(costs, workload, arch, score=score, listed=listed, pins=pins, point=point)
    best, bound = search(instance, objective, bounds, time_limit_s=time_limit_s, gap=gap, seed=seed)
    return make_mapping(
        instance,
        best.choice,
        objective=NAMES[objective],
        value=best.value,
        bound=bound,
        status=status_of(best.value, bound, gap),
        solver=best.origin,
        arch=arch,
        workload=workload,
        binding=[c.limit for c in check_limits(instance, best.choice, bounds) if c.binds and c.is_limit],
    )


def search(
    instance: Instance, objective: Objective, limits: MappingLimits, *, time_limit_s: float, gap: float, seed: int
) -> Solution:
    """The better of the solver's placement and the best rule's, and a lower bound.

    Raises:
        InfeasibleError: no placement keeps the limits.
        TimeLimitError: the time passed before any placement was found.
    """
    begin = time.monotonic()
    causes = arithmetic_causes(instance, limits)
    if causes:
        raise InfeasibleError(causes)
    best = best_rule(instance, objective, limits)
    program = build_program(instance, objective, limits)
    answer = Answer(status="optimal", bound=None, solver="no block has a choice")
    if program.pools:
        left_s = max(time_limit_s - (time.monotonic() - begin), 0.1)
        start = program.start(best.choice) if best else None
        answer = solve_model(program.write, start=start, time_limit_s=left_s, gap=gap, seed=seed)
    if answer.values or not program.pools:
        choice = program.choice(answer.values)
        found = Candidate(objective_value(instance, objective, choice), answer.solver, choice)
        if keeps_limits(instance, choice, limits) and (best is None or found.value <= best.value):
            best = found
    if best is None:
        if answer.status == "infeasible" or not program.pools:
            raise InfeasibleError(diagnose(instance, limits, time_limit_s=time_limit_s, seed=seed))
        raise TimeLimitError(f"no mapping found within {time_limit_s:g} s; allow more time or loosen the limits")
    if not program.pools:
        return Solution(best, best.value)
    return Solution(best, float("-inf") if answer.bound is None else min(program.bound(answer.bound), best.value))


def objective_value(instance: Instance, objective: Objective, choice: Choice) -> float:
    """Value of the objective, without a solver."""
    return (sensitivity if objective == "sensitivity" else energy_pj_per_token)(instance, choice)


def status_of(value: float, bound: float, gap: float) -> Status:
    """How far a value is proven."""
    found = (value - bound) / max(abs(value), 1e-300)
    if found <= EXACT:
        return "optimal"
    return "within_gap" if found <= gap * (1 + 1e-6) + EXACT else "time_limit"


def best_rule(instance: Instance, objective: Objective, limits: MappingLimits) -> Candidate | None:
    """The best placement of a rule that fits and keeps the limits, or None."""
    n_experts = int(instance.is_expert.sum())
    fractions = list(FRACTIONS)
    if limits.digital_fraction is not None:
        fractions.append(limits.digital_fraction)
    if limits.max_digital_experts is not None and n_experts:
        fractions.append(min(limits.max_digital_experts / n_experts, 1.0))
    runs: list[tuple[Rule, float]] = [("all_digital", 1.0), ("all_analog", 0.0)]
    runs += [(rule, f) for rule in get_args(Rule) if not rule.startswith("all_") for f in fractions]
    best: Candidate | None = None
    for rule, fraction in runs:
        try:
            choice = rule_choice(instance, rule, fraction)
        except InfeasibleError:
            continue
        value = objective_value(instance, objective, choice)
        if (best is None or value < best.value) and keeps_limits(instance, choice, limits):
            best = Candidate(value, f"rule {rule} at digital fraction {fraction:g}", choice)
    return best
