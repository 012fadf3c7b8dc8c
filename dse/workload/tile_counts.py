"""Distributions of the visits of experts, and of tiles that hold several, in a step of independent tokens."""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True, eq=False)
class TileSets:
    """Loads of the kinds of tiles, which hold different experts."""

    plain: Array
    """(V, C): distribution of the load of each distinct kind of tile, from binomial counts."""
    pmf: Array
    """(V, C): the same from widened counts."""
    shift: NDArray[np.int64]
    """(V,): lattice steps that are added to the load (never above 0)."""
    count: Array
    """(V,): tiles of the kind."""


def tile_sets(counts: Counts, held: NDArray[np.int64], shift: NDArray[np.int64]) -> TileSets:
    """Kinds of tiles: tiles with experts of equal popularity have the same load; one slice of each at most."""
    if (held.sum(axis=1) == 1).all() and held.sum(axis=0).max() == 1 and np.ptp(shift) == 0:
        return separate_tiles(counts, held, int(shift[0]))
    width = int(held.sum(axis=1).max()) * (counts.pmf.shape[1] - 1) + 1
    kinds: dict[tuple[bytes, int], int] = {}
    members, kind_of = [], []
    for here, offset in zip(held > 0, shift.tolist(), strict=True):
        rows = np.sort(counts.of_expert[here])
        if (rows.tobytes(), offset) not in kinds:
            kinds[rows.tobytes(), offset] = len(kinds)
            members.append(rows.tolist())
        kind_of.append(kinds[rows.tobytes(), offset])
    return TileSets(
        plain=np.array([load_pmf(counts.plain, rows, width) for rows in members]),
        pmf=np.array([load_pmf(counts.pmf, rows, width) for rows in members]),
        shift=shift[[kind_of.index(v) for v in range(len(kinds))]],
        count=np.bincount(kind_of).astype(np.float64),
    )


def separate_tiles(counts: Counts, held: NDArray[np.int64], shift: int) -> TileSets:
    """The same for tiles that hold one slice each, of different experts."""
    rows, count = np.unique(counts.of_expert[held.any(axis=0)], return_counts=True)
    return TileSets(
        plain=counts.plain[rows],
        pmf=counts.pmf[rows],
        shift=np.full(len(rows), shift),
        count=count.astype(np.float64),
    )


def load_pmf(pmf: Array, rows: list[int], width: int) -> Array:
    """Distribution of the sum of the counts of experts of the given rows."""
    if not rows:
        return np.eye(1, width).ravel()
    if len(rows) == 1:
        return np.pad(pmf[rows[0]], (0, width - pmf.shape[1]))
    length = next_fast_len(width, real=True)
    product = rfft(pmf[rows], length).prod(axis=0)
    return np.asarray(np.maximum(irfft(product, length)[:width], 0.0))
