"""Progress bars on stderr."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from tqdm import tqdm


def progress_bar(arguments: argparse.Namespace, what: str) -> Callable[[int, int], None]:
    """A bar that is told (done, in all); silent where stderr is no terminal."""
    silent = True if arguments.quiet or arguments.no_progress else None
    bar = tqdm(disable=silent, unit=f" {what}", file=sys.stderr, leave=False)

    def step(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)
        if done >= total:
            bar.close()

    return step
