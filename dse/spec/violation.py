"""A rule between values that is broken."""

from __future__ import annotations

from typing import NamedTuple


class Violation(NamedTuple):
    """A rule that is broken: the way to the value (keys, names, positions) and what is wrong."""

    steps: tuple[str | int, ...]
    message: str

    @property
    def path(self) -> str:
        """Dotted path."""
        return "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in self.steps).removeprefix(".")
