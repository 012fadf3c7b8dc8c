"""Which experts a rule makes digital, without any optimisation."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from dse.mapping.instance import Indices, Instance

# N blocks

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
Rule = Literal[
    "top_k_per_layer", "top_k_global", "frequency", "router_norm", "greedy_ratio", "whole_layer", "round_robin",
    "utilisation", "in_order", "inverse", "random", "all_digital", "all_analog",
]  # fmt: skip

SOURCES: Final[dict[Rule, str]] = {
    "top_k_per_layer": "the most sensitive experts of each layer are digital: arXiv 2603.02633; per layer as in "
    "bitallocutils.py of nowazrabbani/moe_quantization",
    "top_k_global": "the most sensitive experts of the whole model are digital: the rule without its layers",
    "frequency": "the most used experts of each layer are digital: a baseline of arXiv 2603.02633",
    "router_norm": "the experts of each layer with the largest row of the router are digital: a baseline of arXiv "
    "2603.02633; only where the weights are known",
    "greedy_ratio": "the experts with the most sensitivity per extra joule of the digital unit are digital: the greedy "
    "rule of knapsack problems (Dantzig, Oper. Res. 5, 1957)",
    "whole_layer": "all experts of the layers with the largest summed score are digital",
    "round_robin": "every so many experts of each layer one is digital",
    "utilisation": "each expert goes where the larger share of capacity is free: greedy by utilisation, as IBM's "
    "3D-CiM simulator fills its tiles",
    "in_order": "experts are analog in the order of execution until the tiles are full, the others digital: greedy in "
    "order, as IBM's 3D-CiM simulator fills its tiles",
    "inverse": "the least sensitive experts of each layer are digital: a control",
    "random": "random experts of each layer are digital: a control",
    "all_digital": "no expert is analog",
    "all_analog": "every expert is analog; dense blocks as pinned",
}
"""Rule → what it does and where it comes from."""
WITHOUT_FRACTION: Final = ("all_digital", "all_analog", "in_order", "utilisation")
"""Rules that ignore the fraction."""


def digital_experts(instance: Instance, rule: Rule, fraction: float, seed: int, norms: Array | None = None) -> Bools:
    """(N,): the experts that a rule makes digital; equal scores are taken in the order of their names.

    ``norms``: (N,) what ``router_norm`` sorts by.
    """
    experts = np.flatnonzero(instance.is_expert)
    found = np.zeros(len(instance.names), dtype=bool)
    if rule in WITHOUT_FRACTION:
        found[experts] = {
            "all_digital": np.ones(len(experts), dtype=bool),
            "all_analog": np.zeros(len(experts), dtype=bool),
            "in_order": beyond_analog(instance, experts),
            "utilisation": by_utilisation(instance, experts),
        }[rule]
        return found
    score, layers = instance.rank_score, instance.layer[experts]
    by_layer = [experts[layers == layer] for layer in np.unique(layers)]
    match rule:
        case "top_k_global":
            found[by_key(instance, experts, -score)[: round(fraction * len(experts))]] = True
        case "greedy_ratio":
            ratio = score / np.maximum(extra_energy_pj(instance), 1e-300)
            found[by_key(instance, experts, -ratio)[: round(fraction * len(experts))]] = True
        case "whole_layer":
            ranked = sorted(by_layer, key=lambda own: -float(score[own].sum()))
            for own in ranked[: round(fraction * len(ranked))]:
                found[own] = True
        case "random":
            generator = np.random.default_rng(seed)
            for own in by_layer:
                found[generator.permutation(own)[: round(fraction * len(own))]] = True
        case "round_robin":
            for own in by_layer:
                steps = np.floor(np.arange(1, len(own) + 1) * round(fraction * len(own)) / len(own) + 1e-9)
                found[own] = np.diff(steps, prepend=0.0) > 0
        case _:
            given = score if norms is None else norms
            key = {"inverse": score, "frequency": -instance.visits, "router_norm": -given}.get(rule, -score)
            for own in by_layer:
                found[by_key(instance, own, key)[: round(fraction * len(own))]] = True
    return found


def by_key(instance: Instance, indices: Indices, key: Array) -> Indices:
    """Blocks sorted by a key, equal ones by name."""
    names = np.array([instance.names[index] for index in indices])
    return indices[np.lexsort((names, key[indices]))]


def extra_energy_pj(instance: Instance) -> Array:
    """(N,): what the cheapest digital option takes more than the cheapest analog one [pJ]; ∞ where one is missing."""

    def least(mask: Bools) -> Array:
        smallest: Array = np.where(instance.allowed & mask, instance.energy_pj, np.inf).min(axis=1)
        return smallest

    digital, analog = least(~instance.is_analog), least(instance.is_analog)
    return np.where(np.isfinite(digital) & np.isfinite(analog), np.nan_to_num(digital) - np.nan_to_num(analog), np.inf)


def least_units(instance: Instance, *, analog: bool) -> Array:
    """(N,): capacity units of each block under its smallest option of one technology; ∞ where it has none."""
    mask = instance.allowed & (instance.is_analog == analog)
    smallest: Array = np.where(mask, instance.units, np.inf).min(axis=1)
    return smallest


def room_for_experts(instance: Instance, *, analog: bool) -> float:
    """Capacity of one technology beyond what other blocks take there by their first option."""
    of_kind = np.unique(instance.resource[instance.is_analog == analog])
    others = np.flatnonzero(~instance.is_expert & instance.allowed.any(axis=1))
    first = instance.allowed[others].argmax(axis=1)
    own = np.isin(instance.resource[first], of_kind)
    return float(instance.capacity[of_kind].sum() - instance.units[others[own], first[own]].sum())


def beyond_analog(instance: Instance, experts: Indices) -> Bools:
    """(experts,): which do not fit on analog groups any more."""
    units = least_units(instance, analog=True)[experts]
    fits = np.isfinite(units)
    used = np.cumsum(np.where(fits, units, 0.0))
    return ~fits | (used > room_for_experts(instance, analog=True) * (1 + 1e-12))


def by_utilisation(instance: Instance, experts: Indices) -> Bools:
    """(experts,): which go to digital units when each goes to the technology with the larger free share."""
    room = {analog: max(room_for_experts(instance, analog=analog), 1e-300) for analog in (True, False)}
    units = {analog: least_units(instance, analog=analog)[experts].tolist() for analog in (True, False)}
    used = {True: 0.0, False: 0.0}
    found = np.zeros(len(experts), dtype=bool)
    for index, (on_analog, on_digital) in enumerate(zip(units[True], units[False], strict=True)):
        share = {True: (used[True] + on_analog) / room[True], False: (used[False] + on_digital) / room[False]}
        is_analog = share[True] <= share[False]
        used[is_analog] += on_analog if is_analog else on_digital
        found[index] = not is_analog
    return found
