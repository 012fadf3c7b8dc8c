"""The mapping problem as a value, and the program that it is solved with.

Sets: blocks b, options o = (group, format, copies), groups g (analog A, digital D), resources r, stages s of all
layers, pools p of blocks that differ in nothing but their score.

Given: u_bo capacity units, C_r capacity, v_bo bytes, a_o area of a unit, σ_bo score, e_bo energy of a step, c_bo,
f_bo, g_bo, h_bo compute, memory, buffer and host time of a step, l_bo time on the link and in launches of active
experts, π_bo path, φ_bo fixed time, W standing power, n tokens of a step, M micro-batches. A block with one option is
a constant. Attention scores, the KV cache and vector work are constants of the host unit.

Variables: k_po ∈ {0..|p|} blocks of a pool under an option; x_bo ∈ [0, 1] where scores count and |p| > 1;
y_so ∈ {0, 1} option in use in a stage; T_sg, F_sg busy and fixed time of a group in a stage; τ_s time of a stage;
τ time of a step. With several kinds of steps (generation, mixes of scenarios) each has its own times and a weight.

    assignment   Σ_o k_po = |p|;   Σ_o x_bo = 1 (the last option of a block is left implied);   Σ_{b in p} x_bo = k_po
    capacity     Σ u_po k_po <= C_r − fixed, in units of the smallest block and rounded down where all sizes are its
                 multiples; max_units the same with a smaller right side
    bytes        Σ_{o in memory} v_po k_po <= V;   area  Σ a_o u_po k_po <= A;   blocks  Σ_{o in g} k_po <= N_g
    budgets      Σ_{p experts of l, o in D} k_po <= K_l;   the same over all layers: <= K or = K
    pairs        together: Σ_{o in g} k_ao = Σ_{o in g} k_bo for every g;   apart: Σ_{o in g} k_ao + k_bo <= 1
    sensitivity  S = Σ σ_bo x_bo <= S_max;   the experts' part <= share · Σ_experts max_{o in A} σ_bo
    use          k_po <= |p| y_so
    time         T_sg >= Σ c_po k_po (host: + Σ h_po k_po);   T_sg >= Σ f_po k_po;   T_sg >= Σ g_po k_po;
                 T_sg >= π_so y_so;   F_sg >= φ_so y_so;
                 τ_s >= T_sg + F_sg + Σ l_po k_po side by side, = their sum over g otherwise
    latency      L = Σ τ_s <= L_max
    load         B >= M Σ_s T_sg + F_sg for digital groups;   B >= M Σ c_po k_po and B >= M Σ l_po k_po for analog
                 groups and their links;   B <= B_max;   the same over digital groups alone
    step         τ = Σ τ_s; pipelined, of M micro-batches: τ >= Σ τ_s and τ >= B
    energy       E = (Σ e_po k_po + W τ + constants) / n <= E_max
    power        n E <= P_max τ, where τ may be longer than the step: necessary, the placement itself is checked

Objective: S, E, B or L, a weighted sum, or one after the other, each within a slack of its best. Given the counts k,
the best x of each pool is integral (a transportation problem), and nothing else sees x: so x needs no integrality,
and the scores of one pool are dealt out afterwards.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from dse.cost.table import CostTable
from dse.mapping.constraints import (
    add_area_limit,
    add_assignment,
    add_block_limits,
    add_budgets,
    add_byte_limits,
    add_capacity,
    add_metric_limits,
    add_pairs,
    add_power_limit,
    add_sensitivity_limits,
    add_unit_limits,
)
from dse.mapping.goal import Goal, single
from dse.mapping.instance import Instance, make_instance, option_score_matrix
from dse.mapping.limits import LimitValue, MappingLimits, read_limits, require_known_names, with_calibrated_limit
from dse.mapping.metric_terms import metric_terms
from dse.mapping.metrics import Metric
from dse.mapping.pools import make_pools
from dse.mapping.program import Program
from dse.spec.architecture import Architecture
from dse.workload.build import Workload

COST_LIMITS = (
    "max_energy_pj_per_token", "max_group_load_ns", "max_layer_latency_ns", "max_digital_ns", "max_power_mw",
)  # fmt: skip
"""Limits that see energies or times of blocks."""
LIMIT_OF: Final[dict[Metric, str]] = {
    "sensitivity": "max_sensitivity",
    "energy": "max_energy_pj_per_token",
    "bottleneck": "max_group_load_ns",
    "layer_latency": "max_layer_latency_ns",
}
"""Metric → the limit that holds it."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class MappingProblem:
    """Blocks with their options and costs, what is minimised, and the limits."""

    instance: Instance
    goal: Goal
    limits: MappingLimits


def mapping_problem(
    costs: CostTable,
    option_scores: pd.DataFrame,
    workload: Workload,
    arch: Architecture,
    *,
    goal: Goal,
    limits: Mapping[str, LimitValue] | MappingLimits | None = None,
    pins: Mapping[str, str] | None = None,
    point: int = 0,
) -> MappingProblem:
    """The problem of one design point; arguments as for ``solve_mapping``.

    Raises:
        SpecError: a limit or pin that is none, or that names what the problem does not have.
    """
    score, listed = option_score_matrix(option_scores, workload, costs)
    instance = make_instance(costs, workload, arch, score=score, listed=listed, pins=pins, point=point)
    bounds = with_calibrated_limit(read_limits(limits), option_scores.attrs.get("unit"))
    require_known_names(instance, bounds)
    return MappingProblem(instance=instance, goal=goal, limits=bounds)


def with_goal(problem: MappingProblem, metric: Metric) -> MappingProblem:
    """The problem with one metric as its goal."""
    return dataclasses.replace(problem, goal=single(metric))


def with_limit(problem: MappingProblem, metric: Metric, most: float) -> MappingProblem:
    """The problem with a metric held below a number, and below the limit it has."""
    known = getattr(problem.limits, LIMIT_OF[metric])
    held: dict[str, Any] = {LIMIT_OF[metric]: most if known is None else min(known, most)}
    return dataclasses.replace(problem, limits=dataclasses.replace(problem.limits, **held))


def build_program(
    problem: MappingProblem,
    *,
    soft: Callable[[str], bool] | None = None,
    priced: Callable[[str], bool] = lambda _: True,
) -> Program:
    """The program of a problem as a PuLP model; its objective is the weighted sum of the goal.

    Args:
        problem: what is placed, minimised and limited. Of a lexicographic goal, the last metric is minimised.
        soft: which limits and capacities, by name, may be missed; then the program minimises by how much (as shares
            of the limits) instead.
        priced: which of the soft ones count in that; the others are as good as dropped.
    """
    instance, goal, limits = problem.instance, problem.goal, problem.limits
    weights = {goal.order[-1]: 1.0} if goal.order else goal.weights
    with_score = "sensitivity" in weights or not (
        limits.max_sensitivity is None and limits.max_sensitivity_share is None
    )
    with_costs = bool(set(weights) - {"sensitivity"}) or any(getattr(limits, name) is not None for name in COST_LIMITS)
    alone = np.isin(instance.names, list(limits.paired))
    program = Program(instance, make_pools(instance, with_costs=with_costs, alone=alone))
    program.soft = soft or program.soft
    add_assignment(program, with_score=with_score)
    add_capacity(program)
    for add in (
        add_unit_limits, add_byte_limits, add_area_limit, add_block_limits, add_budgets, add_pairs,
        add_sensitivity_limits, add_metric_limits, add_power_limit,
    ):  # fmt: skip
        add(program, limits)
    if soft is not None:
        program.minimise([(slack.variable, 1.0) for slack in program.slack if priced(slack.name)])
        return program
    parts = [(weight, metric_terms(program, name)) for name, weight in weights.items()]
    scale = sum(weight * part.scale for weight, part in parts)
    terms = [(v, weight * part.scale / scale * value) for weight, part in parts for v, value in part.terms]
    program.minimise(terms, scale=scale, constant=sum(weight * part.constant for weight, part in parts))
    return program
