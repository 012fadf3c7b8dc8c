"""Distributions of the visits of experts, and of tiles that hold several, in a step of independent tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft
from scipy.special import gammaln

# E experts, S tiles, V distinct kinds of experts or tiles, C counts

Array = NDArray[np.float64]
STEPS_PER_SIGMA = 8
"""Resolution of the counts of large batches: lattice steps per standard deviation of the widest set."""


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """Distribution of the visits of each expert on a lattice of ``step`` visits."""

    step: int
    pmf: Array
    """(V, C): one row per distinct λ, widened for the fixed number of choices per token."""
    plain: Array
    """(V, C): the same, binomial."""
    of_expert: NDArray[np.int64]
    """(E,): row of each expert."""


def lattice_counts(visits: Array, n: int, held: NDArray[np.int64]) -> Counts:
    """Counts of every expert, binomial(n, λ_e), and the wider counts that are so once their sum is known.

    One choice per token: Poisson counts, whose distribution given their sum is exactly multinomial. Several:
    ``binomial · exp((c − nλ)² / 2Σv)`` with v = n·λ(1 − λ), which is how many 0-1 matrices of n rows with k ones have
    the column sums c, up to a factor that tends to 1.

    Source: E. R. Canfield, C. Greenhill, B. McKay, J. Combin. Theory A 115(1):32-66, 2008.
    """
    values, of_expert = np.unique(visits, return_inverse=True)
    p, variance = values[:, None], n * visits * (1 - visits)
    step = max(1, int(np.sqrt((held**2 @ variance).max()) / STEPS_PER_SIGMA))
    top = int(np.ceil(min(n, (n * values + 10 * np.sqrt(n * values) + 30).max()) / step))
    count = step * np.arange(top + 1, dtype=np.float64)
    inside, own = np.minimum(count, n), n * p * (1 - p)
    choose = gammaln(n + 1) - gammaln(inside + 1) - gammaln(n - inside + 1)
    plain = choose + inside * np.log(p) + (n - inside) * np.log1p(-p)
    wide = inside * np.log(n * p) - gammaln(inside + 1)
    if visits.sum() > 1 + 1e-9:
        wide = plain + np.minimum((count - n * p) ** 2, 64 * own) / (2 * variance.sum())
    narrow = (np.sqrt(own) < 0.7 * step).ravel() & (step > 1)
    pmf, plain = (normalised(np.where(count <= n, t, -np.inf), n * values / step, narrow) for t in (wide, plain))
    return Counts(step, pmf, plain, of_expert)


def normalised(log_pmf: Array, mean: Array, narrow: NDArray[np.bool_]) -> Array:
    """Rows that add up to 1; a row much narrower than the lattice lies on the two points beside its mean."""
    pmf = np.exp(log_pmf - log_pmf.max(axis=1, keepdims=True))
    for row in np.flatnonzero(narrow):
        low = min(int(mean[row]), pmf.shape[1] - 2)
        pmf[row] = 0.0
        pmf[row, low : low + 2] = 1 - (mean[row] - low), mean[row] - low
    return np.asarray(pmf / pmf.sum(axis=1, keepdims=True))


class Neighbours(NamedTuple):
    """Neighbouring tiles that share experts, by the distributions of their loads."""

    first: int
    """Kind of the one tile."""
    second: int
    """Kind of the other."""
    shared: Array
    """Load of the experts that both hold."""
    only_first: Array
    only_second: Array
    n_pairs: int
    """How many such pairs there are."""


@dataclass(frozen=True, slots=True, eq=False)
class TileSets:
    """Loads of the kinds of tiles, and of neighbouring pairs that share experts."""

    plain: Array
    """(V, C): distribution of the load of each distinct kind of tile, from binomial counts."""
    pmf: Array
    """(V, C): the same from widened counts."""
    shift: NDArray[np.int64]
    """(V,): lattice steps that are added to the load (never above 0)."""
    count: Array
    """(V,): tiles of the kind."""
    share: float
    """Experts over the sum of experts of all kinds: by how much tiles overlap."""
    pairs: tuple[Neighbours, ...]


def tile_sets(counts: Counts, held: NDArray[np.int64], shift: NDArray[np.int64]) -> TileSets:
    """Kinds of tiles: tiles with experts of equal popularity have the same load."""
    if (held.sum(axis=1) == 1).all() and held.sum(axis=0).max() == 1 and np.ptp(shift) == 0:
        return separate_tiles(counts, held, int(shift[0]))
    width = int(held.sum(axis=1).max()) * (counts.pmf.shape[1] - 1) + 1
    memory: dict[tuple[tuple[int, int], ...], tuple[Array, Array]] = {}

    def load(weights: NDArray[np.int64]) -> tuple[tuple[tuple[int, int], ...], tuple[Array, Array]]:
        members = np.flatnonzero(weights)
        key = tuple(sorted(zip(counts.of_expert[members].tolist(), weights[members].tolist(), strict=True)))
        if key not in memory:
            memory[key] = (load_pmf(counts.plain, key, width), load_pmf(counts.pmf, key, width))
        return key, memory[key]

    kinds: dict[tuple[object, int], int] = {}
    plain, pmf, kind_of = [], [], []
    for weights, offset in zip(held, shift.tolist(), strict=True):
        key, (binomial, widened) = load(weights)
        if (key, offset) not in kinds:
            kinds[key, offset] = len(kinds)
            plain.append(binomial)
            pmf.append(widened)
        kind_of.append(kinds[key, offset])
    pairs: dict[object, Neighbours] = {}
    for i in range(1, len(held)):
        shared = np.minimum(held[i - 1], held[i])
        if shared.any():
            parts = [load(w) for w in (shared, held[i - 1] - shared, held[i] - shared)]
            name = (kind_of[i - 1], kind_of[i], *(key for key, _ in parts))
            loads = [binomial for _, (binomial, _) in parts]
            count = pairs[name].n_pairs + 1 if name in pairs else 1
            pairs[name] = Neighbours(kind_of[i - 1], kind_of[i], loads[0], loads[1], loads[2], count)
    return TileSets(
        plain=np.array(plain),
        pmf=np.array(pmf),
        shift=shift[[kind_of.index(v) for v in range(len(kinds))]],
        count=np.bincount(kind_of).astype(np.float64),
        share=int(held.any(axis=0).sum()) / max(1, int((held > 0).sum())),
        pairs=tuple(pairs.values()),
    )


def separate_tiles(counts: Counts, held: NDArray[np.int64], shift: int) -> TileSets:
    """The same for tiles that hold one slice each, of different experts."""
    rows, count = np.unique(counts.of_expert[held.any(axis=0)], return_counts=True)
    return TileSets(
        plain=counts.plain[rows],
        pmf=counts.pmf[rows],
        shift=np.full(len(rows), shift),
        count=count.astype(np.float64),
        share=1.0,
        pairs=(),
    )


def load_pmf(pmf: Array, members: tuple[tuple[int, int], ...], width: int) -> Array:
    """Distribution of Σ weight · count over experts of the given rows."""
    if not members:
        return np.eye(1, width).ravel()
    if len(members) == 1 and members[0][1] == 1:
        return np.pad(pmf[members[0][0]], (0, width - pmf.shape[1]))
    length = next_fast_len(width, real=True)
    product = np.ones(length // 2 + 1, dtype=np.complex128)
    for row, weight in members:
        stretched = np.zeros(length)
        stretched[: weight * (pmf.shape[1] - 1) + 1 : weight] = pmf[row]
        product = product * rfft(stretched)
    return np.asarray(np.maximum(irfft(product, length)[:width], 0.0))
