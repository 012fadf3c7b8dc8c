"""The best mapping of every design of an array, each with a lower bound: counts per layer instead of a program each."""

from __future__ import annotations

from collections.abc import Mapping as MappingABC
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dse.cost.option import Option
from dse.cost.table import CostTable
from dse.mapping.instance import option_score_matrix, pinned
from dse.mapping.limits import LimitValue, MappingLimits, read_limits
from dse.mapping.many_scope import Scope, scope_of
from dse.mapping.many_sides import ManyObjective, Solved, Task, count_range, side_of, solve_sides
from dse.mapping.many_tables import energy_tables, placeable_stages, runs_of, units_of_fixed
from dse.mapping.step_tables import placeable
from dse.spec.architecture import Architecture
from dse.workload.build import Workload

# P design points, L layers with experts, E experts of a layer, C counts 0..E, A pairs of options, N blocks

Array = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ManyMappings:
    """The mapping of every design: of each layer the experts of the highest scores are digital, so many as it says."""

    counts: Counts
    """(P, L): digital experts of each layer."""
    pair: Counts
    """(P,): which of the pairs of options the experts have."""
    pairs: tuple[tuple[int, int], ...]
    """(A,): analog and digital option of the experts."""
    order: Counts
    """(A, L, E): blocks of each layer in the order in which they become digital."""
    fixed: Counts
    """(N,): option of every block with one, −1 for routed experts."""
    names: tuple[str, ...]
    """(N,): names of the blocks."""
    options: tuple[Option, ...]
    objective: ManyObjective
    value: Array
    """(P,): energy per token [pJ] or sum of scores; as ``dse.mapping.objective`` computes them."""
    bound: Array
    """(P,): no mapping within the limits has a smaller value."""
    energy_pj_per_token: Array
    sensitivity: Array
    limit: NDArray[np.object_]
    """(P,): the limit that no mapping keeps, or for which none was found; empty where there is a mapping."""

    @property
    def gap(self) -> Array:
        """(P,): ``(value − bound) / |value|``; NaN where there is no mapping."""
        has_mapping = self.limit == ""
        value, bound = (np.where(has_mapping, table, np.nan) for table in (self.value, self.bound))
        return np.asarray(np.maximum(0.0, value - bound) / np.maximum(np.abs(value), 1e-300))

    def choice(self, point: int) -> Counts:
        """(N,): option of every block of one design."""
        found, pair = self.fixed.copy(), int(self.pair[point])
        analog, digital = self.pairs[pair]
        for blocks, count in zip(self.order[pair], self.counts[point].tolist(), strict=True):
            found[blocks[:count]], found[blocks[count:]] = digital, analog
        return found

    def placement(self, point: int) -> dict[str, Option]:
        """Block name → option, of one design."""
        return {name: self.options[o] for name, o in zip(self.names, self.choice(point).tolist(), strict=True)}


def map_many(
    costs: CostTable,
    option_scores: pd.DataFrame,
    workload: Workload,
    arch: Architecture,
    *,
    objective: ManyObjective = "energy",
    limits: MappingABC[str, LimitValue] | MappingLimits | None = None,
    pins: MappingABC[str, str] | None = None,
) -> ManyMappings:
    """The mapping of least energy per token or least sensitivity of every design, with a lower bound for each.

    Experts of a layer differ in nothing but their score, so that a layer is a table over the number of its digital
    experts, of energy with the exact time of its stage, and of the sum of scores. Under one budget (sensitivity or
    energy) and a range for the number of digital experts (capacities, counts) the program separates by layer but for
    these two rows; ``solve_rows`` says how they are priced. With several formats or copies all experts of a design
    share one analog and one digital option; the bound holds for mixtures too.

    Args:
        costs: table of ``cost_table(arch, workload)``, of one or many designs.
        option_scores: as for ``solve_mapping``.
        workload: blocks, visits; of uniform routing.
        arch: one analog group, one digital unit for experts; composition serial or overlapped.
        objective: what is minimised.
        limits: of ``max_sensitivity``, ``max_sensitivity_share`` and ``max_energy_pj_per_token`` at most one, and
            limits on the number of digital experts.
        pins: as for ``resolve_pins``.

    Raises:
        SpecError: what ``dse map`` can place but this cannot: other limits, more groups, unequal loads.
    """
    bounds = read_limits(limits)
    score, listed = option_score_matrix(option_scores, workload, costs)
    class_of = {block_class: index for index, block_class in enumerate(costs.classes)}
    block_class = np.array([class_of[block.block_class] for block in placeable(workload)])
    allowed = costs.allowed[block_class] & listed & pinned(arch, workload, costs, pins)
    scope = scope_of(arch, workload, costs, allowed, bounds)
    runs, stages = runs_of(arch, workload, costs), placeable_stages(arch, workload, costs, scope.fixed)
    analog_score = np.where([costs.is_analog[option.group] for option in costs.options], score, 0.0)
    task = Task(
        objective=objective,
        limits=bounds,
        tokens=np.broadcast_to(np.asarray(workload.tokens_per_step, np.float64), (costs.n_points,)),
        fixed_score=float(score[scope.fixed >= 0, scope.fixed[scope.fixed >= 0]].sum()),
        total_score=float(analog_score[scope.experts.ravel()].max(axis=1).sum()),
    )

    def solved(analog: tuple[int, ...], digital: tuple[int, ...]) -> Solved:
        """With the better of some options on each side, whichever it is in each respect."""
        a, d = (side_of(costs, scope, score, own) for own in (analog, digital))
        allowed_range = count_range(costs, scope, bounds, units_of_fixed(costs, stages), (a, d))
        return solve_sides(task, energy_tables(runs, stages, a, d), allowed_range, a, d)

    pairs = tuple((a, d) for a in scope.analog for d in scope.digital)
    each = [solved((a,), (d,)) for a, d in pairs]
    bound = each[0].bound if len(pairs) == 1 else solved(scope.analog, scope.digital).bound
    value = np.stack([own.value for own in each])
    pair = value.argmin(axis=0)
    points = np.arange(costs.n_points)
    return ManyMappings(
        counts=np.stack([own.counts for own in each])[pair, points],
        pair=pair,
        pairs=pairs,
        order=np.stack([in_order(scope, score, a, d) for a, d in pairs]),
        fixed=scope.fixed,
        names=tuple(block.name for block in placeable(workload)),
        options=costs.options,
        objective=objective,
        value=value[pair, points],
        bound=np.minimum(bound, value[pair, points]),
        energy_pj_per_token=np.stack([own.energy_pj_per_token for own in each])[pair, points],
        sensitivity=np.stack([own.sensitivity for own in each])[pair, points],
        limit=np.stack([own.limit for own in each])[pair, points],
    )


def in_order(scope: Scope, score: Array, analog: int, digital: int) -> Counts:
    """(L, E): experts of each layer, those first whose score falls most when they become digital."""
    falls = score[scope.experts, analog] - score[scope.experts, digital]
    return np.take_along_axis(scope.experts, np.argsort(-falls, axis=1, kind="stable"), axis=1)
