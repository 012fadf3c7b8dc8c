"""Mappings by a stated rule, without any optimisation: what the solver's mapping is compared with."""

from __future__ import annotations

from collections.abc import Mapping as MappingABC
from typing import get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dse.cost.table import CostTable, cost_table
from dse.errors import SpecError
from dse.mapping.checks import check_limits
from dse.mapping.instance import Instance, make_instance
from dse.mapping.limits import MappingLimits
from dse.mapping.metrics import NAMES
from dse.mapping.model import Mapping
from dse.mapping.objective import Choice, metric_values, sensitivity
from dse.mapping.place import place
from dse.mapping.result import make_mapping
from dse.mapping.rules import SOURCES, Rule, digital_experts
from dse.mapping.step_tables import placeable
from dse.spec.architecture import Architecture
from dse.spec.suggest import did_you_mean
from dse.units import BITS
from dse.workload.build import Workload

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]


def rule_mapping(
    arch: Architecture,
    workload: Workload,
    scores: pd.DataFrame,
    *,
    rule: Rule = "top_k_per_layer",
    digital_fraction: float = 0.25,
    pins: MappingABC[str, str] | None = None,
    seed: int = 0,
    costs: CostTable | None = None,
    point: int = 0,
    router_norms: pd.DataFrame | None = None,
) -> Mapping:
    """The mapping of a rule; its value is the sensitivity that stays on analog cores.

    Several analog groups fill up in the order of their energy per visit; a digital block goes to the first unit
    that has room, in the scenario's weight format where the unit stores it. Pins go before the rule.

    Args:
        arch: core groups and capacities.
        workload: blocks.
        scores: table of ``score_blocks``.
        rule: one of ``SOURCES``.
        digital_fraction: share of the experts (of the layers, for ``whole_layer``) that are digital, rounded to
            whole numbers per layer (``top_k_global``, ``greedy_ratio``: over all); ``all_digital``, ``all_analog``,
            ``in_order`` and ``utilisation`` ignore it.
        pins: as for ``resolve_pins``.
        seed: of the rule ``random``.
        costs: table of ``cost_table(arch, workload)`` if at hand.
        point: design point whose capacity is checked.
        router_norms: table of ``score_blocks(workload, "router_norm")``, which the rule of that name sorts by.

    Raises:
        SpecError: unknown rule, a fraction outside [0, 1], a faulty pin.
        InfeasibleError: the blocks do not fit.
    """
    check_rule(rule, digital_fraction)
    costs = cost_table(arch, workload) if costs is None else costs
    score = np.outer(block_scores(scores, workload), [costs.is_analog[option.group] for option in costs.options])
    listed = np.broadcast_to(default_formats(costs, workload), score.shape)
    instance = make_instance(costs, workload, arch, score=score, listed=listed, pins=pins, point=point)
    if rule == "router_norm" and router_norms is None:
        raise SpecError('rule router_norm sorts by router_norms=score_blocks(workload, "router_norm")')
    norms = None if router_norms is None else block_scores(router_norms, workload)
    choice = rule_choice(instance, rule, digital_fraction, seed=seed, norms=norms)
    return make_mapping(
        instance,
        choice,
        objective=rule,
        value=sensitivity(instance, choice),
        status="rule",
        solver=f"rule: {SOURCES[rule]}",
        digests={"architecture": arch.digest, "workload": workload.digest},
        metrics={NAMES[name]: number for name, number in metric_values(instance, choice).items()},
        checks=check_limits(instance, choice, MappingLimits()),
    )


def check_rule(rule: str, digital_fraction: float) -> None:
    """Refuses unknown rules and shares that are none."""
    if rule not in SOURCES:
        raise SpecError(f"unknown rule {rule!r}{did_you_mean(rule, get_args(Rule))} (rules: {', '.join(SOURCES)})")
    if not 0 <= digital_fraction <= 1:
        raise SpecError(f"digital_fraction must be within [0, 1] (got {digital_fraction})")


def block_scores(scores: pd.DataFrame, workload: Workload) -> Array:
    """(N,): score of every block, 0 where the table has none."""
    known = dict(zip(scores["block"], scores["score"], strict=True))
    return np.array([known.get(block.name, 0.0) for block in placeable(workload)])


def default_formats(costs: CostTable, workload: Workload) -> Bools:
    """(O,): analog options, and of each digital unit the scenario's weight format or else its widest."""
    wanted = workload.scenario.precision.weights
    best: dict[str, tuple[bool, int, int]] = {}
    for index, option in enumerate(costs.options):
        if option.precision != "analog" and option.copies == 1:
            rank = (option.precision == wanted, BITS[option.precision], -index)
            best[option.group] = max(best.get(option.group, rank), rank)
    chosen = {-rank[2] for rank in best.values()}
    return np.array([costs.is_analog[o.group] or i in chosen for i, o in enumerate(costs.options)])


def rule_choice(
    instance: Instance, rule: Rule, digital_fraction: float, *, seed: int = 0, norms: Array | None = None
) -> Choice:
    """(N,): option of every block under a rule.

    Raises:
        InfeasibleError: the blocks do not fit.
    """
    digital = digital_experts(instance, rule, digital_fraction, seed, norms)
    by_fraction = rule not in ("all_digital", "all_analog")
    return place(instance, digital | ~instance.is_expert, by_fraction=by_fraction)


__all__ = ["SOURCES", "Rule", "rule_choice", "rule_mapping"]
