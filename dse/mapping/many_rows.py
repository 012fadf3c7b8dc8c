"""Chooses a count per layer for many designs at once, under one budget and a range for the sum, with lower bounds."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dse.mapping.many_exact import exact_counts, is_small

# P design points, L layers, C counts 0..E of one layer

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
Counts = NDArray[np.int64]

MOST_TANGENTS: Final = 60
"""Prices tried for one row; the search ends by itself, of the dual there are finitely many pieces."""
ALTERNATIONS: Final = 4
"""How often the price of the budget and that of the sum are set in turn."""
MOST_MOVES: Final = 40
"""Steps of the local search."""
WORTH: Final = 1e-3
"""Gap above which a second search is worth its time."""
EXACT: Final = 1e-9
"""Share below which nothing is left to gain."""
ROUNDING: Final = 1e-12
"""Share below which a difference is rounding."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Rows:
    """``min Σ_l value_l(k_l)`` with ``Σ_l spent_l(k_l) <= budget`` and ``least <= Σ_l k_l <= most``."""

    value: Array
    """(P, L, C); infinite where a layer may not have that count."""
    spent: Array
    """(P, L, C)."""
    budget: Array
    """(P,): infinite where there is none."""
    least: Counts
    most: Counts

    def at(self, points: Counts) -> Rows:
        """The rows of some points."""
        return Rows(
            value=self.value[points],
            spent=self.spent[points],
            budget=self.budget[points],
            least=self.least[points],
            most=self.most[points],
        )


class Answer(NamedTuple):
    """Counts of every point with what is proven of them."""

    counts: Counts
    """(P, L)."""
    bound: Array
    """(P,): no counts within the limits have a smaller value; infinite where none exist."""
    is_feasible: Bools
    """(P,): the counts keep budget and sum."""
    least_spent: Array
    """(P,): no counts within the range spend less."""


class Tangent(NamedTuple):
    """The best price of one row, and the two cheapest choices at that price on either side of its target."""

    price: Array
    within: Counts
    beyond: Counts
    dual: Array
    """(P,): value of the dual function at the price."""


def total(table: Array, counts: Counts) -> Array:
    """(P,): sum over the layers of the entries of the counts."""
    return np.asarray(np.take_along_axis(table, counts[:, :, None], axis=2)[:, :, 0].sum(axis=1))


def solve_rows(rows: Rows) -> Answer:
    """Counts of every point, by Lagrangian prices and a local search.

    ``max_{u, μ >= 0} Σ_l min_k (value + u·spent ± μ·k) − u·budget ∓ μ·target`` bounds the value from below at any
    prices (Everett, Oper. Res. 11, 1963); with one price the maximum is found exactly, as the tangent through the
    choices on either side of the target. Between those two the counts step one layer after the other; then single
    steps and pairs of steps that help.
    """
    frugal, least_spent = within_range(rows, rows.spent + np.where(np.isinf(rows.value), np.inf, 0.0))
    counts, bound = within_range(rows, rows.value)
    spent = total(rows.spent, counts)
    over = np.flatnonzero((spent > rows.budget) & np.isfinite(least_spent) & (least_spent <= rows.budget))
    if len(over):
        own = rows.at(over)
        found, dual = within_budget(own)
        bound[over] = np.maximum(bound[over], dual)
        counts[over] = found
    counts = improved(rows, counts)
    lost = np.flatnonzero(total(rows.spent, counts) > rows.budget)
    if len(lost):
        counts[lost] = improved(rows.at(lost), frugal[lost])
    loose = np.flatnonzero((spent > rows.budget) & (total(rows.value, counts) > bound + WORTH * np.abs(bound)))
    if len(loose):
        counts[loose] = refined(rows.at(loose), counts[loose])
    n = counts.sum(axis=1)
    keeps = (total(rows.spent, counts) <= rows.budget) & (n >= rows.least) & (n <= rows.most)
    bound[~np.isfinite(least_spent) | (least_spent > rows.budget)] = np.inf
    return Answer(counts, bound, keeps, least_spent)


def within_range(rows: Rows, table: Array) -> tuple[Counts, Array]:
    """Counts of a small sum of a table within the range, and a lower bound of that sum (infinite: none exist)."""
    counts = table.argmin(axis=2)
    bound, n = total(table, counts), counts.sum(axis=1)
    for sign, target in ((1, rows.most), (-1, rows.least)):
        off = np.flatnonzero(sign * n > sign * target)
        if not len(off):
            continue
        row = np.broadcast_to(sign * np.arange(table.shape[2], dtype=np.float64), table[off].shape)
        best = tangent(table[off], row, (sign * target[off]).astype(np.float64))
        counts[off] = between(best.within, best.beyond, target[off])
        bound[off] = best.dual
    bound[rows.least > rows.most] = np.inf
    open_points = np.flatnonzero(np.isfinite(bound) & (total(table, counts) - bound > EXACT * np.abs(bound)))
    if len(open_points) and is_small(table):
        counts[open_points] = exact_counts(table[open_points], rows.least[open_points], rows.most[open_points])
        bound[open_points] = total(table[open_points], counts[open_points])
    return counts, bound


def within_budget(rows: Rows) -> tuple[Counts, Array]:
    """Counts near the best within budget and range, and a lower bound of their value."""
    steps = np.arange(rows.value.shape[2], dtype=np.float64)
    of_budget = tangent(rows.value, rows.spent, rows.budget)
    counts, bound = of_budget.within.copy(), of_budget.dual.copy()
    n = counts.sum(axis=1)
    off = np.flatnonzero((n < rows.least) | (n > rows.most))
    if not len(off):
        return counts, bound
    own, price = rows.at(off), of_budget.price[off]
    for _ in range(ALTERNATIONS):
        priced = own.value + price[:, None, None] * own.spent
        n = priced.argmin(axis=2).sum(axis=1)
        sign = np.where(n > own.most, 1.0, -1.0)
        target = np.where(n > own.most, own.most, own.least)
        row = sign[:, None, None] * np.broadcast_to(steps, priced.shape)
        of_sum = tangent(priced, row, sign * target)
        bound[off] = np.maximum(bound[off], of_sum.dual - price * own.budget)
        counts[off] = between(of_sum.within, of_sum.beyond, np.clip(of_sum.within.sum(axis=1), own.least, own.most))
        ranged = own.value + of_sum.price[:, None, None] * row
        again = tangent(ranged, own.spent, own.budget)
        bound[off] = np.maximum(bound[off], again.dual - of_sum.price * sign * target)
        price = again.price
    return counts, bound


def tangent(table: Array, row: Array, target: Array) -> Tangent:
    """The price that maximises ``min Σ (table + price·row) − price·target``, (P,), by secants between two choices.

    Every secant is a price; the choice that is cheapest at it replaces the one on its side of the target, until
    none is cheaper than the two: then the secant is a tangent and the dual value is the largest.
    """
    beyond = table.argmin(axis=2)
    allowed = np.where(np.isinf(table), np.inf, row)
    within = np.where(allowed <= allowed.min(axis=2, keepdims=True), table, np.inf).argmin(axis=2)
    price, dual = np.zeros(len(table)), total(table, beyond)
    kept = total(row, beyond) <= target
    within[kept] = beyond[kept]
    none = total(row, within) > target
    dual[none] = np.inf
    active = np.flatnonzero(~kept & ~none)
    for _ in range(MOST_TANGENTS):
        if not len(active):
            break
        own, line, aim = table[active], row[active], target[active]
        inner, outer = within[active], beyond[active]
        v_in, v_out, r_in, r_out = total(own, inner), total(own, outer), total(line, inner), total(line, outer)
        slope = np.maximum((v_in - v_out) / (r_out - r_in), 0.0)
        found = (own + slope[:, None, None] * line).argmin(axis=2)
        v, r = total(own, found), total(line, found)
        level = v + slope * r
        price[active], dual[active] = slope, level - slope * aim
        ends = level >= v_in + slope * r_in - ROUNDING * (np.abs(v_in) + slope * np.abs(r_in))
        inside = r <= aim
        within[active[~ends & inside]] = found[~ends & inside]
        beyond[active[~ends & ~inside]] = found[~ends & ~inside]
        active = active[~ends]
    return Tangent(price, within, beyond, dual)


def between(one: Counts, other: Counts, target: Counts) -> Counts:
    """Counts on the way from one choice to the other, layer after layer, of the target's sum where it lies there."""
    step = other - one
    missing = (target - one.sum(axis=1))[:, None]
    before = np.cumsum(step, axis=1) - step
    left = missing - before
    return np.asarray(one + np.clip(left, np.minimum(step, 0), np.maximum(step, 0)))


def improved(rows: Rows, counts: Counts) -> Counts:
    """Counts after steps that help, each the best of all: towards the limits first, then to a smaller value."""
    counts = counts.copy()
    active = np.arange(len(counts))
    for _ in range(MOST_MOVES):
        moved = stepped(rows.at(active) if len(active) < len(counts) else rows, counts[active])
        changed = (moved != counts[active]).any(axis=1)
        counts[active] = moved
        active = active[changed]
        if not len(active):
            break
    return counts


def refined(rows: Rows, counts: Counts) -> Counts:
    """The better of some counts and those found when the layers without, and with all, experts are held as they are.

    What makes a layer's table bend the wrong way is the first and the last expert of a technology (a launch, a path);
    with these layers held the rest is close to convex, where prices and steps find the best. Held as on either side
    of the tangent.
    """
    counts, last = counts.copy(), rows.value.shape[2] - 1
    tangents = tangent(rows.value, rows.spent, rows.budget)
    step = np.arange(last + 1)
    for side in (tangents.within, tangents.beyond):
        held = np.where((side == 0) | (side == last), side, -1)[:, :, None]
        is_open = np.where(held >= 0, step == held, (step > 0) & (step < last))
        own = dataclasses.replace(rows, value=np.where(is_open, rows.value, np.inf))
        found = improved(rows, within_budget(own)[0])
        n = found.sum(axis=1)
        keeps = (total(rows.spent, found) <= rows.budget) & (n >= rows.least) & (n <= rows.most)
        better = keeps & (total(rows.value, found) < total(rows.value, counts))
        counts[better] = found[better]
    return counts


def stepped(rows: Rows, counts: Counts) -> Counts:
    """Counts after the best change of one or two layers by one expert each; the same where none helps."""
    n_layers, n_counts = counts.shape[1], rows.value.shape[2]
    delta = np.r_[np.full(n_layers, -1), np.full(n_layers, 1), 0]
    layer = np.r_[np.arange(n_layers), np.arange(n_layers), -1]
    to = np.clip(np.stack([counts - 1, counts + 1], axis=2), 0, n_counts - 1)

    def change(table: Array) -> Array:
        here = np.take_along_axis(table, counts[:, :, None], axis=2)
        moves = np.take_along_axis(table, to, axis=2) - here
        return np.concatenate([moves[:, :, 0], moves[:, :, 1], np.zeros((len(counts), 1))], axis=1)

    def paired(values: Array) -> Array:
        return np.asarray(values[:, first] + values[:, second])

    first, second = np.triu_indices(2 * n_layers + 1, 1)
    first, second = first[layer[first] != layer[second]], second[layer[first] != layer[second]]
    spent, n = total(rows.spent, counts)[:, None], counts.sum(axis=1)[:, None]
    off_edge = np.concatenate([counts == 0, counts == n_counts - 1, np.zeros((len(counts), 1), bool)], axis=1)
    d_value = paired(np.where(off_edge, np.inf, change(rows.value)))
    d_spent, d_n = paired(change(rows.spent)), delta[first] + delta[second]
    in_range = (n + d_n >= rows.least[:, None]) & (n + d_n <= rows.most[:, None])
    is_over = spent > rows.budget[:, None]
    tiny = ROUNDING * np.abs(total(rows.value, counts))[:, None]
    helps = in_range & np.where(is_over, d_spent < 0, (spent + d_spent <= rows.budget[:, None]) & (d_value < -tiny))
    with np.errstate(divide="ignore", invalid="ignore"):
        rank = np.where(is_over, np.maximum(d_value, 0.0) / -d_spent, d_value)
    rank = np.where(helps & np.isfinite(d_value), rank, np.inf)
    best = rank.argmin(axis=1)
    points = np.flatnonzero(np.isfinite(rank[np.arange(len(rank)), best]))
    moved = counts.copy()
    for move in (first[best], second[best]):
        own = points[layer[move[points]] >= 0]
        moved[own, layer[move[own]]] += delta[move[own]]
    return moved
