"""A number as a tree of text: parts with their share, and below each leaf the formula, the values and their origin."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Final

from dse.evaluation.leaf import DEFAULT, unit_text
from dse.evaluation.tree import Factor, Input, Node
from dse.report.tables import quantity_text, significant
from dse.spec.provenance import Provenance

WIDTH: Final = 80
MANY: Final = 8
"""Inputs listed below a leaf that no stated value is a factor of."""
DISPLAY: Final = {
    "pJ/token": ("pj", "/token"), "pJ": ("pj", ""), "ns": ("ns", ""), "mm²": ("mm2", ""), "mW": ("mw", ""),
    "byte/token": ("bytes", "/token"),
}  # fmt: skip
"""Unit of a node → the unit that quantities are shown in, and what follows."""


def explanation_text(tree: Node, *, depth: int | None = None) -> str:
    """The tree in at most 80 columns; ``depth`` cuts it."""
    lines = [f"{tree.name}: {shown(tree)}"]
    if tree.formula:
        lines.append(f"  = {tree.formula}")
    lines += branch(tree, 1, tree.value, depth)
    lines.append(f"{100 * tree.assumed_fraction:.0f} % rests on values that are assumed or name no evidence")
    return "\n".join(lines)


def branch(node: Node, level: int, whole: float, depth: int | None) -> Iterator[str]:
    """The lines below a node."""
    if depth is not None and level > depth:
        return
    indent = "  " * level
    for child in node.children:
        share = "" if node.rule == "quotient" or not whole else f"{100 * child.value / whole:5.1f} %"
        yield f"{indent + child.name:<50} {shown(child):>15} {share:>8}".rstrip()
        if child.children:
            yield from branch(child, level + 1, child.value if node.rule == "quotient" else whole, depth)
        elif depth is None or level < depth:
            yield from reasons(child, "  " * (level + 1))
    for beside in node.hidden:
        yield f"{indent + beside.name:<50} {shown(beside):>15}   beside"


def reasons(leaf: Node, indent: str) -> Iterator[str]:
    """Formula, values and origins of a leaf."""
    if leaf.formula:
        yield from wrapped(f"{leaf.formula}", indent)
    for term in (t for t in leaf.terms if len(t) > 1 or t[0].unit):
        yield from wrapped("= " + " ".join(factor_text(factor, first=i == 0) for i, factor in enumerate(term)), indent)
        for factor in term[1:]:
            yield from wrapped(origin_text(factor.name, factor), indent + "  ")
    if not any(len(term) > 1 for term in leaf.terms):
        for entry in leaf.inputs[:MANY]:
            yield from wrapped(input_text(entry), indent + "  ")


def input_text(entry: Input) -> str:
    """Path, value, what more of it does, and origin of an input."""
    if isinstance(entry.value, str):
        said = f" = {entry.value}"
    else:
        unit = unit_text(entry.path).split(" = ")[0].replace("share in [0, 1]", "")
        said = f" = {entry.value:g} {unit}".rstrip() + f" (1 % more: {entry.elasticity or 0:+.2f} %)"
    return f"{entry.path}{said}: {place_text(entry.origin)}"


def place_text(origin: Provenance | None) -> str:
    """Where a value stands and what supports it; of a default what the format says."""
    if origin is None or origin.file == DEFAULT:
        return DEFAULT + (f": {origin.source}" if origin and origin.source else "")
    return str(origin)


def factor_text(factor: Factor, *, first: bool) -> str:
    """A factor with its sign."""
    if first:
        return f"{significant(factor.value)} {factor.unit} ".replace("  ", " ") + f"({factor.name})"
    unit = factor.unit.split(" = ")[0].replace("share in [0, 1]", "")
    return f"{'×' if factor.exponent > 0 else '/'} {significant(factor.value)} {unit}".rstrip()


def origin_text(path: str, factor: Factor) -> str:
    """Path and origin of a stated value."""
    return f"{path}: {place_text(factor.origin)}"


def wrapped(text: str, indent: str) -> list[str]:
    """A text within the width, indented."""
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent + "  ")


def shown(node: Node) -> str:
    """The value of a node with a display prefix."""
    if node.unit in DISPLAY:
        unit, after = DISPLAY[node.unit]
        return quantity_text(node.value, unit) + after
    return f"{significant(node.value)} {node.unit}".rstrip()
