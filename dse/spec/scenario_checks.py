"""What must hold for a scenario, and between the scenarios of a mix."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from dse.spec.violation import Violation

if TYPE_CHECKING:
    from dse.spec.scenario import Scenario, WeightedScenario


def scenario_violations(given: Scenario | tuple[WeightedScenario, ...], paths: Collection[str]) -> Iterator[Violation]:
    """Every broken rule; ``paths`` are the dotted paths that the file states."""
    if not isinstance(given, tuple):
        yield from _lengths(given, ("scenario",), "scenario", paths)
        return
    seen: dict[str, int] = {}
    formats = dataclasses.astuple(given[0].precision)
    for position, entry in enumerate(given):
        steps = ("scenario", position)
        if entry.name in seen:
            yield Violation((*steps, "name"), f"name {entry.name!r} is taken by scenario[{seen[entry.name]}]")
        seen.setdefault(entry.name, position)
        if dataclasses.astuple(entry.precision) != formats:
            message = f"differs from that of {given[0].name!r}; the scenarios of a mix share one set of formats"
            yield Violation((*steps, "precision"), message)
        yield from _lengths(entry, steps, f"scenario.{entry.name}", paths)


def _lengths(
    scenario: Scenario, steps: tuple[str | int, ...], path: str, paths: Collection[str]
) -> Iterator[Violation]:
    """Generation has no length of its own: both of its lengths must be given."""
    if scenario.phase != "generate":
        return
    for key in ("prompt_tokens", "new_tokens"):
        if f"{path}.{key}" not in paths:
            yield Violation((*steps, "phase"), f"generate needs {key}; add {key}: …")
