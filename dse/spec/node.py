"""What a YAML file says, as a tree in which every value knows its file, line and column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from dse.errors import Problem
from dse.spec.provenance import Evidence, Provenance

Scalar: TypeAlias = str | int | float | bool | None
Plain: TypeAlias = "Scalar | list[Plain] | dict[str, Plain]"

OVERRIDE = "--set"
"""Where a value comes from that no file gave."""


@dataclass(frozen=True, slots=True)
class Place:
    """A position in a file, counted from 1; without line and column for values that no file gave."""

    file: str
    line: int | None = None
    column: int | None = None

    def problem(self, path: str, message: str) -> Problem:
        """A problem of this place."""
        return Problem(message, path=path, file=self.file, line=self.line, column=self.column)


@dataclass(frozen=True, slots=True)
class Origin:
    """What a file says about the origin of a value."""

    source: str | None = None
    evidence: Evidence | None = None
    spread_fraction: float | None = None

    def or_else(self, outer: Origin) -> Origin:
        """This origin, completed by that of the mapping around it."""
        return Origin(
            source=outer.source if self.source is None else self.source,
            evidence=outer.evidence if self.evidence is None else self.evidence,
            spread_fraction=outer.spread_fraction if self.spread_fraction is None else self.spread_fraction,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A scalar, a list or a mapping with its place, the place of its key and what is said about its origin."""

    value: Scalar | list[Node] | dict[str, Node]
    place: Place
    key: Place | None = None
    origin: Origin = Origin()
    is_file: bool = False
    """Whether the value is the content of another file, named here; such a value replaces, it is never merged."""

    @property
    def key_place(self) -> Place:
        """Place of the key, or of the value where it has no key."""
        return self.key or self.place

    def with_value(self, value: Scalar | list[Node] | dict[str, Node]) -> Node:
        """The same place with another value."""
        return replace(self, value=value)


def plain(node: Node) -> Plain:
    """The tree without places."""
    if isinstance(node.value, dict):
        return {key: plain(child) for key, child in node.value.items()}
    if isinstance(node.value, list):
        return [plain(child) for child in node.value]
    return node.value


def name_of(node: Node) -> str | None:
    """Name of a list entry: its ``name``, ``from-to`` for a link, its die for a network within a die."""
    if not isinstance(node.value, dict):
        return None
    parts = [node.value[key].value if key in node.value else None for key in ("name", "from", "to", "within")]
    name, start, end, die = (part if isinstance(part, str) else None for part in parts)
    return name or (f"{start}-{end}" if start and end else die)


def label(node: Node, step: str | int) -> str:
    """How one step into a node is written in a dotted path: key, name, or [position]."""
    if isinstance(step, str):
        return f".{step}"
    entries = node.value if isinstance(node.value, list) else []
    name = name_of(entries[step]) if step < len(entries) else None
    return f".{name}" if name else f"[{step}]"


def child(node: Node, step: str | int) -> Node | None:
    """The value under a key or at a position, or None."""
    if isinstance(node.value, dict) and isinstance(step, str):
        return node.value.get(step)
    if isinstance(node.value, list) and isinstance(step, int) and step < len(node.value):
        return node.value[step]
    return None


def find(node: Node, path: Sequence[str]) -> Node | None:
    """The value at a path of keys and names, or None."""
    for step in path:
        if isinstance(node.value, list):
            found = next((entry for entry in node.value if name_of(entry) == step), None)
        else:
            found = child(node, step)
        if found is None:
            return None
        node = found
    return node


def leaves(node: Node, path: str = "") -> Iterator[tuple[str, Node]]:
    """Every value with its dotted path; a list of plain values counts as one value."""
    if isinstance(node.value, dict):
        for key, entry in node.value.items():
            yield from leaves(entry, f"{path}.{key}" if path else key)
    elif isinstance(node.value, list) and any(isinstance(entry.value, dict) for entry in node.value):
        for position, entry in enumerate(node.value):
            yield from leaves(entry, path + label(node, position))
    elif path:
        yield path, node


def provenance_of(node: Node) -> dict[str, Provenance]:
    """Dotted path → origin and place of every value, and of every file that is named for a value."""
    found: dict[str, Provenance] = {}
    for path, leaf in leaves(node):
        origin, place = leaf.origin, leaf.place
        found[path] = Provenance(
            origin.source, origin.evidence, origin.spread_fraction, place.file, place.line, place.column
        )
    return found
