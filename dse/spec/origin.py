"""What a file says about the origin of its values: ``source``, ``evidence`` and ``spread_fraction``."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final, get_args

from dse.spec.findings import Findings
from dse.spec.node import Node, Origin, label
from dse.spec.provenance import Evidence
from dse.spec.read import described
from dse.spec.suggest import did_you_mean, nearest

ORIGIN_KEYS: Final = ("source", "evidence", "spread_fraction")
_EVIDENCE: Final[tuple[Evidence, ...]] = get_args(Evidence)
_FREE_TEXT: Final = frozenset({"notes"})


def with_origins(node: Node, findings: Findings, path: str = "", outer: Origin | None = None) -> Node:
    """The tree of plain values: origins move from the keys beside and around a value to the value."""
    outer = outer or Origin()
    if isinstance(node.value, list):
        entries = [with_origins(entry, findings, path + label(node, i), outer) for i, entry in enumerate(node.value)]
        return replace(node, value=entries, origin=outer)
    if not isinstance(node.value, dict):
        return replace(node, origin=outer)
    if path in _FREE_TEXT:
        return node
    given = {key: entry for key, entry in node.value.items() if key in ORIGIN_KEYS}
    rest = {key: entry for key, entry in node.value.items() if key not in ORIGIN_KEYS}
    origin = _origin(given, findings, path).or_else(outer)
    if "value" in rest and path:
        return _given_value(node, rest, findings, path, origin)
    dot = f"{path}." if path else ""
    entries_by_key = {key: with_origins(entry, findings, dot + key, origin) for key, entry in rest.items()}
    return replace(node, value=entries_by_key, origin=origin)


def _given_value(node: Node, rest: dict[str, Node], findings: Findings, path: str, origin: Origin) -> Node:
    """The value of ``{value, source, evidence, spread_fraction}``."""
    for key, entry in rest.items():
        if key != "value":
            hint = did_you_mean(key, ORIGIN_KEYS)
            findings.add(entry.key_place, f"{path}.{key}", f"unknown key beside 'value'{hint}")
    value = with_origins(rest["value"], findings, path, origin)
    return replace(value, key=node.key or value.key)


def _origin(given: dict[str, Node], findings: Findings, path: str) -> Origin:
    source, evidence, spread = (given[key].value if key in given else None for key in ORIGIN_KEYS)
    dot = f"{path}." if path else ""

    def refuse(key: str, message: str, hint: str = "") -> None:
        findings.add(given[key].place, dot + key, f"{message} (got {described(given[key])}){hint}")

    if source is not None and not isinstance(source, str):
        refuse("source", "must be text")
        source = None
    if evidence is not None and evidence not in _EVIDENCE:
        found = nearest(evidence, _EVIDENCE) if isinstance(evidence, str) else None
        hint = f", did you mean {found!r}?" if found else ""
        refuse("evidence", f"must be one of {', '.join(_EVIDENCE)}", hint)
        evidence = None
    if spread is not None and not _is_spread(spread):
        refuse("spread_fraction", "must be a finite number of at least 0")
        spread = None
    return Origin(
        source=source if isinstance(source, str) else None,
        evidence=next((known for known in _EVIDENCE if known == evidence), None),
        spread_fraction=float(spread) if isinstance(spread, int | float) else None,
    )


def _is_spread(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and value >= 0
