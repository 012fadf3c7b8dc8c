"""Random scores: a stand-in for sensitivity where no weights are known."""

from __future__ import annotations

from typing import Final

import numpy as np

from dse.workload.blocks import Block

UNIT: Final = "1"
ADDITIVE: Final = False
SIGMA: Final = 1.0
"""Standard deviation of the logarithm; a round number that spreads scores over about two decades, fitted to
nothing."""


def expert_scores(experts: tuple[Block, ...], *, seed: int = 0, sigma: float = SIGMA) -> dict[str, float]:
    """Log-normal score of every routed expert, by block name [-].

    ``score = exp(sigma · z)``, z standard normal, drawn by ``numpy.random.default_rng(seed)`` in block order.

    Valid for: trying out mappings and capacity; says nothing about a real model.
    """
    draws = np.random.default_rng(seed).standard_normal(len(experts))
    return {block.name: float(score) for block, score in zip(experts, np.exp(sigma * draws), strict=True)}
