"""The mapping program, as a PuLP model.

Sets: blocks b, options o = (group, format, copies), groups g (analog A, digital D), resources r, stages s of all
layers, pools p of blocks that differ in nothing but their score.

Given: u_bo capacity units, C_r capacity, σ_bo score, e_bo energy of a step, c_bo, f_bo, g_bo, h_bo compute, memory,
buffer and host time of a step, l_bo time on the link and in launches of active experts, π_bo path, φ_bo fixed time,
W standing power, n tokens of a step. A block with one option is a constant. Attention scores, the KV cache and vector
work are constants of the host unit.

Variables: k_po ∈ {0..|p|} blocks of a pool under an option; x_bo ∈ [0, 1] where scores count and |p| > 1;
y_so ∈ {0, 1} option in use in a stage; T_sg, F_sg busy and fixed time of a group in a stage; τ_s time of a stage;
τ time of a step. With several kinds of steps (generation, mixes of scenarios) each has its own times and a weight.

    assignment   Σ_o k_po = |p|;   Σ_o x_bo = 1 (the last option of a block is left implied);   Σ_{b in p} x_bo = k_po
    capacity     Σ u_po k_po <= C_r − fixed, in units of the smallest block and rounded down where all sizes are its
                 multiples
    budgets      Σ_{p experts of l, o in D} k_po <= K_l;   the same over all layers: <= K or = K
    sensitivity  S = Σ σ_bo x_bo <= S_max;   the experts' part <= share · Σ_experts max_{o in A} σ_bo
    use          k_po <= |p| y_so
    time         T_sg >= Σ c_po k_po (host: + Σ h_po k_po);   T_sg >= Σ f_po k_po;   T_sg >= Σ g_po k_po;
                 T_sg >= π_so y_so;   F_sg >= φ_so y_so;
                 τ_s >= T_sg + F_sg + Σ l_po k_po side by side, = their sum over g otherwise
    step         τ = Σ τ_s; pipelined, of M micro-batches: τ >= Σ τ_s;   τ >= M Σ_s T_sg + F_sg for digital groups;
                 τ >= M Σ c_po k_po and τ >= M Σ l_po k_po for analog groups and their links
    energy       E = (Σ e_po k_po + W τ + constants) / n <= E_max

Objective: S or E. Given the counts k, the best x of each pool is integral (a transportation problem), and energy,
capacity and budgets do not see x: so x needs no integrality, and the scores of one pool are dealt out afterwards.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dse.mapping.instance import Instance
from dse.mapping.limits import TOLERANCE, MappingLimits
from dse.mapping.objective import summed
from dse.mapping.pools import Pool, fixed_choice, make_pools
from dse.mapping.program import Meaning, Program, Terms
from dse.mapping.step_energy import add_energy

Objective = Literal["sensitivity", "energy"]
Array = NDArray[np.float64]


def build_program(instance: Instance, objective: Objective, limits: MappingLimits, *, elastic: bool = False) -> Program:
    """The program of an instance under an objective and limits.

    Args:
        instance: blocks, options, costs, scores.
        objective: what is minimised.
        limits: besides capacity.
        elastic: let every limit and capacity be missed, and minimise by how much (as shares of the limits) instead.
    """
    with_score = objective == "sensitivity" or not (
        limits.max_sensitivity is None and limits.max_sensitivity_share is None
    )
    with_energy = objective == "energy" or limits.max_energy_pj_per_token is not None
    program = add_assignment(instance, make_pools(instance, with_energy=with_energy), with_score=with_score)
    program.elastic = elastic
    add_capacity(program)
    add_budgets(program, limits)
    if with_score:
        add_sensitivity_limits(program, limits)
    energy, reference, constant = add_energy(program) if with_energy else ([], 1.0, 0.0)
    if limits.max_energy_pj_per_token is not None:
        rhs = (limits.max_energy_pj_per_token - constant) / reference
        meaning = Meaning(limits.max_energy_pj_per_token, "pJ", reference, constant)
        program.add_limit("max_energy_pj_per_token", energy, "<=", rhs, meaning=meaning)
    if elastic:
        program.minimise([(slack.variable, 1.0) for slack in program.slack])
    elif objective == "energy":
        program.minimise(energy, scale=reference, constant=constant)
    else:
        scale = score_scale(instance)
        terms, implied = score_terms(program, instance.score / scale)
        program.minimise(terms, scale=scale, constant=fixed_score(instance) + scale * implied)
    return program


def add_assignment(instance: Instance, pools: tuple[Pool, ...], *, with_score: bool) -> Program:
    """Counts of each pool, shares of each block where scores count, and the rows that tie them."""
    program = Program(instance, pools)
    count, take = program.count, program.take
    for p, pool in enumerate(pools):
        first, members, options = instance.blocks[pool.members[0]].name, pool.members.tolist(), pool.options.tolist()
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
            name = f"assignment[{instance.blocks[b].name}]"
            program.add_row(name, [(take[b, o], 1.0) for o in options[:-1]], "<=", 1.0)
    return program


def add_capacity(program: Program) -> None:
    """One row per resource that some free block may use."""
    instance = program.instance
    room = instance.capacity - fixed_units(instance)
    for resource, name in enumerate(instance.resources):
        used = [
            (variable, float(instance.units[program.pools[p].members[0], o]))
            for (p, o), variable in program.count.items()
            if instance.resource[o] == resource
        ]
        sizes = np.array([size for _, size in used if size > 0])
        if not len(sizes):
            continue
        smallest = float(sizes.min())
        rhs = float(room[resource]) / smallest
        if np.allclose(sizes / smallest, np.round(sizes / smallest), rtol=0, atol=1e-9):
            rhs = math.floor(rhs + 1e-9)
        terms = [(variable, size / smallest) for variable, size in used if size > 0]
        capacity, fixed = float(instance.capacity[resource]), float(instance.capacity[resource] - room[resource])
        meaning = Meaning(capacity, instance.resource_unit(resource), smallest, fixed)
        program.add_limit(f"capacity[{name}]", terms, "<=", rhs, meaning=meaning)


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
            own = float((pinned & (instance.layer == layer)).sum())
            meaning = Meaning(float(most), "experts", 1.0, own)
            program.add_limit(f"max_digital_experts_per_layer[{layer}]", terms, "<=", most - own, meaning=meaning)
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
    if needed and terms and not program.elastic:
        program.add_row(f"least digital blocks[{name}]", terms, ">=", float(needed))


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


def fixed_units(instance: Instance) -> Array:
    """(R,): capacity that blocks with one option take."""
    fixed = fixed_choice(instance)
    mask = np.flatnonzero(fixed >= 0)
    units = instance.units[mask, fixed[mask]]
    return summed(units, instance.resource[fixed[mask]], len(instance.resources))


def fixed_score(instance: Instance) -> float:
    """Scores of blocks with one option."""
    fixed = fixed_choice(instance)
    return float(instance.score[fixed >= 0, fixed[fixed >= 0]].sum())


def score_scale(instance: Instance) -> float:
    """Mean positive score: what scores are divided by in the model."""
    positive = instance.score[instance.score > 0]
    return float(positive.mean()) if len(positive) else 1.0
