"""Many designs whose experts have one analog and one digital option: limits as rows, the answer as counts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from dse.cost.table import CostTable
from dse.mapping.limits import MappingLimits
from dse.mapping.many_rows import Rows, solve_rows, total
from dse.mapping.many_scope import BUDGETS, Scope
from dse.mapping.many_tables import EnergyTables, Prices, Side, prices

# P design points, L layers with experts, E experts of a layer, C counts 0..E of digital experts in a layer

Array = NDArray[np.float64]
Counts = NDArray[np.int64]
Names = NDArray[np.object_]
ManyObjective = Literal["energy", "sensitivity"]

CHUNK_CELLS: Final = 1_000_000
"""Entries of a table that are solved at once: points · layers · counts."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Task:
    """What is minimised and limited."""

    objective: ManyObjective
    limits: MappingLimits
    tokens: Array
    """(P,): tokens of a step."""
    fixed_score: float
    """Score of the blocks with one option."""
    total_score: float
    """Score of the experts, all on analog cores."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class CountRange:
    """Least and most digital experts of every design, (P,), and the limits that say so."""

    least: Counts
    most: Counts
    least_by: Names
    most_by: Names
    of_layer: int
    """Most digital experts of one layer."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Solved:
    """Counts of every design and what they are worth, (P,) each; infinite where there are none."""

    counts: Counts
    """(P, L)."""
    value: Array
    bound: Array
    energy_pj_per_token: Array
    sensitivity: Array
    limit: Names


def side_of(costs: CostTable, scope: Scope, score: Array, options: tuple[int, ...]) -> Side:
    """An option of the experts; of several what is least in each respect, which no mixture of them can beat."""
    each = [prices(costs, scope.expert_class, option) for option in options]
    least = (np.min([getattr(own, name) for own in each], axis=0) for name in Prices.__slots__)
    return Side(costs.options[options[0]].group, Prices(*least), score[scope.experts][:, :, list(options)].min(axis=2))


def count_range(
    costs: CostTable, scope: Scope, limits: MappingLimits, fixed_units: dict[str, Array], sides: tuple[Side, Side]
) -> CountRange:
    """How many experts of each design can be digital, by capacities and limits."""
    (analog, digital), n_experts = sides, scope.experts.size
    room = {}
    for side in sides:
        resource = costs.resource[side.group]
        left = (costs.capacity_units[resource] - fixed_units[resource]) / np.maximum(side.prices.units, 1e-300)
        room[side.group] = np.clip(np.floor(left * (1 + 1e-12) + 1e-9), -1, n_experts).astype(np.int64)
    exact = limits.n_digital(n_experts)
    of_layer = scope.experts.shape[1]
    if limits.max_digital_experts_per_layer is not None:
        of_layer = min(of_layer, math.floor(limits.max_digital_experts_per_layer))
    least = {f"capacity[{costs.resource[analog.group]}]": n_experts - room[analog.group]}
    most = {f"capacity[{costs.resource[digital.group]}]": room[digital.group]}
    everywhere = np.ones(costs.n_points, dtype=np.int64)
    if exact is not None:
        least["digital_fraction"], most["digital_fraction"] = exact * everywhere, exact * everywhere
    if limits.max_digital_experts is not None:
        most["max_digital_experts"] = min(math.floor(limits.max_digital_experts), n_experts) * everywhere
    if of_layer < scope.experts.shape[1]:
        most["max_digital_experts_per_layer"] = of_layer * len(scope.experts) * everywhere
    lows, highs = np.stack(list(least.values())), np.stack(list(most.values()))
    return CountRange(
        least=np.maximum(lows.max(axis=0), 0),
        most=np.minimum(highs.min(axis=0), n_experts),
        least_by=np.array(list(least), dtype=object)[lows.argmax(axis=0)],
        most_by=np.array(list(most), dtype=object)[highs.argmin(axis=0)],
        of_layer=of_layer,
    )


def solve_sides(task: Task, energy: EnergyTables, allowed: CountRange, analog: Side, digital: Side) -> Solved:
    """The counts of every design, a chunk of designs at a time."""
    scores = score_table(analog.score, digital.score)
    size = max(1, CHUNK_CELLS // scores.size)
    parts = [
        solve_chunk(task, energy, allowed, scores, slice(start, start + size))
        for start in range(0, len(energy.rest), size)
    ]
    joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in Solved.__slots__}
    return Solved(**joined)


def score_table(analog: Array, digital: Array) -> Array:
    """(L, C): least sum of scores of each layer with c digital experts; of (L, E) scores on either side.

    >>> score_table(np.array([[3.0, 1.0]]), np.array([[0.0, 0.0]]))
    array([[4., 1., 0.]])
    """
    stays = np.cumsum(np.sort(analog - digital, axis=1), axis=1)
    table = np.concatenate([np.zeros((len(stays), 1)), stays], axis=1)[:, ::-1]
    return np.asarray(digital.sum(axis=1, keepdims=True) + table)


def solve_chunk(task: Task, energy: EnergyTables, allowed: CountRange, scores: Array, points: slice) -> Solved:
    """The counts of some designs."""
    of_energy = energy.of_layer[points][:, energy.kind]
    of_score = np.broadcast_to(scores, of_energy.shape)
    rest, tokens = energy.rest[points], task.tokens[points]
    name, budget = budget_of(task, rest, tokens)
    value = of_energy if task.objective == "energy" else of_score
    if allowed.of_layer < scores.shape[1] - 1:
        value = np.where(np.arange(scores.shape[1]) > allowed.of_layer, np.inf, value)
    least, most = allowed.least[points], allowed.most[points]
    spent = of_energy if name == "max_energy_pj_per_token" else of_score
    answer = solve_rows(Rows(value=value, spent=spent, budget=budget, least=least, most=most))
    joules = (total(of_energy, answer.counts) + rest) / tokens
    sensitivity = total(of_score, answer.counts) + task.fixed_score
    reached = joules if task.objective == "energy" else sensitivity
    bound = (answer.bound + rest) / tokens if task.objective == "energy" else answer.bound + task.fixed_score
    limit = np.where(answer.is_feasible, "", name).astype(object)
    empty = least > most
    limit[empty] = [
        blamed(*pair)
        for pair in zip(
            allowed.least_by[points][empty], allowed.most_by[points][empty], least[empty], most[empty], strict=True
        )
    ]
    return Solved(
        counts=answer.counts,
        value=np.where(answer.is_feasible, reached, np.inf),
        bound=bound,
        energy_pj_per_token=np.where(answer.is_feasible, joules, np.inf),
        sensitivity=np.where(answer.is_feasible, sensitivity, np.inf),
        limit=limit,
    )


def blamed(least_by: str, most_by: str, least: int, most: int) -> str:
    """The limits that leave no number of digital experts."""
    if most < 0:
        return most_by
    return least_by if least_by == most_by else f"{least_by} and {most_by}"


def budget_of(task: Task, rest: Array, tokens: Array) -> tuple[str, Array]:
    """The limit of the budget row, and what it leaves to the layers with experts, (P,); infinite without one."""
    limits = task.limits
    given = [name for name in BUDGETS if getattr(limits, name) is not None]
    if not given:
        return "", np.full(len(rest), np.inf)
    name, most = given[0], float(getattr(limits, given[0]))
    if name == "max_energy_pj_per_token":
        return name, most * tokens - rest
    if name == "max_sensitivity_share":
        return name, np.full(len(rest), most * task.total_score)
    return name, np.full(len(rest), most - task.fixed_score)
