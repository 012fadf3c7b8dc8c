"""Which ``--set`` texts belong to the architecture, and which to the workload."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from dse.errors import Problem, SpecError
from dse.spec.architecture import ArchitectureSpec
from dse.spec.axis import parse_values
from dse.spec.fields import fields_of
from dse.spec.node import OVERRIDE
from dse.spec.overrides import split_override
from dse.spec.scenario import WorkloadSpec
from dse.spec.suggest import did_you_mean


class Sets(NamedTuple):
    """``--set`` texts by the kind of file that they change."""

    architecture: list[str]
    workload: list[str]


def split_sets(texts: Sequence[str]) -> Sets:
    """The ``--set`` texts of the architecture and those of the workload.

    Raises:
        SpecError: a path that begins with a key of neither.
    """
    architecture, workload = fields_of(ArchitectureSpec), fields_of(WorkloadSpec)
    known = (*architecture, *workload)
    of_architecture, of_workload, problems = [], [], []
    for text in texts:
        path, value = split_override(text)
        root = path.split(".", maxsplit=1)[0]
        if root in known and len(parse_values(value, path)) > 1:
            problems.append(
                Problem(f"takes one value here (got {value}); `dse explore` varies several", path, OVERRIDE)
            )
        elif root == "mapping":
            problems.append(Problem("varies in `dse explore` only; here give --digital-fraction", path, OVERRIDE))
        elif root in architecture:
            of_architecture.append(text)
        elif root in workload:
            of_workload.append(text)
        else:
            hint = did_you_mean(root, known) or f"; a path begins with one of {', '.join(known)}"
            problems.append(Problem(f"unknown path{hint}", path, OVERRIDE))
    if problems:
        raise SpecError(problems)
    return Sets(of_architecture, of_workload)
