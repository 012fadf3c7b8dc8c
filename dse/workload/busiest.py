"""The busiest tile of a batch: mean and spread of the largest number of visits, when tokens choose at random."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dse.workload.fixed_sum import Binomials, Summands, log_sum_probability
from dse.workload.sampled_steps import DRAWN_TOKENS, step_counts
from dse.workload.tile_counts import Counts, TileSets, lattice_counts, tile_sets

# E experts, S sets of experts that share a tile, C counts, M levels, W sampled steps

Array = NDArray[np.float64]
CERTAIN = 1 - 1e-12
"""Visits per token from which an expert is used by every token."""
LOWEST, HIGHEST = -60.0, 1e-7
"""Levels are considered while the log of the probability lies in this range below 0."""
MOST_LEVELS = 24
"""Levels at which the effect of the known sum is worked out; between them it is interpolated."""
FEW_EXPERTS = 8
"""Fewer experts than this are sampled too: the saddle point is up to 1.6 % off there."""
FEW_VISITS = 4.0
"""Visits of unequally popular experts, some of them elsewhere, up to which steps are sampled: how many of a token's
choices are here varies, which the saddle point gets up to 2-fold wrong at few visits."""
STANDARD_ERROR = 0.001
"""Share of the mean at which no more sampled steps are taken."""
SAMPLES = 2048
"""Sampled steps that are taken at a time."""


class Busiest(NamedTuple):
    """Visits of the busiest tile in a step."""

    mean: float
    std: float
    """Standard deviation from step to step, not of the mean."""


@dataclass(frozen=True, slots=True, eq=False)
class TileContents:
    """Which blocks of one layer the tiles hold: one row per kind of tile, in the order of the tiles."""

    held: NDArray[np.int64]
    """(S, E): slices of each expert on the tile; experts that are elsewhere have empty columns."""
    always: NDArray[np.int64]
    """(S,): slices on the tile that every token uses (shared expert, dense FFN)."""


def busiest_tile(visits: Array, tokens: float, contents: TileContents) -> Busiest:
    """Visits of the busiest tile in a step of n tokens, each of which chooses Σ λ different experts on its own.

    Where tiles hold different experts, ``E[max] = Σ_m 1 − P(all tiles ≤ m)``: the loads are sums of binomial counts,
    and the fixed number of choices per token, which makes them negatively dependent, enters as the probability that
    independent counts add up to n·k, by a saddle point (see ``fixed_sum``). Where an expert has several slices on
    the tiles, with few experts, or few visits of unequal ones, the mean and spread over sampled steps
    (``sampled_steps``), the same at every call.

    Valid for: the mean is within 1 % of sampling with other draws, from one token on.

    Args:
        visits: (E,) expected visits per token λ_e of every expert of the layer, also of those elsewhere.
        tokens: n, tokens of a step; between whole numbers the result is interpolated.
        contents: what the tiles hold.
    """
    used = contents.held.any(axis=1) | (contents.always > 0)
    if not used.any() or tokens <= 0:
        return Busiest(0.0, 0.0)
    held, always = contents.held[used], contents.always[used]
    return between(tokens, lambda n: _busiest(visits.tobytes(), n, held.tobytes(), (always * n).tobytes()))


def between(tokens: float, at: Callable[[int], Busiest]) -> Busiest:
    """What is known for whole numbers of tokens, interpolated between them."""
    low = int(np.floor(tokens + 1e-9))
    fraction = max(0.0, tokens - low)
    ends = [at(n) for n in ((low,) if fraction < 1e-9 else (low, low + 1))]
    return Busiest(*(float(np.interp(fraction, [0, 1][: len(ends)], part)) for part in zip(*ends, strict=True)))


@lru_cache(maxsize=65536)
def _busiest(visit_bytes: bytes, n: int, held_bytes: bytes, fixed_bytes: bytes) -> Busiest:
    visits = np.round(np.frombuffer(visit_bytes), 12)
    held = np.frombuffer(held_bytes, np.int64).reshape(-1, len(visits))
    fixed = np.frombuffer(fixed_bytes, np.int64) + n * (held @ (visits >= CERTAIN))
    base = int(fixed.max())
    random = (visits < CERTAIN) & (visits > 0)
    held, visits = held[:, random], visits[random]
    if not held.any() or n == 0:
        return Busiest(float(base), 0.0)
    if len(held) == 1 and held.min() == held.max():
        return Busiest(float(base + n * visits.sum() * held[0, 0]), 0.0)
    if held.sum(axis=0).max() > 1 or len(visits) < FEW_EXPERTS or is_scarce(visits, n, held):
        return sampled_busiest(visits, n, held, fixed)
    counts = lattice_counts(visits, n, held)
    shift = np.round((fixed - base) / counts.step).astype(np.int64)
    sets = tile_sets(counts, held, shift)
    levels, below = all_below(sets, *elsewhere(counts, held, visits, n))
    above = np.maximum(0.0, 1 - below)
    mean = levels[0] + above.sum()
    square = levels[0] ** 2 + (above * (2 * levels + 1)).sum()
    std = counts.step * np.sqrt(max(0.0, square - mean**2))
    most_used = float((fixed + n * (held @ visits)).max())
    return Busiest(max(float(base + counts.step * mean), most_used), float(std))


def is_scarce(visits: Array, n: int, held: NDArray[np.int64]) -> bool:
    """Whether few visits fall on the tiles because experts of other popularity are elsewhere."""
    here = held.any(axis=0)
    return bool(n <= DRAWN_TOKENS and np.ptp(visits) > 0 and not here.all() and n * visits[here].sum() < FEW_VISITS)


def sampled_busiest(visits: Array, n: int, held: NDArray[np.int64], fixed: NDArray[np.int64]) -> Busiest:
    """Mean and spread over as many sampled steps as the mean needs."""
    order = in_order(visits, held)
    here = np.flatnonzero(held[:, order].any(axis=0))
    counts = step_counts(visits[order].tobytes(), n)[:, here]
    largest = largest_loads(counts, held[:, order[here]], fixed, standard_error=STANDARD_ERROR)
    mean = corrected_mean(largest, counts[: len(largest)], n * visits[order[here]])
    return Busiest(max(mean, float((fixed + n * (held @ visits)).max())), float(largest.std()))


def in_order(visits: Array, held: NDArray[np.int64]) -> NDArray[np.int64]:
    """(E,): experts by their λ and then by what tiles hold of them, so that their numbers do not matter."""
    columns = [column.tobytes() for column in np.ascontiguousarray(held.T)]
    return np.array(sorted(range(len(visits)), key=lambda e: (visits[e], columns[e])))


def largest_loads(
    counts: NDArray[Any], held: NDArray[np.int64], fixed: NDArray[np.int64], *, standard_error: float = 0.0
) -> Array:
    """(W,): load of the busiest tile in sampled steps, in as many as bring the mean's standard error to that share.

    Args:
        counts: (W, E) visits of experts.
        held: (S, E) slices of them on the tiles.
        fixed: (S,) load that is the same in all steps.
        standard_error: share of the mean.
    """
    slices, largest = held.T.astype(np.float32), np.zeros(0)
    for start in range(0, len(counts), SAMPLES):
        loads = counts[start : start + SAMPLES].astype(np.float32) @ slices + fixed  # (W, E) @ (E, S) -> (W, S)
        largest = np.concatenate([largest, loads.max(axis=1)])
        if largest.std() <= standard_error * largest.mean() * np.sqrt(len(largest)):
            break
    return largest


def corrected_mean(largest: Array, counts: NDArray[Any], expected: Array) -> float:
    """Mean of the largest loads, less what the sampled steps have too many visits (control variate)."""
    seen = counts.sum(axis=1, dtype=np.float64)
    variance = seen.var()
    slope = np.mean((largest - largest.mean()) * (seen - seen.mean())) / variance if variance > 0 else 0.0
    return float(largest.mean() - slope * (seen.mean() - expected.sum()))


FEW_KINDS = 6
"""Kinds of popularity up to which experts elsewhere are summed over their widened counts."""


def elsewhere(counts: Counts, held: NDArray[np.int64], visits: Array, n: int) -> tuple[Summands, Binomials]:
    """Experts that no tile of the group holds: they take part in the choices of a token all the same."""
    outside = ~held.any(axis=0)
    kinds, first, count = np.unique(counts.of_expert[outside], return_index=True, return_counts=True)
    if len(kinds) > FEW_KINDS:
        binomials = Binomials(n, visits[outside][first], count.astype(np.float64), counts.step)
        kinds, count = kinds[:0], count[:0]
    else:
        binomials = Binomials(n, visits[:0], visits[:0], counts.step)
    return Summands(counts.pmf[kinds], counts.plain[kinds], count.astype(np.float64)), binomials


def all_below(sets: TileSets, free: Summands, others: Binomials) -> tuple[Array, Array]:
    """Levels m (lattice steps) and P(load of every tile ≤ m) at each."""
    every = np.arange(sets.plain.shape[1])
    below = np.minimum(np.cumsum(sets.plain, axis=1), 1.0)
    single = np.stack([up_to(c, every - s) for c, s in zip(below, sets.shift, strict=True)])  # (V, M)
    log_single = np.log(np.maximum(single, 1e-300))
    log_all = sets.count @ log_single
    window = np.flatnonzero((log_all > LOWEST) & (log_all < -HIGHEST))
    if len(window) == 0:
        window = every[log_all >= -HIGHEST][:1] if (log_all >= -HIGHEST).any() else every[-1:]
    log_single, log_all, levels = log_single[:, window], log_all[window], every[window]
    log_all = log_all + fixed_sum_effect(sets, free, others, levels, log_single)
    return levels.astype(np.float64), np.maximum.accumulate(np.exp(np.minimum(log_all, 0.0)))


def fixed_sum_effect(
    sets: TileSets, free: Summands, others: Binomials, levels: NDArray[np.int64], log_single: Array
) -> Array:
    """Log P(all ≤ m | the counts add up to n·k) − log Π P(≤ m), for tiles that share no expert, (M,)."""
    some = np.arange(len(levels))
    if len(levels) > MOST_LEVELS:
        some = np.unique(np.round(np.linspace(0, len(levels) - 1, MOST_LEVELS)).astype(np.int64))
    widths = [table.shape[1] for table in (sets.pmf, free.pmf) if len(table)]

    def join(first: Array, second: Array) -> Array:
        return np.concatenate([np.pad(t, ((0, 0), (0, max(widths) - t.shape[1]))) for t in (first, second) if len(t)])

    summands = Summands(
        join(sets.pmf, free.pmf), join(sets.plain, free.plain), np.concatenate([sets.count, free.count])
    )
    cap = np.full((len(summands.count), len(some) + 1), max(widths))
    cap[: len(sets.count), :-1] = levels[some] - sets.shift[:, None]
    log_sum = log_sum_probability(summands, others, cap)
    effect = np.maximum(log_sum[:-1] - log_sum[-1], -1e4) - sets.count @ log_single[:, some]
    return np.asarray(np.interp(levels, levels[some], effect))


def up_to(cumulative: Array, index: NDArray[np.int64]) -> Array:
    """Cumulative probability at an index; 0 below the table and its last value above."""
    return np.where(index >= 0, cumulative[np.clip(index, 0, len(cumulative) - 1)], 0.0)
