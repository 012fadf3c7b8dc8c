"""Groups blocks that only their scores tell apart, so that the program counts them instead of naming each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from dse.mapping.instance import Indices, Instance
from dse.mapping.objective import Choice


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Blocks of one stage with equal shapes, options and (where energy counts) visits."""

    members: Indices
    options: Indices

    @property
    def size(self) -> int:
        """Blocks of the pool."""
        return len(self.members)


def make_pools(instance: Instance, *, with_energy: bool) -> tuple[Pool, ...]:
    """Pools of all blocks that have a choice, in block order."""
    found: dict[tuple[int, int, bytes, float], list[int]] = {}
    for block in np.flatnonzero(instance.allowed.sum(axis=1) > 1).tolist():
        visits = float(instance.visits[block]) if with_energy else 0.0
        allowed = instance.allowed[block].tobytes()
        key = (int(instance.stage[block]), int(instance.block_class[block]), allowed, visits)
        found.setdefault(key, []).append(block)
    return tuple(Pool(np.array(own), np.flatnonzero(instance.allowed[own[0]])) for own in found.values())


def fixed_choice(instance: Instance) -> Choice:
    """(N,): the option of blocks that have only one, −1 for the others."""
    single = instance.allowed.sum(axis=1) == 1
    return np.where(single, instance.allowed.argmax(axis=1), -1)


def distribute(instance: Instance, pool: Pool, counts: Indices) -> Indices:
    """Option of each member, so that each option gets its count and the sum of scores is least.

    Among two options: sorting by the difference of their scores; more: an assignment problem. Equal scores are
    taken in block order.

    Args:
        instance: gives the scores.
        pool: the blocks.
        counts: blocks per option of the pool, adding up to its size.
    """
    used = np.flatnonzero(counts)
    score = instance.score[np.ix_(pool.members, pool.options[used])]
    if len(used) == 1:
        return np.full(pool.size, pool.options[used[0]])
    if len(used) == 2:
        order = np.argsort(score[:, 1] - score[:, 0], kind="stable")
        column = np.zeros(pool.size, dtype=np.int64)
        column[order[: counts[used[1]]]] = 1
    else:
        seats = np.repeat(np.arange(len(used)), counts[used])
        _, seat = linear_sum_assignment(score[:, seats])
        column = seats[seat]
    return pool.options[used][column]
