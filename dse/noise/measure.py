"""Evaluates chips one after the other or through an executor, keeping each as soon as it is known."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, as_completed
from concurrent.futures import TimeoutError as FuturesTimeoutError

from dse.noise.chip import ChipJob, evaluate_chip
from dse.noise.keep import ChipStore, Place, Record

Chips = dict[Place, Record]


def measure_chips(
    jobs: Sequence[ChipJob],
    store: ChipStore,
    found: Chips,
    *,
    executor: Executor | None,
    deadline: float,
    told: Callable[[], None],
) -> None:
    """Adds what the chips do, kept ones first; fewer where the deadline passes.

    Args:
        jobs: the chips.
        store: where chips are kept.
        found: receives the chips.
        executor: evaluates them; None: one after the other in this process.
        deadline: no chip is begun after this ``time.monotonic()``.
        told: called after every chip.
    """
    for job in jobs:
        kept = store.get(job.place)
        if kept is not None:
            found[job.place] = kept
            told()
    missing = [job for job in jobs if job.place not in found]
    results = one_by_one(missing, deadline) if executor is None else side_by_side(missing, executor, deadline)
    for place, record in results:
        store.put(place, record)
        found[place] = record
        told()


def one_by_one(jobs: Sequence[ChipJob], deadline: float) -> Iterator[tuple[Place, Record]]:
    """Chips in their order."""
    for job in jobs:
        if time.monotonic() >= deadline:
            return
        yield job.place, evaluate_chip(job)


def side_by_side(jobs: Sequence[ChipJob], executor: Executor, deadline: float) -> Iterator[tuple[Place, Record]]:
    """Chips in the order in which they are done; those not begun are taken back at the deadline or when stopped."""
    running = {executor.submit(evaluate_chip, job): job.place for job in jobs}
    left = None if math.isinf(deadline) else max(0.0, deadline - time.monotonic())
    try:
        for future in as_completed(running, timeout=left):
            yield running[future], future.result()
    except FuturesTimeoutError:
        return
    finally:
        for future in running:
            future.cancel()
