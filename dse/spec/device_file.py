"""Reads a device file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dse.errors import Problem, SpecError
from dse.spec.checks import Violation, device_violations
from dse.spec.device import Device
from dse.spec.digest import digest_of
from dse.spec.document import read_document
from dse.spec.findings import Findings
from dse.spec.node import Node, child, label, name_of, provenance_of
from dse.spec.provenance import Provenance
from dse.spec.translate import validated
from dse.spec.unmodelled import find_unmodelled


@dataclass(frozen=True, slots=True, eq=False)
class LoadedDevice:
    """A device with the origin of each value."""

    spec: Device
    provenance: Mapping[str, Provenance]
    digest: str
    file: str
    """How messages call the file."""


def load_device(path: str | Path) -> Device:
    """Reads a device file (or the name of a shipped one).

    Raises:
        SpecError: every problem of the file, with line and column.
    """
    return load_device_file(path).spec


def load_device_file(path: str | Path) -> LoadedDevice:
    """Reads a device file and keeps the origin of each value.

    Raises:
        SpecError: every problem of the file, with line and column.
    """
    findings = Findings()
    document = read_document(path, "device", findings)
    find_unmodelled(document.root, "device", findings)
    device = validated(document.root, Device, findings)
    report(device_violations(device), document.root, findings)
    findings.raise_if_any()
    return LoadedDevice(device, provenance_of(document.root), digest_of(device), document.file.shown)


def report(violations: Iterable[Violation], root: Node, findings: Findings) -> None:
    """Adds broken rules as problems, each at the place its value stands."""
    for violation in violations:
        node, path = root, ""
        for step in violation.steps:
            inner, step_label = _inside(node, step)
            path += step_label
            node = node if inner is None else inner
        findings.problems.append(node.place.problem(path.removeprefix("."), violation.message))


def refuse(violations: Iterable[Violation]) -> None:
    """Raises broken rules of values that no file gave.

    Raises:
        SpecError: there is at least one.
    """
    problems = [Problem(violation.message, path=violation.path) for violation in violations]
    if problems:
        raise SpecError(problems)


def _inside(node: Node, step: str | int) -> tuple[Node | None, str]:
    if isinstance(step, str) and isinstance(node.value, list):
        return next((entry for entry in node.value if name_of(entry) == step), None), f".{step}"
    return child(node, step), label(node, step) if isinstance(node.value, list) else f".{step}"
