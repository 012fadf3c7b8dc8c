"""How many threads a measurement may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import torch

SMALL_WIDTH: Final = 1024
"""Below this model width one thread is faster than several: products are too small to share, and threads that wait for
each other on a busy machine have cost 10 times the work (measured on two shared cores)."""


@contextmanager
def threads_for(width: int) -> Iterator[None]:
    """One thread for a model narrower than SMALL_WIDTH, unless OMP_NUM_THREADS says otherwise; restored at the end."""
    before = torch.get_num_threads()
    if width < SMALL_WIDTH and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for the operations of torch that this thread starts, and those it starts meanwhile; then as before.

    Weights are drawn in pieces that fit into a cache, which are too small to share.
    """
    before = torch.get_num_threads()
    if before > 1:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if before > 1:
            torch.set_num_threads(before)
