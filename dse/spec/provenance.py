"""Where a value comes from: file and line, source, evidence and stated spread."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, ParamSpec, TypeVar

from dse.errors import Problem, SpecError

P = ParamSpec("P")
T = TypeVar("T")

Evidence = Literal["measured", "simulated", "derived", "assumed"]


@dataclass(frozen=True, slots=True)
class Provenance:
    """Origin of one value of a spec."""

    source: str | None = None
    evidence: Evidence | None = None
    spread_fraction: float | None = None
    file: str = ""
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        said = f"[{self.evidence}] " if self.evidence else ""
        return f"{where} {said}{self.source or ''}".strip()


def stated_origin(provenance: Mapping[str, Provenance], path: str) -> Provenance | None:
    """Origin of the value at a path, None where no file states it; a position in a list is ``.0`` or ``[0]``."""
    return provenance.get(path) or provenance.get(re.sub(r"\.(\d+)(?=\.|$)", r"[\1]", path))


def first_origin(provenance: Mapping[str, Provenance], path: str) -> Provenance | None:
    """Origin of the value at a path, or of the first value inside it."""
    inside = (key for key in provenance if key.startswith((f"{path}.", f"{path}[")))
    return next((provenance[key] for key in (path, *inside) if key in provenance), None)


def located(problems: Sequence[Problem], provenance: Mapping[str, Provenance]) -> list[Problem]:
    """The problems with file, line and column where their path or something in or around it has an origin."""
    return [problem if problem.file else at_origin(problem, provenance) for problem in problems]


def placed(function: Callable[P, T]) -> Callable[P, T]:
    """The function, whose problems stand at the places in the files that its inputs were read from."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except SpecError as error:
            origins: dict[str, Provenance] = {}
            for given in (*args, *kwargs.values()):
                origins |= getattr(given, "provenance", {})
            raise SpecError(located(error.problems, origins)) from None

    return run


def at_origin(problem: Problem, provenance: Mapping[str, Provenance]) -> Problem:
    """A problem at its value, else at the first value inside its path, else at what holds it."""
    path = problem.path
    while path:
        origin = first_origin(provenance, path)
        if origin is not None:
            return replace(problem, file=origin.file, line=origin.line, column=origin.column)
        path = path.rpartition(".")[0]
    return problem
