"""A rule between values that is broken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from dse.spec.suggest import did_you_mean


class Violation(NamedTuple):
    """A rule that is broken: the way to the value (keys, names, positions) and what is wrong."""

    steps: tuple[str | int, ...]
    message: str

    @property
    def path(self) -> str:
        """Dotted path."""
        return "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in self.steps).removeprefix(".")


def reference_violations(
    steps: tuple[str | int, ...], name: str, known: Sequence[str], noun: str
) -> Iterator[Violation]:
    """A violation where a name refers to nothing."""
    if name not in known:
        yield Violation(steps, f"no {noun} is named {name!r}{did_you_mean(name, dict.fromkeys(known))}")
