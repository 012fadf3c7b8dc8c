"""A number as a tree: parts that add up to it, down to stated values with their origin."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import pandas as pd

from dse.spec.provenance import Provenance
from dse.units import ratio

Rule = Literal["sum", "quotient", "product"]
UNSTATED: Final = Provenance()


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """A number that a part is multiplied by (exponent 1) or divided by (−1)."""

    name: str
    """Dotted path of a stated value, or what a quantity counts."""
    value: float
    unit: str
    exponent: int = 1
    origin: Provenance | None = None
    """Where a stated value comes from; None for a quantity that follows from the design."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """A stated value that a leaf depends on."""

    path: str
    value: float | str
    """A number, or the choice that is stated, such as a number format."""
    elasticity: float | None = None
    """Relative change of the leaf over that of the input, 1 is proportional; None for a choice."""
    origin: Provenance | None = None
    """Where the value comes from; None where a file leaves it to its default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One number of a result and what it is made of."""

    name: str
    value: float
    unit: str
    rule: Rule = "sum"
    """``sum`` of the children; ``quotient``: first child over the second, times ``scale``; ``product``: no children."""
    scale: float = 1.0
    formula: str = ""
    children: tuple[Node, ...] = ()
    hidden: tuple[Node, ...] = ()
    """What runs beside the children and is not waited for; it does not count."""
    terms: tuple[tuple[Factor, ...], ...] = ()
    """Of a leaf: products that add up to its value; empty where no stated value is a plain factor."""
    primary: str = ""
    """Of a leaf: path of the stated value that it rests on most."""
    primary_origin: Provenance = UNSTATED
    is_chosen: bool = False
    """Of a leaf: it follows from the model and from what is chosen to run, so that no assumption is behind it."""
    inputs: tuple[Input, ...] = ()
    """Of a leaf: every stated value that moves it, those that move it most first."""

    def _repr_html_(self) -> str:
        rows = [(node.name, node.value, node.unit, node.formula) for node in (self, *self.children)]
        return str(pd.DataFrame(rows, columns=["number", "value", "unit", "formula"]).to_html(index=False))

    @property
    def recomputed(self) -> float:
        """The value from its children, or from the terms of a leaf."""
        if self.children:
            if self.rule == "quotient":
                return self.scale * ratio(self.children[0].value, self.children[1].value)
            return math.fsum(child.value for child in self.children)
        if not self.terms:
            return self.value
        return math.fsum(math.prod(f.value**f.exponent for f in term) for term in self.terms)

    def nodes(self) -> Iterator[Node]:
        """The node and everything below it that counts."""
        yield self
        for child in self.children:
            yield from child.nodes()

    def leaves(self) -> Iterator[Node]:
        """The parts without parts."""
        return (node for node in self.nodes() if not node.children)

    @property
    def rests_on_assumed(self) -> bool:
        """Whether the value that a leaf rests on is ``assumed``, or names no evidence."""
        return not self.is_chosen and self.primary_origin.evidence in (None, "assumed")

    @property
    def assumed_fraction(self) -> float:
        """Share of a sum that rests on values whose evidence is ``assumed``, or that state none.

        Of a quotient it is the larger one of its two operands, where a count of tokens has none.
        """
        if self.rule == "quotient":
            return max(child.assumed_fraction for child in self.children)
        total = math.fsum(leaf.value for leaf in self.leaves())
        assumed = math.fsum(leaf.value for leaf in self.leaves() if leaf.rests_on_assumed)
        return assumed / total if total else 0.0

    def to_dict(self) -> dict[str, Any]:
        """The node as a JSON object; absent keys are empty."""
        record: dict[str, Any] = {"name": self.name, "value": self.value, "unit": self.unit, "rule": self.rule}
        if self.formula:
            record["formula"] = self.formula
        if self.rule == "quotient":
            record["scale"] = self.scale
        if self.children:
            record["children"] = [child.to_dict() for child in self.children]
        if self.hidden:
            record["not_waited_for"] = [child.to_dict() for child in self.hidden]
        if self.terms:
            record["terms"] = [[factor_document(factor) for factor in term] for term in self.terms]
        if self.inputs:
            record["inputs"] = [input_document(entry) for entry in self.inputs]
        if self.primary:
            record["rests_on"] = {"path": self.primary, **origin_document(self.primary_origin)}
        if self.is_chosen:
            record["is_chosen"] = True
        return record


def factor_document(factor: Factor) -> dict[str, Any]:
    """A factor as a JSON object."""
    record = {"name": factor.name, "value": factor.value, "unit": factor.unit, "exponent": factor.exponent}
    return record if factor.origin is None else record | origin_document(factor.origin)


def input_document(entry: Input) -> dict[str, Any]:
    """An input as a JSON object."""
    moves = {} if entry.elasticity is None else {"elasticity": entry.elasticity}
    return {"path": entry.path, "value": entry.value, **moves, **origin_document(entry.origin)}


def origin_document(origin: Provenance | None) -> dict[str, Any]:
    """Where a value stands and what supports it, as a JSON object."""
    return {} if origin is None else {k: v for k, v in dataclasses.asdict(origin).items() if v not in (None, "")}


def node_of_document(record: Mapping[str, Any]) -> Node:
    """The node that ``to_dict`` wrote.

    Raises:
        KeyError: an entry is missing.
    """
    rests_on = record.get("rests_on", {})
    return Node(
        name=record["name"], value=record["value"], unit=record["unit"], rule=record["rule"],
        scale=record.get("scale", 1.0), formula=record.get("formula", ""),
        children=tuple(node_of_document(child) for child in record.get("children", [])),
        hidden=tuple(node_of_document(child) for child in record.get("not_waited_for", [])),
        terms=tuple(tuple(factor_of_document(f) for f in term) for term in record.get("terms", [])),
        primary=rests_on.get("path", ""), primary_origin=origin_of_document(rests_on) or UNSTATED,
        is_chosen=record.get("is_chosen", False),
        inputs=tuple(
            Input(path=e["path"], value=e["value"], elasticity=e.get("elasticity"), origin=origin_of_document(e))
            for e in record.get("inputs", [])
        ),
    )  # fmt: skip


def factor_of_document(record: Mapping[str, Any]) -> Factor:
    """The factor that ``factor_document`` wrote."""
    names = ("name", "value", "unit", "exponent")
    return Factor(**{name: record[name] for name in names}, origin=origin_of_document(record))


def origin_of_document(record: Mapping[str, Any]) -> Provenance | None:
    """The origin in an object that ``origin_document`` is part of, or None."""
    names = [f.name for f in dataclasses.fields(Provenance)]
    found = {name: record[name] for name in names if name in record}
    return Provenance(**found) if found else None
