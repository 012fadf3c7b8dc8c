"""Groups blocks that only their scores tell apart, so that the program counts them instead of naming each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from dse.mapping.instance import Array, Bools, Indices, Instance
from dse.mapping.objective import Choice


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Blocks of one stage with equal sizes, options and (where they count) energies and times."""

    members: Indices
    options: Indices

    @property
    def size(self) -> int:
        """Blocks of the pool."""
        return len(self.members)


def make_pools(instance: Instance, *, with_costs: bool, alone: Bools) -> tuple[Pool, ...]:
    """Pools of all blocks that have a choice, in block order.

    Args:
        instance: the blocks.
        with_costs: whether energies and times tell blocks apart, not only sizes and options.
        alone: (N,) blocks that limits name, which are pools of their own.
    """
    free = np.flatnonzero(instance.allowed.sum(axis=1) > 1)
    tables = [instance.allowed, instance.units, instance.n_bytes]
    if with_costs:
        tables += [instance.energy_pj, instance.path_ns, instance.fixed_ns, *step_costs(instance)]
    columns = [instance.stage, instance.block_class, instance.is_expert, np.where(alone, 1 + np.arange(len(alone)), 0)]
    rows = np.column_stack([np.asarray(part, dtype=np.float64) for part in (*columns, *tables)])
    keys = np.ascontiguousarray(rows).view(np.dtype((np.void, rows.shape[1] * rows.itemsize)))[:, 0]
    found: dict[bytes, list[int]] = {}
    for block in free.tolist():
        found.setdefault(keys[block].tobytes(), []).append(block)
    return tuple(Pool(np.array(own), np.flatnonzero(instance.allowed[own[0]])) for own in found.values())


def step_costs(instance: Instance) -> list[Array]:
    """The (N, O) tables of times of all kinds of steps."""
    return [
        table
        for step in instance.steps
        for table in (step.compute_ns, step.fetch_ns, step.buffer_ns, step.added_ns, step.host_ns)
    ]


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
