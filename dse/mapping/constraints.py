"""Rows of the mapping program, one function for each family of constraints."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from dse.mapping.checks import TOLERANCE
from dse.mapping.instance import Instance
from dse.mapping.limits import MappingLimits
from dse.mapping.metric_terms import digital_terms, metric_terms, score_scale, score_terms, step_time_terms
from dse.mapping.objective import summed
from dse.mapping.pools import fixed_choice
from dse.mapping.program import Meaning, MetricTerms, Program, Terms

Array = NDArray[np.float64]


def add_assignment(program: Program, *, with_score: bool) -> None:
    """Counts of each pool, shares of each block where scores count, and the rows that tie them."""
    instance, pools = program.instance, program.pools
    count, take = program.count, program.take
    for p, pool in enumerate(pools):
        first, members, options = instance.names[pool.members[0]], pool.members.tolist(), pool.options.tolist()
        for o in options:
            count[p, o] = program.add_variable(f"k{len(count)}", 0.0, float(pool.size), is_integer=True)
        program.add_row(f"assignment[{first}]", [(count[p, o], 1.0) for o in options], "=", float(pool.size))
        if not (with_score and pool.size > 1):
            continue
        program.named.add(p)
        for o in options[:-1]:
            for b in members:
                take[b, o] = program.add_variable(f"x{len(take)}", 0.0, 1.0)
            terms = [(take[b, o], 1.0) for b in members]
            program.add_row(f"count[{first}, {o}]", [*terms, (count[p, o], -1.0)], "=", 0.0)
        for b in members if len(options) > 2 else ():
            name = f"assignment[{instance.names[b]}]"
            program.add_row(name, [(take[b, o], 1.0) for o in options[:-1]], "<=", 1.0)


def add_capacity(program: Program) -> None:
    """One row per limited resource that some free block may use."""
    for resource, name in enumerate(program.instance.resources):
        most = float(program.instance.capacity[resource])
        if math.isfinite(most):
            add_room(program, f"capacity[{name}]", resource, most)


def add_unit_limits(program: Program, limits: MappingLimits) -> None:
    """Limits on capacity units that are tighter than the capacity."""
    for name, most in limits.max_units.items():
        add_room(program, f"max_units[{name}]", program.instance.resources.index(name), most)


def add_room(program: Program, name: str, resource: int, most: float) -> None:
    """The units of one resource in use are at most so many, counted in the smallest block."""
    instance = program.instance
    fixed = float(fixed_units(instance)[resource])
    used = [
        (variable, float(instance.units[program.first_block(p), o]))
        for (p, o), variable in program.count.items()
        if instance.resource[o] == resource
    ]
    used = [(variable, size) for variable, size in used if size > 0]
    if not used and fixed <= most:
        return
    sizes = np.array([size for _, size in used])
    smallest = float(sizes.min()) if used else 1.0
    rhs = (most - fixed) / smallest
    if np.allclose(sizes / smallest, np.round(sizes / smallest), rtol=0, atol=1e-9):
        rhs = math.floor(rhs + 1e-9)
    meaning = Meaning(most, instance.resource_unit(resource), smallest, fixed)
    program.add_limit(name, [(variable, size / smallest) for variable, size in used], "<=", rhs, meaning=meaning)


def add_budgets(program: Program, limits: MappingLimits) -> None:
    """Limits on the number of digital experts, per layer and over all."""
    instance = program.instance
    fixed = fixed_choice(instance)
    pinned = instance.is_expert & (fixed >= 0) & ~instance.is_analog[fixed]
    by_layer: dict[int, Terms] = {}
    for (p, o), variable in program.count.items():
        first = int(program.pools[p].members[0])
        if instance.is_expert[first] and not instance.is_analog[o]:
            by_layer.setdefault(int(instance.layer[first]), []).append((variable, 1.0))
    if limits.max_digital_experts_per_layer is not None:
        most = math.floor(limits.max_digital_experts_per_layer)
        for layer, terms in by_layer.items():
            if layer < 0:
                continue
            own = float((pinned & (instance.layer == layer)).sum())
            meaning, shared = Meaning(float(most), "experts", 1.0, own), "max_digital_experts_per_layer["
            program.add_limit(f"{shared}{layer}]", terms, "<=", most - own, meaning=meaning, shared=shared)
    everywhere = [term for terms in by_layer.values() for term in terms]
    n_pinned, wanted = float(pinned.sum()), limits.n_digital(int(instance.is_expert.sum()))
    for name, sense, count in (
        ("max_digital_experts", "<=", limits.max_digital_experts),
        ("digital_fraction", "=", wanted),
    ):
        if count is not None:
            meaning = Meaning(float(math.floor(count)), "experts", 1.0, n_pinned)
            program.add_limit(name, everywhere, sense, math.floor(count) - n_pinned, meaning=meaning)


def add_sensitivity_limits(program: Program, limits: MappingLimits) -> None:
    """Limits on the summed scores, and the least number of digital experts that each of them implies."""
    instance = program.instance
    if limits.max_sensitivity is not None:
        add_score_limit(program, "max_sensitivity", instance.score, limits.max_sensitivity, unit="score")
    if limits.max_sensitivity_share is not None:
        experts = np.where(instance.is_expert[:, None], instance.score, 0.0)
        total = float(instance.rank_score[instance.is_expert].sum())
        most, share = limits.max_sensitivity_share * total, 1 / total if total > 0 else 1.0
        add_score_limit(program, "max_sensitivity_share", experts, most, unit="share", per_score=share)


def add_score_limit(
    program: Program, name: str, score: Array, most: float, *, unit: str, per_score: float = 1.0
) -> None:
    """One limit on a sum of scores; the count it implies keeps the relaxation from using fractions of experts."""
    instance, scale, fixed = program.instance, score_scale(program.instance), fixed_choice(program.instance)
    rest = most - float(score[fixed >= 0, fixed[fixed >= 0]].sum())
    terms, constant = score_terms(program, score / scale)
    meaning = Meaning(most * per_score, unit, scale * per_score, (most - rest + scale * constant) * per_score)
    program.add_limit(name, terms, "<=", rest / scale - constant, meaning=meaning)
    free = fixed < 0
    analog = np.where(instance.allowed & instance.is_analog, score, np.inf).min(axis=1)[free]
    digital = np.where(instance.allowed & ~instance.is_analog, score, np.inf).min(axis=1)[free]
    both = np.isfinite(analog) & np.isfinite(digital)
    least = float(np.minimum(analog, digital)[~both].sum())
    gains = np.sort((analog - digital)[both & (analog > digital)])[::-1]
    reached = float(analog[both].sum()) + least - np.concatenate([[0.0], np.cumsum(gains)])
    enough = reached <= rest + TOLERANCE * abs(most)
    needed = int(enough.argmax()) if enough.any() else 0
    terms = [(variable, 1.0) for (_, o), variable in program.count.items() if not instance.is_analog[o]]
    if needed and terms and not program.soft(name):
        program.add_row(f"least digital blocks[{name}]", terms, ">=", float(needed))


def add_metric_limits(program: Program, limits: MappingLimits) -> None:
    """Limits on energy, on the load of a group, on latency, on digital time."""
    if limits.max_energy_pj_per_token is not None:
        most = limits.max_energy_pj_per_token
        add_most(program, "max_energy_pj_per_token", metric_terms(program, "energy"), most, unit="pJ")
    if limits.max_group_load_ns is not None:
        add_most(program, "max_group_load_ns", metric_terms(program, "bottleneck"), limits.max_group_load_ns, unit="ns")
    if limits.max_layer_latency_ns is not None:
        most = limits.max_layer_latency_ns
        add_most(program, "max_layer_latency_ns", metric_terms(program, "layer_latency"), most, unit="ns")
    if limits.max_digital_ns is not None:
        add_most(program, "max_digital_ns", digital_terms(program), limits.max_digital_ns, unit="ns")


def add_power_limit(program: Program, limits: MappingLimits) -> None:
    """A necessary condition of the limit on power: energy <= power · time, where the time may be waited out.

    The time variables are lower ends, so the program may stretch them; the placement's own power is checked apart.
    """
    if limits.max_power_mw is None:
        return
    instance, energy, time = program.instance, metric_terms(program, "energy"), step_time_terms(program)
    per_token = limits.max_power_mw / instance.tokens
    terms = [*energy.terms, *((v, -factor * time.scale * per_token / energy.scale) for v, factor in time.terms)]
    rhs = (time.constant * per_token - energy.constant) / energy.scale
    meaning = Meaning(limits.max_power_mw, "mW", 1.0, limits.max_power_mw - rhs)
    program.add_limit("max_power_mw", terms, "<=", rhs, meaning=meaning)


def add_most(program: Program, name: str, metric: MetricTerms, most: float, *, unit: str) -> None:
    """A metric is at most so much."""
    meaning = Meaning(most, unit, metric.scale, metric.constant)
    program.add_limit(name, metric.terms, "<=", (most - metric.constant) / metric.scale, meaning=meaning)


def add_area_limit(program: Program, limits: MappingLimits) -> None:
    """The silicon of the crossbars in use."""
    if limits.max_area_mm2 is None:
        return
    instance, fixed = program.instance, fixed_choice(program.instance)
    own = np.flatnonzero(fixed >= 0)
    taken = float((instance.units[own, fixed[own]] * instance.unit_area_mm2[fixed[own]]).sum())
    terms = [
        (variable, value)
        for (p, o), variable in program.count.items()
        if (value := float(instance.units[program.first_block(p), o] * instance.unit_area_mm2[o]))
    ]
    meaning = Meaning(limits.max_area_mm2, "mm2", 1.0, taken)
    program.add_limit("max_area_mm2", terms, "<=", limits.max_area_mm2 - taken, meaning=meaning)


def add_byte_limits(program: Program, limits: MappingLimits) -> None:
    """Bytes of weights in each limited memory, counted in the largest block."""
    instance, fixed = program.instance, fixed_choice(program.instance)
    for name, most in limits.max_bytes.items():
        held = np.array([memory == name for memory in instance.memory])[instance.group]  # (O,)
        own = np.flatnonzero(fixed >= 0)
        taken = float((instance.n_bytes[own, fixed[own]] * held[fixed[own]]).sum())
        used = [
            (variable, value)
            for (p, o), variable in program.count.items()
            if held[o] and (value := float(instance.n_bytes[program.first_block(p), o]))
        ]
        largest = max((value for _, value in used), default=1.0)
        terms = [(variable, value / largest) for variable, value in used]
        meaning = Meaning(most, "bytes", largest, taken)
        program.add_limit(f"max_bytes[{name}]", terms, "<=", (most - taken) / largest, meaning=meaning)


def add_block_limits(program: Program, limits: MappingLimits) -> None:
    """Blocks in each limited group."""
    instance, fixed = program.instance, fixed_choice(program.instance)
    for name, most in limits.max_blocks.items():
        group = instance.groups.index(name)
        taken = float((instance.group[fixed[fixed >= 0]] == group).sum())
        terms: Terms = [(v, 1.0) for (_, o), v in program.count.items() if instance.group[o] == group]
        meaning = Meaning(float(math.floor(most)), "blocks", 1.0, taken)
        program.add_limit(f"max_blocks[{name}]", terms, "<=", math.floor(most) - taken, meaning=meaning)


def add_pairs(program: Program, limits: MappingLimits) -> None:
    """Pairs of blocks that share a group or do not; blocks of pairs are pools of their own."""
    if not limits.paired:
        return
    instance, index, fixed = program.instance, program.instance.block_index, fixed_choice(program.instance)
    pool_of = {int(pool.members[0]): p for p, pool in enumerate(program.pools) if pool.size == 1}

    def in_group(block: int, group: int) -> tuple[Terms, float]:
        if fixed[block] >= 0:
            return [], float(instance.group[fixed[block]] == group)
        p = pool_of[block]
        options = program.pools[p].options.tolist()
        return [(program.count[p, o], 1.0) for o in options if instance.group[o] == group], 0.0

    for kind, pairs in (("together", limits.together), ("apart", limits.apart)):
        for first, second in pairs:
            for group in range(len(instance.groups)):
                (a, own), (b, other) = in_group(index[first], group), in_group(index[second], group)
                if not (a or b or own or other):
                    continue
                if kind == "together":
                    terms, sense, rhs = [*a, *((v, -1.0) for v, _ in b)], "=", other - own
                else:
                    terms, sense, rhs = [*a, *b], "<=", 1.0 - own - other
                name = f"{kind}[{first}, {second}]"
                program.add_limit(name, terms, sense, rhs, meaning=Meaning(1.0, "pairs", 1.0, 1.0 - rhs))


def fixed_units(instance: Instance) -> Array:
    """(R,): capacity that blocks with one option take."""
    fixed = fixed_choice(instance)
    mask = np.flatnonzero(fixed >= 0)
    units = instance.units[mask, fixed[mask]]
    return summed(units, instance.resource[fixed[mask]], len(instance.resources))
