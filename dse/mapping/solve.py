"""Finds the best mapping, proves how good it is, and compares it with every rule."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping as MappingABC
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from dse.cost.micro_batch import require_sequences
from dse.cost.table import CostTable
from dse.errors import Cause, InfeasibleError, TimeLimitError
from dse.mapping.bound import simple_bound
from dse.mapping.checks import check_limits, keeps_limits
from dse.mapping.child import Answer, solve_model
from dse.mapping.compare import FRACTIONS, compare_rules
from dse.mapping.diagnose import arithmetic_causes, diagnose
from dse.mapping.goal import read_goal
from dse.mapping.instance import Instance
from dse.mapping.limits import LimitValue, MappingLimits
from dse.mapping.metrics import NAMES, SLACK, Objective
from dse.mapping.model import Mapping, Status
from dse.mapping.objective import Choice, goal_value, metric_values, power_mw
from dse.mapping.problem import MappingProblem, build_program, mapping_problem, with_goal, with_limit
from dse.mapping.result import make_mapping
from dse.mapping.swaps import swapped
from dse.spec.architecture import Architecture
from dse.workload.build import Workload

EXACT: Final = 1e-6
"""Gap that counts as none: what the floating-point feasibility of solvers leaves open, as ``checks.TOLERANCE``."""
WHOLE_BLOCKS: Final = "parts of blocks would keep all limits, whole blocks do not"
"""What is said where the relaxation has a solution and the program has none."""
REMEDY_S: Final = 10.0
"""Most time for the remedies where arithmetic says that there is no mapping [s]."""
FEW: Final = 16
"""Blocks in every stage up to which branch and bound alone is quicker than exchanges after a first placement."""
COARSE: Final = 0.05
"""Gap of a first placement that exchanges are to improve."""
SWAPS_SHARE: Final = 0.4
"""Share of the time for it."""
POWER_ROUNDS: Final = 6
"""Times that a limit on power is tightened where the program's necessary condition was not enough."""


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
    weights: MappingABC[str, float] | None = None,
    order: Sequence[str] = (),
    slack: float = SLACK,
    limits: MappingABC[str, LimitValue] | MappingLimits | None = None,
    pins: MappingABC[str, str] | None = None,
    time_limit_s: float = 60.0,
    gap: float = 1e-4,
    seed: int = 0,
    point: int = 0,
) -> Mapping:
    """The mapping that minimises an objective under capacity, pins and limits, with a proven lower bound.

    ``sensitivity``: the summed scores of the chosen options. ``energy``: energy per token of a step, with the load of
    an analog group shared evenly by its tiles, without the embedding look-up and without the power of flat-power
    units other than the host. ``bottleneck``: work of the busiest group in a step. ``layer_latency``: the sum over
    all stages of their slowest group. ``weighted``: a sum of these. ``lexicographic``: one after the other. Value,
    gap and limits are recomputed from the placement; the answer is never worse than a rule of ``baseline`` that
    keeps the limits (at the fractions of ``FRACTIONS`` and of the limits).

    Args:
        costs: table of ``cost_table(arch, workload)``.
        option_scores: block, group, precision, copies, score; options that are not listed are not used.
        workload: blocks, visits.
        arch: groups and composition.
        objective: what is minimised, one of ``goal.OBJECTIVES``.
        weights: metric → factor, for ``weighted``.
        order: metrics from the most important one, for ``lexicographic``.
        slack: share by which each metric of the order may get worse for the next.
        limits: names of ``MappingLimits`` → number (or names with numbers, or pairs of blocks).
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
    goal = read_goal(objective, weights=weights, order=order, slack=slack)
    require_sequences(arch, workload)
    problem = mapping_problem(costs, option_scores, workload, arch, goal=goal, limits=limits, pins=pins, point=point)
    solution = solve_problem(problem, time_limit_s=time_limit_s, gap=gap, seed=seed)
    return solved(problem, solution, gap=gap, digests={"architecture": arch.digest, "workload": workload.digest})


def solved(
    problem: MappingProblem, solution: Solution, *, gap: float, digests: MappingABC[str, str] | None = None
) -> Mapping:
    """A solution as a mapping, with every number recomputed from the placement."""
    instance, (value, origin, choice), bound = problem.instance, solution.best, solution.bound
    return make_mapping(
        instance,
        choice,
        objective=problem.goal.name,
        value=value,
        bound=bound,
        status=status_of(value, bound, gap),
        solver=origin,
        digests=digests or {},
        metrics={NAMES[name]: number for name, number in metric_values(instance, choice).items()},
        checks=check_limits(instance, choice, problem.limits),
    )


def solve_problem(problem: MappingProblem, *, time_limit_s: float, gap: float, seed: int) -> Solution:
    """The best placement of a problem; of an order of metrics, one solution after the other.

    Raises:
        InfeasibleError: no placement keeps the limits.
        TimeLimitError: the time passed before any placement was found.
    """
    begin = time.monotonic()

    def left_s() -> float:
        return max(time_limit_s - (time.monotonic() - begin), 0.1)

    *earlier, last = problem.goal.order or (None,)
    for metric in earlier:
        value = search(
            with_goal(problem, metric), time_limit_s=left_s() / 2, gap=min(gap, problem.goal.slack), seed=seed
        ).best.value
        most = value + problem.goal.slack * abs(value)
        problem = with_limit(problem, metric, most)
    if last is not None:
        problem = with_goal(problem, last)
    return search(problem, time_limit_s=left_s(), gap=gap, seed=seed)


def search(problem: MappingProblem, *, time_limit_s: float, gap: float, seed: int) -> Solution:
    """The better of the solver's placement and the best rule's, and a lower bound.

    Raises:
        InfeasibleError: no placement keeps the limits.
        TimeLimitError: the time passed before any placement was found.
    """
    begin = time.monotonic()
    instance, goal, limits = problem.instance, problem.goal, problem.limits
    if arithmetic_causes(instance, limits):
        raise InfeasibleError(diagnose(problem, time_limit_s=min(time_limit_s, REMEDY_S), seed=seed))
    best, bound = best_rule(problem), simple_bound(instance, goal)
    if exchanges_help(problem) and np.bincount(instance.stage).max(initial=0) > FEW:
        found, known = with_swaps(problem, time_limit_s=SWAPS_SHARE * time_limit_s, seed=seed)
        best, bound = better(best, found), max(bound, known)
        if best is not None and status_of(best.value, bound, gap) != "time_limit":
            return Solution(best, min(bound, best.value))
        time_limit_s = max(time_limit_s - (time.monotonic() - begin), 0.1)
    return searched(problem, best, bound, time_limit_s=time_limit_s, gap=gap, seed=seed)


def searched(
    problem: MappingProblem, best: Candidate | None, bound: float, *, time_limit_s: float, gap: float, seed: int
) -> Solution:
    """The better of a known placement and the solver's, and the larger of a known bound and the solver's.

    Raises:
        InfeasibleError: no placement keeps the limits.
        TimeLimitError: the time passed before any placement was found.
    """
    begin = time.monotonic()
    instance, goal, limits = problem.instance, problem.goal, problem.limits
    tightened, seen = limits, list[float]()
    for _ in range(POWER_ROUNDS):
        trial = dataclasses.replace(problem, limits=tightened)
        program = build_program(trial)
        answer = Answer(status="optimal", bound=None, solver="no block has a choice")
        if program.pools:
            left_s = max(time_limit_s - (time.monotonic() - begin), 0.1)
            start = program.start(best.choice) if best else None
            answer = solve_model(
                program.write,
                start=start,
                parts=program.parts(),
                sums=program.sums(),
                time_limit_s=left_s,
                gap=gap,
                seed=seed,
            )
        if answer.bound is not None and tightened is limits:
            bound = max(bound, program.bound(answer.bound))
        if not (answer.values or not program.pools):
            break
        choice = program.choice(answer.values)
        found = Candidate(goal_value(instance, goal, choice), answer.solver, choice)
        if keeps_limits(instance, choice, limits):
            best = better(best, exchanged(problem, found, time_limit_s - (time.monotonic() - begin)))
            break
        if limits.max_power_mw is None:
            break
        seen.append(power_mw(instance, choice))
        tightened = with_less_power(tightened, instance, choice, limits.max_power_mw)
    if best is None and limits.max_power_mw is not None and seen:
        raise InfeasibleError([too_much_power(problem, limits.max_power_mw, seen)])
    if best is None:
        if tightened is limits and (answer.status == "infeasible" or not program.pools):
            causes = diagnose(problem, time_limit_s=time_limit_s, seed=seed)
            remark = WHOLE_BLOCKS if answer.bound is not None else ""
            raise InfeasibleError(causes, remark if causes else "the time was over before it was found why")
        if answer.status == "failed":
            message = "the solver's process ended without an answer, and no rule keeps the limits"
            raise TimeLimitError(f"{message}; `dse doctor` checks the installation")
        raise TimeLimitError(f"no mapping found within {time_limit_s:g} s; allow more time or loosen the limits")
    return Solution(best, best.value if not program.pools else min(bound, best.value))


def with_swaps(problem: MappingProblem, *, time_limit_s: float, seed: int) -> tuple[Candidate | None, float]:
    """The solver's first placement after exchanges within stages, and the relaxation's bound (−inf: not known)."""
    begin, program = time.monotonic(), build_program(problem)
    if not program.pools:
        return None, float("-inf")
    answer = solve_model(
        program.write, parts=program.parts(), sums=program.sums(), time_limit_s=time_limit_s, gap=COARSE, seed=seed
    )
    bound = float("-inf") if answer.bound is None else program.bound(answer.bound)
    choice = program.choice(answer.values) if answer.values else None
    if choice is None or not keeps_limits(problem.instance, choice, problem.limits):
        return None, bound
    found = Candidate(goal_value(problem.instance, problem.goal, choice), answer.solver, choice)
    return exchanged(problem, found, time_limit_s - (time.monotonic() - begin)), bound


def exchanges_help(problem: MappingProblem) -> bool:
    """Whether stages count, whose groups exchanges make equally busy."""
    return "layer_latency" in problem.goal.metrics


def exchanged(problem: MappingProblem, found: Candidate, time_limit_s: float) -> Candidate:
    """A placement after exchanges within stages."""
    if not exchanges_help(problem):
        return found
    choice = swapped(problem, found.choice, time_limit_s=time_limit_s)
    value = goal_value(problem.instance, problem.goal, choice)
    return Candidate(value, f"{found.origin} and exchanges", choice) if value < found.value else found


def better(best: Candidate | None, found: Candidate | None) -> Candidate | None:
    """The placement of the smaller value, the later one of equals."""
    if best is None or found is None:
        return found or best
    return found if found.value <= best.value else best


def too_much_power(problem: MappingProblem, most: float, seen: Sequence[float]) -> Cause:
    """What is said where every placement that was tried draws too much power."""
    rules = [found.choice for found in compare_rules(problem, FRACTIONS) if found.choice is not None]
    least = min([*seen, *(power_mw(problem.instance, choice) for choice in rules)])
    fix = f"max_power_mw {least:.4g} is reached by one of them; that less is impossible is not proven"
    return Cause("max_power_mw", least, most, "mW", "all placements that were tried", fix)


def with_less_power(limits: MappingLimits, instance: Instance, choice: Choice, most: float) -> MappingLimits:
    """Limits of which a placement that draws too much power breaks the one on energy."""
    energy = metric_values(instance, choice)["energy"] * most / power_mw(instance, choice)
    known = limits.max_energy_pj_per_token
    return dataclasses.replace(limits, max_energy_pj_per_token=energy if known is None else min(energy, known))


def status_of(value: float, bound: float, gap: float) -> Status:
    """How far a value is proven."""
    found = (value - bound) / max(abs(value), 1e-300)
    if found <= EXACT:
        return "optimal"
    return "within_gap" if found <= gap * (1 + 1e-6) + EXACT else "time_limit"


def best_rule(problem: MappingProblem) -> Candidate | None:
    """The best placement of a rule that fits and keeps the limits, or None."""
    kept = [found for found in compare_rules(problem, FRACTIONS) if found.choice is not None and not found.broken]
    if not kept:
        return None
    best = min(kept, key=lambda found: found.value)
    assert best.choice is not None
    at = "" if best.digital_fraction is None else f" at digital fraction {best.digital_fraction:g}"
    return Candidate(best.value, f"rule {best.rule}{at}", best.choice)
