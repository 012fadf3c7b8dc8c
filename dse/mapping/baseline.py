"""Mappings by a stated rule: which experts are digital, without any optimisation."""

from __future__ import annotations

from collections.abc import Mapping as MappingABC
from math import ceil
from typing import Final, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dse.cost.table import CostTable, cost_table
from dse.errors import Cause, InfeasibleError, SpecError
from dse.mapping.checks import check_limits
from dse.mapping.instance import Indices, Instance, make_instance
from dse.mapping.limits import MappingLimits
from dse.mapping.metrics import NAMES
from dse.mapping.model import Mapping
from dse.mapping.objective import Choice, metric_values, sensitivity
from dse.mapping.result import make_mapping
from dse.mapping.step_tables import placeable
from dse.spec.architecture import Architecture
from dse.spec.suggest import did_you_mean
from dse.units import BITS
from dse.workload.build import Workload

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
Rule = Literal["top_k_per_layer", "top_k_global", "inverse", "random", "whole_layer", "all_digital", "all_analog"]

SOURCES: Final[dict[Rule, str]] = {
    "top_k_per_layer": "the most sensitive experts of each layer are digital: arXiv 2603.02633; per layer as in "
    "bitallocutils.py of nowazrabbani/moe_quantization",
    "top_k_global": "the most sensitive experts of the whole model are digital: the rule without its layers",
    "inverse": "the least sensitive experts of each layer are digital: a control",
    "random": "random experts of each layer are digital: a control",
    "whole_layer": "all experts of the layers with the largest summed score are digital",
    "all_digital": "no expert is analog",
    "all_analog": "every expert is analog; dense blocks as pinned",
}
"""Rule → what it does and where it comes from."""


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
            whole numbers per layer (``top_k_global``: over all); ``all_digital`` and ``all_analog`` ignore it.
        pins: as for ``resolve_pins``.
        seed: of the rule ``random``.
        costs: table of ``cost_table(arch, workload)`` if at hand.
        point: design point whose capacity is checked.

    Raises:
        SpecError: unknown rule, a fraction outside [0, 1], a faulty pin.
        InfeasibleError: the blocks do not fit.
    """
    check_rule(rule, digital_fraction)
    costs = cost_table(arch, workload) if costs is None else costs
    score = np.outer(block_scores(scores, workload), [costs.is_analog[option.group] for option in costs.options])
    listed = np.broadcast_to(default_formats(costs, workload), score.shape)
    instance = make_instance(costs, workload, arch, score=score, listed=listed, pins=pins, point=point)
    choice = rule_choice(instance, rule, digital_fraction, seed=seed)
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


def rule_choice(instance: Instance, rule: Rule, digital_fraction: float, *, seed: int = 0) -> Choice:
    """(N,): option of every block under a rule.

    Raises:
        InfeasibleError: the blocks do not fit.
    """
    digital = digital_experts(instance, rule, digital_fraction, seed)
    return place(instance, digital | ~instance.is_expert)


def digital_experts(instance: Instance, rule: Rule, fraction: float, seed: int) -> Bools:
    """(N,): the experts that a rule makes digital; equal scores are taken in the order of their names."""
    experts = np.flatnonzero(instance.is_expert)
    found = np.zeros(len(instance.names), dtype=bool)
    score, layers = instance.rank_score, instance.layer[experts]
    by_layer = [experts[layers == layer] for layer in np.unique(layers)]
    match rule:
        case "all_digital":
            found[experts] = True
        case "all_analog":
            pass
        case "top_k_global":
            found[by_score(instance, experts, -score)[: round(fraction * len(experts))]] = True
        case "whole_layer":
            ranked = sorted(by_layer, key=lambda own: -float(score[own].sum()))
            for own in ranked[: round(fraction * len(ranked))]:
                found[own] = True
        case "random":
            generator = np.random.default_rng(seed)
            for own in by_layer:
                found[generator.permutation(own)[: round(fraction * len(own))]] = True
        case _:
            sign = 1.0 if rule == "inverse" else -1.0
            for own in by_layer:
                found[by_score(instance, own, sign * score)[: round(fraction * len(own))]] = True
    return found


def by_score(instance: Instance, indices: Indices, key: Array) -> Indices:
    """Blocks sorted by a key, equal ones by name."""
    names = np.array([instance.names[index] for index in indices])
    return indices[np.lexsort((names, key[indices]))]


def place(instance: Instance, prefers_digital: Bools) -> Choice:
    """(N,): each block on the preferred technology where its options allow it, dense blocks first.

    Raises:
        InfeasibleError: a block has no option, or there is no room left for it.
    """
    choice = np.full(len(instance.names), -1)
    room = instance.capacity.copy()
    has_digital = (instance.allowed & ~instance.is_analog).any(axis=1)
    has_analog = (instance.allowed & instance.is_analog).any(axis=1)
    goes_digital = has_digital & (prefers_digital | ~has_analog)
    for blocks in (~instance.is_expert, instance.is_expert):
        fill(instance, choice, room, mask=blocks & goes_digital, analog=False)
        fill(instance, choice, room, mask=blocks & ~goes_digital, analog=True)
    if (choice < 0).any():
        raise InfeasibleError(shortages(instance, choice, goes_digital))
    return choice


def fill(instance: Instance, choice: Choice, room: Array, *, mask: Bools, analog: bool) -> None:
    """Places the blocks of a mask on the options of one technology in their order, writing choice and room."""
    options = np.flatnonzero(instance.is_analog == analog)
    if analog and mask.any():
        options = options[np.argsort(instance.energy_pj[mask][:, options].mean(axis=0), kind="stable")]
    for option in options:
        waiting = np.flatnonzero(mask & (choice < 0) & instance.allowed[:, option])
        resource = instance.resource[option]
        used = np.cumsum(instance.units[waiting, option])
        placed = waiting[used <= room[resource] * (1 + 1e-12)]
        choice[placed] = option
        room[resource] -= instance.units[placed, option].sum()


def shortages(instance: Instance, choice: Choice, goes_digital: Bools) -> list[Cause]:
    """Why blocks stayed unplaced, one cause per technology."""
    causes = []
    for is_digital in (True, False):
        left = np.flatnonzero((choice < 0) & (goes_digital == is_digital))
        if not len(left):
            continue
        options = np.flatnonzero((instance.is_analog != is_digital) & instance.allowed[left].any(axis=0))
        names = f"{len(left)} blocks ({instance.names[left[0]]}{' …' if len(left) > 1 else ''})"
        technology = "digital" if is_digital else "analog"
        if not len(options):
            fix = f"add a group, or allow {technology} options for them"
            causes.append(Cause(f"options[{technology}]", 1.0, 0.0, "options", names, fix))
            continue
        resources = np.unique(instance.resource[options])
        have = float(instance.capacity[resources].sum())
        placed = np.flatnonzero((choice >= 0) & np.isin(instance.resource[choice], resources))
        need = float(instance.units[placed, choice[placed]].sum() + instance.units[left, options[0]].sum())
        unit = instance.resource_unit(int(resources[0]))
        limit = f"capacity[{', '.join(instance.resources[r] for r in resources)}]"
        other = "raise" if not is_digital else "lower"
        short = ceil(max(need - have, 1))
        fix = f"add {short} {unit}, or {other} digital_fraction"
        causes.append(Cause(limit, need, have, unit, names, fix))
    return causes
