"""What the tokens of one step do together: which experts they use, and how busy the busiest tile is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dse.errors import Problem, SpecError
from dse.workload.build import Workload
from dse.workload.busiest import Busiest, TileContents, busiest_tile
from dse.workload.correlated import correlated_busiest_tile
from dse.workload.routing import expert_visits

# E experts, N tokens of a trace, K choices of a token, W windows

Array = NDArray[np.float64]
MOST_WINDOWS = 2048
"""Windows of a trace that a step is taken from."""


@dataclass(frozen=True, slots=True, eq=False)
class LayerRouting:
    """How the tokens of a step choose experts in one layer.

    With correlation ρ each token follows one choice of the whole batch with probability ρ, else it chooses on its
    own: 0 independent, 1 all tokens of a step use the same experts. With a trace, the tokens of a step are
    consecutive tokens of the trace.
    """

    visits: Array
    """(E,): λ of every expert of the layer."""
    correlation: float
    trace: NDArray[np.int64] | None
    """(N, K): choices of the tokens of a trace."""

    def active(self, tokens: Array, experts: NDArray[np.int64]) -> Array:
        """P(expert is used in a step of n tokens), shape (len(tokens), len(experts)).

        ``P = 1 − λ ((1−ρ)(1−λ))^n − (1−λ) (1 − (1−ρ)λ)^n``: the shared choice has the expert, or has it not.
        """
        if self.trace is not None:
            return np.array([(self.windows(n)[:, experts] > 0).mean(axis=0) for n in tokens])
        return active_probability(self.visits[experts], np.asarray(tokens)[:, None], self.correlation)

    def busiest(self, tokens: float, contents: TileContents) -> Busiest:
        """Visits of the busiest tile in a step of n tokens."""
        if self.trace is not None:
            loads = (self.windows(tokens) @ contents.held.T + round(tokens) * contents.always).max(axis=1)
            return Busiest(float(loads.mean()), float(loads.std()))
        if self.correlation == 0:
            return busiest_tile(self.visits, tokens, contents)
        return correlated_busiest_tile(self.visits, tokens, contents, self.correlation)

    def windows(self, tokens: float) -> NDArray[np.int64]:
        """(W, E): visits of each expert in steps of n consecutive tokens of the trace, starts evenly spread."""
        assert self.trace is not None
        n, n_tokens = max(1, round(tokens)), len(self.trace)
        if n > n_tokens:
            message = f"a step of {n} tokens is longer than the trace, which has {n_tokens}; give a longer trace, or "
            raise SpecError([Problem(f"{message}fewer sequences", "routing.file")])
        used = np.zeros((n_tokens + 1, len(self.visits)), dtype=np.int64)
        np.add.at(used, (np.arange(1, n_tokens + 1)[:, None], self.trace), 1)
        total = np.cumsum(used, axis=0)
        starts = np.unique(np.linspace(0, n_tokens - n, MOST_WINDOWS).astype(np.int64))
        return np.asarray(total[starts + n] - total[starts])


def layer_routings(workload: Workload) -> dict[int, LayerRouting]:
    """Layer → how its tokens choose."""
    visits, model = expert_visits(workload), workload.model
    table = workload.routing_table if workload.routing.kind == "trace" else None
    return {
        layer: LayerRouting(
            visits[row],
            float(workload.routing.correlation),
            None if table is None or table.trace is None else table.trace[row],
        )
        for row, layer in enumerate(model.expert_layers)
    }


def active_probability(visits: Array, tokens: Array, correlation: float) -> Array:
    """Probability that experts are used in a step, by λ, number of tokens and correlation within the batch.

    >>> round(float(active_probability(np.array(0.25), np.array(2.0), 0.0)), 12)
    0.4375
    >>> float(active_probability(np.array(0.25), np.array(2.0), 1.0))
    0.25
    """
    own = 1 - correlation
    absent = np.minimum(visits, 1 - 1e-16)
    without = np.exp(tokens * np.log1p(-own * absent))
    if correlation == 0:
        return np.asarray(-np.expm1(tokens * np.log1p(-absent)))
    chosen = (own * (1 - visits)) ** tokens
    return np.asarray(1 - visits * chosen - (1 - visits) * without)


def distinct_active_experts(visits: Array, tokens: float, correlation: float = 0.0) -> float:
    """Expected number of distinct experts that n tokens visit; independent: Σ_e 1 − (1 − λ_e)^n."""
    return float(active_probability(visits, np.array(tokens), correlation).sum())
