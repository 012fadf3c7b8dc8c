"""Keys and values that a spec file could carry but this version does not model, with what to write instead."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from dse.spec.findings import Findings
from dse.spec.node import Node, label
from dse.spec.read import described
from dse.spec.shipped import FileKind


class Unmodelled(NamedTuple):
    """One entry of the table."""

    path: str
    """Dotted path; ``*`` stands for every entry of a list."""
    values: tuple[str, ...]
    """Values that are not modelled; empty: the key as such."""
    instead: str
    covers: int = 0
    """Levels above the path whose other problems only follow from this one."""


_DEVICE: Final = (
    Unmodelled(
        "programming.model",
        ("lookup", "gaussian", "constant", "lognormal", "uniform"),
        "write model: table, or independent, or polynomial with coefficients (one coefficient is a constant sigma)",
        covers=1,
    ),
)
_TABLE: Final[dict[FileKind, tuple[Unmodelled, ...]]] = {
    "device": _DEVICE,
    "architecture": (*(entry._replace(path=f"analog_cores.*.device.{entry.path}") for entry in _DEVICE),),
    "workload": (
        Unmodelled(
            "sensitivity.rule",
            ("fisher", "frequency", "one_at_a_time", "mean_neuron_norm", "activation_norm", "load"),
            "write max_neuron_norm, router_norm or random, or give the scores as file: scores.csv",
        ),
    ),
    "space": (Unmodelled("sampler", (), "leave it out; every combination of the axes is evaluated"),),
}


def find_unmodelled(root: Node, kind: FileKind, findings: Findings) -> None:
    """Adds a problem for everything in a spec that this version does not model."""
    for entry in _TABLE[kind]:
        for chain, node in _matches(root, "", entry.path.split("."), ()):
            if entry.values and node.value not in entry.values:
                continue
            said = f"{described(node)}: " if entry.values else ""
            place = node.place if entry.values else node.key_place
            covers = chain[-1 - entry.covers] if entry.covers < len(chain) else chain[-1]
            message = f"{said}not modelled by this version; {entry.instead}"
            findings.add(place, chain[-1], message, covers=covers)


def _matches(
    node: Node, path: str, pattern: list[str], chain: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Node]]:
    """Every value a pattern means, with the dotted paths that lead to it."""
    if not pattern:
        yield chain, node
    elif pattern[0] == "*" and isinstance(node.value, list):
        for position, entry in enumerate(node.value):
            inner = path + label(node, position)
            yield from _matches(entry, inner, pattern[1:], (*chain, inner))
    elif isinstance(node.value, dict) and pattern[0] in node.value:
        inner = f"{path}.{pattern[0]}" if path else pattern[0]
        yield from _matches(node.value[pattern[0]], inner, pattern[1:], (*chain, inner))
