"""How often blocks are used: visits per token, and the busiest expert of a batch."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr

from dse.workload.build import Workload

Array = NDArray[np.float64]


def expert_visits(workload: Workload) -> Array:
    """Expected visits per token of every routed expert, shape (layers with experts, n_experts).

    Uniform: k/E. Zipf: popularity ∝ rank^-s over a random order of the experts of each layer, scaled so that a
    layer's visits add up to k while none exceeds one visit per token.
    """
    model, routing = workload.model, workload.routing
    n_layers = model.n_moe_layers
    if routing.kind == "uniform":
        return np.full((n_layers, model.n_experts), model.top_k / model.n_experts)
    popularity = np.arange(1, model.n_experts + 1, dtype=np.float64) ** -float(routing.zipf_exponent)
    ranked = cap_at_one(popularity, float(model.top_k))
    generator = np.random.default_rng(routing.seed)
    return np.stack([ranked[generator.permutation(model.n_experts)] for _ in range(n_layers)])


def cap_at_one(popularity: Array, total: float) -> Array:
    """Visits proportional to popularity that add up to ``total`` with no entry above 1.

    >>> cap_at_one(np.array([8.0, 1.0, 1.0]), 2.0).tolist()
    [1.0, 0.5, 0.5]
    """
    visits = np.zeros_like(popularity)
    free = np.ones(len(popularity), dtype=bool)
    while True:
        share = (total - (~free).sum()) * popularity / popularity[free].sum()
        visits = np.where(free, share, 1.0)
        over = free & (visits > 1)
        if not over.any():
            return visits
        free &= ~over
        if not free.any():
            return np.ones_like(popularity)


def visits_per_token(workload: Workload) -> Array:
    """Expected visits λ per token of every block, in the order of ``workload.blocks``.

    Dense blocks 1; the head in prefill 1/prompt (it runs once per prompt); the embedding 0: a look-up.
    """
    experts = expert_visits(workload)
    row = {layer: index for index, layer in enumerate(workload.model.expert_layers)}
    scenario = workload.scenario
    head = 1 / float(np.max(scenario.prompt_tokens)) if scenario.phase == "prefill" else 1.0
    other = {"embedding": 0.0, "head": head}
    return np.array(
        [
            experts[row[block.layer], block.expert]
            if block.expert is not None and block.layer is not None
            else other.get(block.kind, 1.0)
            for block in workload.blocks
        ]
    )


def distinct_active_experts(visits: Array, tokens: float) -> float:
    """Expected number of distinct experts that n independent tokens visit: Σ_e 1 − (1 − λ_e)^n."""
    return float(np.sum(-np.expm1(tokens * np.log1p(-np.minimum(visits, 1 - 1e-16)))))


def expected_busiest(visits: Array, tokens: float) -> float:
    """Expected visits of the busiest of several experts in a step of n independent tokens.

    ``E[max] = Σ_m 1 − Π_e P(N_e ≤ m)`` with N_e binomial(n, λ_e), taken as independent between experts; their
    weak negative dependence (the visits of a token add up to k) makes this an upper estimate by under two per
    cent for E ≥ 16 (a Monte-Carlo test holds it to that).
    """
    if len(visits) == 0:
        return 0.0
    values, counts = np.unique(np.round(visits, 12), return_counts=True)
    return _expected_busiest(tuple(values.tolist()), tuple(counts.tolist()), round(tokens))


@lru_cache(maxsize=65536)
def _expected_busiest(values: tuple[float, ...], counts: tuple[int, ...], tokens: int) -> float:
    visits, repeats = np.asarray(values), np.asarray(counts)
    mean, std = tokens * visits.max(), np.sqrt(tokens * visits.max())
    low = max(0, int(mean - 12 * std) - 1)
    high = min(tokens, int(mean + 14 * std) + 40)
    m = np.arange(low, high, dtype=np.float64)[:, None]
    below = bdtr(m, tokens, np.minimum(visits, 1.0))  # (M, V)
    log_all = np.sum(repeats * np.log(np.maximum(below, 1e-300)), axis=1)
    return low + float(np.sum(-np.expm1(log_all)))
