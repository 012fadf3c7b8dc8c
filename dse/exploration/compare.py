"""Two results side by side: what differs in the inputs and in the result, and whether they may be compared."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pandas as pd

from dse.errors import Problem, SpecError
from dse.evaluation.result import Evaluation
from dse.exploration.outcome import OUTCOMES, TABLES, WORKLOAD_KEYS, Outcome, load_outcome, outcome_of

BOUNDARIES: Final[Mapping[str, str]] = {
    "macro": "one array with its converters",
    "die": "everything on the dies, without memory stacks and links between dies",
    "package": "all dies, their links and memories",
    "board": "the package, its regulators and what else is on the board",
    "wall": "the whole machine at its plug, power supply and cooling included",
}
"""Energy boundary → what it includes."""


def compare(
    a: Outcome | Evaluation | str | Path, b: Outcome | Evaluation | str | Path, *, anyway: bool = False
) -> pd.DataFrame:
    """Metrics and their parts before and after: table, component, before, after, change.

    Args:
        a: an evaluation, a file of ``dse evaluate -o``, or a run folder (``RUN`` or ``RUN#POINT``).
        b: as ``a``.
        anyway: also where the two do not count the same energy or do not run the same task.

    Raises:
        SpecError: the two are not to be compared, or one of them cannot be read.
    """
    before, after = (x if isinstance(x, Outcome) else as_outcome(x) for x in (a, b))
    if not anyway:
        require_comparable(before, after)
    return difference(before, after)


def as_outcome(result: Evaluation | str | Path) -> Outcome:
    """The outcome of an evaluation or of what a path names."""
    return outcome_of(result) if isinstance(result, Evaluation) else load_outcome(str(result))


def require_comparable(before: Outcome, after: Outcome) -> None:
    """Raises SpecError where energy boundaries or tasks differ."""
    advice = "; --anyway (in Python anyway=True) compares them as they are"
    problems = objections(before, after)
    if problems:
        raise SpecError([Problem(problem.message + advice, problem.path) for problem in problems])


def objections(before: Outcome, after: Outcome) -> list[Problem]:
    """Why the two are not to be compared: another energy boundary, another task."""
    problems = []
    one, two = before.energy_boundary, after.energy_boundary
    if one != two:
        problems.append(
            Problem(
                f"energy boundaries differ: {before.name or 'the first'} counts the {one} ({BOUNDARIES[one]}), "
                f"{after.name or 'the second'} the {two} ({BOUNDARIES[two]})",
                "energy_boundary",
            )
        )
    other = {p: v for p, v in input_changes(before, after).items() if p.split(".")[0] in WORKLOAD_KEYS}
    if not (before.states_defaults and after.states_defaults) and before.workload != after.workload:
        other = {"workload": (before.workload, after.workload), **other}
    if other:
        said = ", ".join(f"{path} {old} and {new}" for path, (old, new) in list(other.items())[:4])
        more = f" and {len(other) - 4} more" if len(other) > 4 else ""
        problems.append(Problem(f"the two do not run the same task: {said}{more}", "workload"))
    return problems


def input_changes(before: Outcome, after: Outcome) -> dict[str, tuple[Any, Any]]:
    """Path → the two values where they differ; None where a side has no such value."""
    if not before.inputs or not after.inputs:
        return {}
    paths = dict.fromkeys([*before.inputs, *after.inputs])
    found = {path: (before.inputs.get(path), after.inputs.get(path)) for path in paths}
    only_stated = not (before.states_defaults and after.states_defaults)
    return {
        path: (old, new)
        for path, (old, new) in found.items()
        if as_text(old) != as_text(new) and not (only_stated and (old is None or new is None))
    }


def as_text(value: object) -> str:
    """A value as it is compared: numbers by twelve digits, also where a table holds them as text."""
    try:
        return f"{float(value):.12g}" if value is not None else ""  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return str(value)


def difference(before: Outcome, after: Outcome) -> pd.DataFrame:
    """table, component, before, after, change of two outcomes; a part that one lacks counts 0 there."""
    rows = [("metric", name, before.metrics[name], after.metrics[name]) for name in OUTCOMES]
    for table in TABLES:
        one, two = before.parts[table], after.parts[table]
        rows += [(table, part, one.get(part, 0.0), two.get(part, 0.0)) for part in dict.fromkeys([*one, *two])]
    frame = pd.DataFrame(rows, columns=["table", "component", "before", "after"])
    return frame.assign(change=frame["after"] - frame["before"])
