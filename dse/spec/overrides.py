"""Other values for a spec: ``--set path=value``, and the grammar of axes such as ``path=6,7,8`` or ``path=4:10:2``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from dse.errors import Problem, SpecError
from dse.spec.fields import fields_of
from dse.spec.findings import Findings
from dse.spec.node import OVERRIDE, Node, Place, leaves, name_of
from dse.spec.origin import with_origins
from dse.spec.read import read_value
from dse.spec.suggest import did_you_mean

Overrides: TypeAlias = Mapping[str, Any] | Sequence[str]
"""Dotted path → value, or texts ``path=value``."""

_PLACE = Place(OVERRIDE)


def as_mapping(overrides: Overrides) -> dict[str, Node]:
    """Overrides as trees by dotted path.

    Raises:
        SpecError: a text is not ``path=value``, or a path is given twice.
    """
    if isinstance(overrides, Mapping):
        return {path: _tree(value) for path, value in overrides.items()}
    found: dict[str, Node] = {}
    for text in (overrides,) if isinstance(overrides, str) else overrides:
        path, value = split_override(text)
        if path in found:
            raise SpecError([Problem("given twice", path=path, file=OVERRIDE)])
        found[path] = read_value(value, OVERRIDE)
    return found


def split_override(text: str) -> tuple[str, str]:
    """Path and value of a text ``path=value``.

    Raises:
        SpecError: there is no '=', no path or no value.
    """
    path, equals, value = text.partition("=")
    if not equals or not path.strip() or not value.strip():
        raise SpecError([Problem(f"write path=value, e.g. scenario.batch=8 (got {text!r})", file=OVERRIDE)])
    return path.strip(), value.strip()


def apply_overrides(root: Node, overrides: Mapping[str, Node], spec_class: type, findings: Findings) -> Node:
    """The tree with other values; a path that leads nowhere is a problem."""
    for path, given in overrides.items():
        value, steps = with_origins(given, findings, path), path.split(".")
        if steps[0] in fields_of(spec_class):
            root = _applied(root, path, steps, value, findings)
            continue
        known = [other for other, _ in leaves(root)]
        same_end = [other for other in known if other.rsplit(".", maxsplit=1)[-1] == steps[-1]]
        hint = (
            did_you_mean(path, same_end) or did_you_mean(path, known) or did_you_mean(steps[0], fields_of(spec_class))
        )
        findings.add(_PLACE, path, f"unknown path{hint}")
    return root


def _applied(node: Node, path: str, steps: Sequence[str], value: Node, findings: Findings) -> Node:
    if not steps:
        return replace(value, key=_PLACE)
    head, rest = steps[0], steps[1:]
    if isinstance(node.value, list):
        known = [name for entry in node.value if (name := name_of(entry))]
        names = [name_of(entry) or str(position) for position, entry in enumerate(node.value)]
        if head not in names:
            left_out = any(isinstance(entry.value, dict) and head in entry.value for entry in node.value)
            hint = _through_names(path, steps, known) if left_out and known else did_you_mean(head, known)
            findings.add(_PLACE, path, f"unknown path: nothing is named {head!r}{hint}")
            return node
        position = names.index(head)
        changed = _applied(node.value[position], path, rest, value, findings)
        return node.with_value([*node.value[:position], changed, *node.value[position + 1 :]])
    if not isinstance(node.value, dict):
        done = path.split(".")[: -len(steps)]
        findings.add(_PLACE, path, f"unknown path: {'.'.join(done)!r} is a single value")
        return node
    inner = node.value.get(head) or Node({}, _PLACE, _PLACE)
    return node.with_value({**node.value, head: _applied(inner, path, rest, value, findings)})


def _through_names(path: str, steps: Sequence[str], names: Sequence[str]) -> str:
    """What to write where a path leaves out which entry of a list is meant."""
    before = path.split(".")[: -len(steps)]
    return f", it holds {', '.join(names)}; write {'.'.join([*before, names[0], *steps])}"


def _tree(value: Any) -> Node:
    """A plain Python value as a tree."""
    if isinstance(value, Mapping):
        return Node({str(key): _tree(entry) for key, entry in value.items()}, _PLACE, _PLACE)
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return Node([_tree(entry) for entry in value], _PLACE)
    if value is None or isinstance(value, str | int | float | bool):
        return Node(value, _PLACE)
    return Node(str(value), _PLACE)
