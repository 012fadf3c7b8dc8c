"""A space of designs: what it starts from, what varies, what counts, what must be kept."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field

from dse.errors import Problem, SpecError
from dse.spec.axis import parse_values
from dse.spec.digest import digest_of
from dse.spec.document import Document, read_document
from dse.spec.findings import Findings
from dse.spec.node import Node, Plain, find, plain, provenance_of
from dse.spec.provenance import Provenance
from dse.spec.quantity import CONFIG, Number
from dse.spec.shipped import FileKind, find_file
from dse.spec.suggest import did_you_mean
from dse.spec.translate import validated
from dse.spec.unmodelled import find_unmodelled

Whole = Annotated[int, Number(ge=0, integer=True)]
AtLeastOne = Annotated[int, Number(ge=1, integer=True)]

AXIS_ROOTS: Final = (
    "composition", "micro_batches", "dies", "analog_cores", "digital_units", "memories", "links",
    "scenario", "routing", "mapping",
)  # fmt: skip
"""First parts of the paths that may vary."""

_LIMIT: Final = re.compile(r"(?:max|min)_[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Base:
    """The design that the space varies."""

    __pydantic_config__ = CONFIG

    architecture: str
    """Architecture file or shipped name."""
    workload: str
    """Workload file or shipped name."""


MappingLimit = Literal[
    "max_sensitivity", "max_sensitivity_share", "max_energy_pj_per_token", "max_digital_experts",
    "max_digital_experts_per_layer",
]  # fmt: skip
MappingBudgets = Mapping[MappingLimit, Annotated[float, Number(ge=0)]]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class MappingPolicy:
    """How experts are chosen for digital units; the workload names their score."""

    __pydantic_config__ = CONFIG

    policy: Literal["ranking", "optimal"] = "ranking"
    """``ranking``: as many experts as an axis says, by their score; ``optimal``: every point gets the mapping of the
    least objective under its limits, with a stated gap (where an axis says how many experts are digital, of those)."""
    ranking: Literal["per_layer", "global"] = "per_layer"
    """Of the policy ``ranking``. ``per_layer``: the same share of every layer; ``global``: the worst experts of the
    whole model."""
    objective: Literal["energy", "sensitivity"] = "energy"
    """Of the policy ``optimal``: energy per token, or the sum of the scores on analog cores."""
    limits: MappingBudgets = field(default_factory=dict)
    """Of the policy ``optimal``: limits of the mapping. At most one of ``max_sensitivity``, ``max_sensitivity_share``
    and ``max_energy_pj_per_token``."""
    certify: Whole = 4
    """Of the policy ``optimal``: most points of the front that are mapped again with the solver."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class AccuracyBudget:
    """How much noise simulation is spent."""

    __pydantic_config__ = CONFIG

    pairs: AtLeastOne = 4
    """Antithetic pairs of draws a point."""
    points: AtLeastOne = 8
    """Most points that are simulated."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SpaceSpec:
    """What a space file says."""

    __pydantic_config__ = CONFIG

    name: str
    """Name shown in reports."""
    base: Base
    """The design that is varied."""
    axes: Annotated[Mapping[str, object], Field(min_length=1)]
    """Dotted path → values: a list, or a text such as ``6,7,8``, ``4:10:2``, ``0:1:lin5``, ``1:1000:log4``."""
    metrics: Annotated[Mapping[str, Literal["max", "min"]], Field(min_length=1)]
    """Metrics of the Pareto front and the better direction of each."""
    limits: Mapping[str, Annotated[float, Number()]] = field(default_factory=dict)
    """``max_`` or ``min_`` and a metric → the largest or smallest value allowed."""
    mapping: MappingPolicy = field(default_factory=MappingPolicy)
    """How experts are chosen."""
    accuracy: AccuracyBudget | None = None
    """Noise simulation; absent: none."""
    seed: Whole = 0
    """Seed of everything that is drawn."""


@dataclass(frozen=True, slots=True, eq=False)
class LoadedSpace:
    """What a space file says, with its axes spelled out and its base files found."""

    spec: SpaceSpec
    axes: Mapping[str, tuple[Plain, ...]]
    architecture: Path
    workload: Path
    provenance: Mapping[str, Provenance]
    digest: str
    file: str
    """How messages call the file."""


def load_space(path: str | Path) -> LoadedSpace:
    """Reads a space file.

    Raises:
        SpecError: every problem of the file.
    """
    findings = Findings()
    document = read_document(path, "space", findings)
    root = document.root
    find_unmodelled(root, "space", findings)
    spec = validated(root, SpaceSpec, findings)
    axes = {name: _axis(name, root, findings) for name in spec.axes}
    for name in spec.limits:
        if not _LIMIT.fullmatch(name):
            message = "a limit is max_ or min_ and a metric, e.g. max_area_mm2"
            findings.add(_node(root, "limits", name).key_place, f"limits.{name}", message)
    architecture = _base(document, "architecture", spec.base.architecture, findings)
    workload = _base(document, "workload", spec.base.workload, findings)
    findings.raise_if_any()
    return LoadedSpace(
        spec=spec,
        axes=axes,
        architecture=architecture,
        workload=workload,
        provenance=provenance_of(root),
        digest=digest_of((spec, axes)),
        file=document.file.shown,
    )


def _axis(name: str, root: Node, findings: Findings) -> tuple[Plain, ...]:
    node, path = _node(root, "axes", name), f"axes.{name}"
    head = name.split(".", maxsplit=1)[0]
    if head not in AXIS_ROOTS:
        hint = did_you_mean(head, AXIS_ROOTS) or f"; a path begins with one of {', '.join(AXIS_ROOTS)}"
        findings.add(node.key_place, path, f"unknown path{hint}")
        return ()
    if isinstance(node.value, dict) or node.value is None or node.value == []:
        findings.add(node.place, path, "must be a value, a list or a text such as 4:10:2")
        return ()
    if isinstance(node.value, list):
        return tuple(plain(entry) for entry in node.value)
    if not isinstance(node.value, str):
        return (node.value,)
    try:
        return tuple(parse_values(node.value, name))
    except SpecError as error:
        findings.add(node.place, path, error.problems[0].message)
        return ()


def _base(document: Document, key: FileKind, name: str, findings: Findings) -> Path:
    found = find_file(name, key, near=document.file)
    if isinstance(found, Problem):
        findings.add(_node(document.root, "base", key).place, f"base.{key}", found.message)
        return Path(name)
    return found.path


def _node(root: Node, *steps: str) -> Node:
    node = find(root, steps)
    assert node is not None, steps
    return node
