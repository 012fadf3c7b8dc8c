"""The problems found so far, and the parts of a spec where more would only repeat them."""

from __future__ import annotations

from dataclasses import dataclass, field

from dse.errors import Problem, SpecError
from dse.spec.node import Place


@dataclass(slots=True)
class Findings:
    """Collects every problem of an input, so that all are reported at once."""

    problems: list[Problem] = field(default_factory=list)
    covered: set[str] = field(default_factory=set)
    """Dotted paths below which further problems follow from a reported one."""

    def add(self, place: Place, path: str, message: str, *, covers: str | None = None) -> None:
        """Adds a problem; nothing more is reported at or below ``covers`` (default: its path)."""
        self.problems.append(place.problem(path, message))
        self.covered.add(path if covers is None else covers)

    def is_covered(self, path: str) -> bool:
        """Whether a problem at this path would only repeat a reported one."""
        return any(path == other or path.startswith((f"{other}.", f"{other}[")) for other in self.covered if other)

    def raise_if_any(self) -> None:
        """Raises all problems, in the order of files and lines.

        Raises:
            SpecError: there is at least one problem.
        """
        if self.problems:
            files = list(dict.fromkeys(problem.file for problem in self.problems))
            unique = dict.fromkeys(self.problems)
            key = {p: (files.index(p.file), p.line or 0, p.column or 0) for p in unique}
            raise SpecError(sorted(unique, key=key.__getitem__))
