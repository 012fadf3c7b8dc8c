"""Worker processes of a command."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager


@contextmanager
def processes(jobs: int) -> Iterator[Executor | None]:
    """Worker processes; None for one job, which runs in this process."""
    if jobs == 1:
        yield None
        return
    pool = ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn"), initializer=leave_when_stopped)
    try:
        yield pool
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def leave_when_stopped() -> None:
    """Lets Ctrl-C end a worker at once and in silence."""
    signal.signal(signal.SIGINT, lambda number, frame: os._exit(130))
