"""How often blocks are used: visits per token of every expert, by the routing of the workload."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from dse.errors import Problem, SpecError
from dse.spec.model import Model
from dse.units import at_point
from dse.workload.blocks import make_blocks
from dse.workload.build import Workload

# L layers with experts, E experts

Array = NDArray[np.float64]
OWN_STREAM = 1
"""Keeps the noise of the order apart from scores that are drawn with the same seed."""


def expert_visits(workload: Workload) -> Array:
    """Expected visits per token of every routed expert, shape (layers with experts, n_experts).

    Uniform: k/E. Zipf: popularity ∝ rank^-s over an order of the experts of each layer, scaled so that a layer's
    visits add up to k while none exceeds one visit per token. Measured, trace: from the file.

    Raises:
        SpecError: measured routing without a file, or an order by score where no scores are known.
    """
    model, routing = workload.model, workload.routing
    n_layers = model.n_moe_layers
    if routing.kind == "uniform":
        return np.full((n_layers, model.n_experts), model.top_k / model.n_experts)
    if routing.kind in ("measured", "trace"):
        if workload.routing_table is None or (workload.routing_table.trace is not None) != (routing.kind == "trace"):
            raise SpecError([Problem(f"{routing.kind} routing needs its file; load the workload with it", "routing")])
        return workload.routing_table.visits
    popularity = np.arange(1, model.n_experts + 1, dtype=np.float64) ** -float(routing.zipf_exponent)
    ranked = cap_at_one(popularity, float(model.top_k))
    return np.stack([ranked[place] for place in popularity_places(workload)])


def popularity_places(workload: Workload) -> NDArray[np.int64]:
    """(L, E): place of each expert in the order of popularity of its layer, 0 the most popular.

    At random, one order per layer; with a ``norm_load_rank_correlation`` R, so that the expected Spearman
    correlation of popularity and score is R: the order of ``r·z(score) + √(1−r²)·noise`` with normal scores z and
    ``r = 2 sin(π R/6)``, the correlation of two normal variables whose ranks correlate by R.

    Source: K. Pearson, "On further methods of determining correlation", Drapers' Company Memoirs IV, 1907.
    """
    model, routing = workload.model, workload.routing
    n_experts = model.n_experts
    rank_correlation = float(routing.norm_load_rank_correlation)
    if rank_correlation == 0:
        generator = np.random.default_rng(routing.seed)
        return np.stack([generator.permutation(n_experts) for _ in range(model.n_moe_layers)])
    if workload.score_places is None:
        message = (
            "needs the order of the experts' scores: use workload.with_score_order(score_blocks(workload)), or write 0"
        )
        raise SpecError([Problem(message, "routing.norm_load_rank_correlation")])
    normal = ndtri((n_experts - workload.score_places - 0.5) / n_experts)
    pearson = 2 * np.sin(np.pi * rank_correlation / 6)
    noise = np.random.default_rng((routing.seed, OWN_STREAM)).standard_normal(normal.shape)
    mixed = pearson * normal + np.sqrt(max(0.0, 1 - pearson**2)) * noise
    return np.argsort(np.argsort(-mixed, axis=1, kind="stable"), axis=1)


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


def visits_per_token(workload: Workload, point: int = 0) -> Array:
    """Expected visits λ per token of every block of one design, in the order of ``workload.blocks``.

    Dense blocks 1; the head in prefill 1/prompt (it runs once per prompt); the embedding 0: a look-up.
    """
    places, scenario = block_places(workload.model), workload.scenario
    visits = np.ones(len(places.kinds))
    visits[places.kinds == "embedding"] = 0.0
    per_prompt = scenario.phase == "prefill"
    visits[places.kinds == "head"] = 1 / at_point(scenario.prompt_tokens, point) if per_prompt else 1.0
    visits[places.experts] = expert_visits(workload)[places.rows, places.numbers]
    return visits


def visits_by_block(workload: Workload, point: int = 0) -> dict[str, float]:
    """The same by the name of the block."""
    names = (block.name for block in workload.blocks)
    return dict(zip(names, visits_per_token(workload, point).tolist(), strict=True))


class BlockPlaces(NamedTuple):
    """Where the routed experts stand among the blocks of a model."""

    kinds: NDArray[np.str_]
    """Kind of every block."""
    experts: NDArray[np.int64]
    """Positions of the routed experts among the blocks."""
    rows: NDArray[np.int64]
    """Of each expert, the place of its layer among the layers with experts."""
    numbers: NDArray[np.int64]
    """Of each expert, its number within its layer."""


@lru_cache(maxsize=16)
def block_places(model: Model) -> BlockPlaces:
    """Positions of the routed experts of a model."""
    blocks = make_blocks(model)
    row = {layer: index for index, layer in enumerate(model.expert_layers)}
    found = [(i, row[b.layer], b.expert) for i, b in enumerate(blocks) if b.expert is not None and b.layer is not None]
    table = np.array(found, dtype=np.int64).reshape(-1, 3)
    return BlockPlaces(np.array([block.kind for block in blocks]), table[:, 0], table[:, 1], table[:, 2])
