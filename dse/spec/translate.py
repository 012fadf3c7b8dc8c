"""Pydantic's errors → problems with file, line, column, names instead of positions, and a remedy."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from dse.errors import Problem
from dse.spec.fields import Kind, fields_of, matching_class
from dse.spec.findings import Findings
from dse.spec.node import Node, Place, child, label, plain
from dse.spec.read import described
from dse.spec.suggest import did_you_mean, key_help, unit_text_help
from dse.units import unit_of

T = TypeVar("T")

_PLAIN_MESSAGES: Final = {
    "greater_than": "must be greater than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than_equal": "must be at most {le:g}",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "mapping_type": "must be a mapping",
    "dict_type": "must be a mapping",
}

_ANYTHING: Final = Kind()


@dataclass(slots=True)
class _Spot:
    """Where an error points to."""

    node: Node
    kind: Kind
    path: str
    key: str
    """The last key or name on the path."""
    spec_class: type | None
    """Class of the mapping at or, for a key, around the spot."""
    around: Kind = _ANYTHING
    """What the part around the spot may be."""
    is_key: bool = False
    """Whether the last key itself is meant, not its value."""


@cache
def adapter(spec_class: type) -> TypeAdapter[Any]:
    """Pydantic's validator of a spec class, built once."""
    return TypeAdapter(spec_class)


def validated(root: Node, spec_class: type[T], findings: Findings) -> T:
    """The spec that a tree gives.

    Raises:
        SpecError: every problem found, here and before.
    """
    try:
        spec: T = adapter(spec_class).validate_python(plain(root))  # type: ignore[arg-type]
    except ValidationError as error:
        errors = error.errors(include_url=False)
    else:
        findings.raise_if_any()
        return spec
    _translate(errors, root, spec_class, findings)
    findings.raise_if_any()
    raise AssertionError(errors)


def _translate(errors: Iterable[ErrorDetails], root: Node, spec_class: type, findings: Findings) -> None:
    spots = [(error, _spot(root, spec_class, error)) for error in errors]
    missing = {spot.path for error, spot in spots if error["type"] == "missing"}
    meant: set[str] = set()
    for error, spot in spots:
        if error["type"] != "unexpected_keyword_argument" or findings.is_covered(spot.path):
            continue
        parent = spot.path[: -len(spot.key)]
        siblings = fields_of(spot.spec_class) if spot.spec_class else {}
        absent = [key for key in siblings if parent + key in missing]
        value = spot.node.value
        owner = _model_of_key(spot)
        if owner is not None:
            message = f"belongs to model: {owner}; choose one model, and leave out what belongs to the other"
            findings.problems.append(spot.node.key_place.problem(spot.path, message))
            continue
        message, known = key_help(spot.key, value, absent)
        if known is None:
            message, known = key_help(spot.key, value, siblings)
        elif parent + known not in meant:
            meant.add(parent + known)
            message += " (required, missing)"
        findings.problems.append(spot.node.key_place.problem(spot.path, message))
    for error, spot in spots:
        message_or_none = None if spot.path in meant else _message(error, spot)
        if message_or_none is None or findings.is_covered(spot.path):
            continue
        place = _place(error, spot)
        problem = place.problem(spot.path, message_or_none)
        is_value = error["type"] != "missing"
        if not any(is_same(problem, other, is_value=is_value) for other in findings.problems):
            findings.problems.append(problem)


def is_same(problem: Problem, other: Problem, *, is_value: bool) -> bool:
    """Whether two problems are one: a value that a calibration point takes over from its core is wrong once."""
    has_place = is_value and problem.line is not None
    return problem == (replace(other, path=problem.path) if has_place else other)


def _model_of_key(spot: _Spot) -> str | None:
    """Another model of the same part that has an unknown key, or None."""
    others = [c for c in spot.around.classes if c is not spot.spec_class and spot.key in fields_of(c)]
    return fields_of(others[0])["model"].kind.choices[0] if others and "model" in fields_of(others[0]) else None


def _place(error: ErrorDetails, spot: _Spot) -> Place:
    return spot.node.key_place if error["type"] == "missing" or spot.is_key else spot.node.place


def _spot(root: Node, spec_class: type, error: ErrorDetails) -> _Spot:
    """Follows the location of an error through the tree and through the classes."""
    kind = Kind(classes=(spec_class,))
    spot = _Spot(root, kind, "", "", spec_class)
    for step in error["loc"]:
        if step == "[key]":
            spot.is_key = True
            break
        inner = child(spot.node, step)
        given = spot.node.value if isinstance(spot.node.value, dict) else {}
        spot.spec_class = _class_here(spot.kind, given)
        if inner is None:
            is_last = step == error["loc"][-1]
            if error["type"] == "missing" and is_last:
                spot.path, spot.key = spot.path + (f".{step}" if spot.path else str(step)), str(step)
                fields = fields_of(spot.spec_class) if spot.spec_class else {}
                spot.kind = fields[str(step)].kind if step in fields else Kind()
            continue  # otherwise the tag of a union
        spot.path = (spot.path + label(spot.node, step)).removeprefix(".")
        spot.key = str(step) if isinstance(step, str) else spot.key
        spot.around, spot.kind = spot.kind, _kind_inside(spot, step)
        spot.node = inner
    return spot


def _class_here(kind: Kind, given: Mapping[str, Node]) -> type | None:
    return matching_class(kind.classes, {key: node.value for key, node in given.items()}) if kind.classes else None


def _kind_inside(spot: _Spot, step: str | int) -> Kind:
    if isinstance(step, int) and spot.kind.entries is not None:
        return spot.kind.entries
    if spot.spec_class is not None:
        field = fields_of(spot.spec_class).get(str(step))
        return field.kind if field else Kind()
    if spot.kind.entries is not None:
        return spot.kind.entries
    return Kind()


def _message(error: ErrorDetails, spot: _Spot) -> str | None:
    """What a user reads, or None where the error says nothing new."""
    got, context, kind = f"(got {described(spot.node)})", error.get("ctx", {}), error["type"]
    if kind in _PLAIN_MESSAGES:
        return f"{_PLAIN_MESSAGES[kind].format(**context)} {got}"
    match kind:
        case "unexpected_keyword_argument":
            return None  # reported before, with the key that was meant
        case "missing":
            unit = unit_of(spot.key)
            return f"missing, but required{f' [{unit}]' if unit else ''}{_choices(spot.kind)}"
        case "int_type" | "float_type" | "finite_number":
            return _number_message(spot, got)
        case "string_type":
            return None if spot.kind.classes else f"must be text {got}"
        case "literal_error":
            return _literal_message(spot.key if spot.is_key else spot.node.value, spot, got)
        case "union_tag_invalid" | "union_tag_not_found":
            return _tag_message(spot)
        case "too_short":
            least, given = int(context["min_length"]), spot.node.value
            few = not given or (isinstance(given, list) and len(given) < least)
            return f"needs at least {'one entry' if least == 1 else f'{least} entries'}" if few else None
        case "dataclass_type":
            is_path = spot.kind.is_text and isinstance(spot.node.value, str)
            return None if is_path else f"must be {'a path or ' if spot.kind.is_text else ''}a mapping {got}"
        case _:
            return f"{error['msg'][0].lower()}{error['msg'][1:]} {got}"


def _number_message(spot: _Spot, got: str) -> str:
    value, number = spot.node.value, spot.kind.number
    if isinstance(value, float) and not math.isfinite(value):
        return f"must be a finite number {got}"
    if isinstance(value, str):
        help_text = unit_text_help(value, spot.key)
        if help_text is not None:
            return f"must be a number: {help_text}"
        if re.fullmatch(r"[-+]?[0-9.]+([eE][-+]?[0-9]+)?", value):
            got += "; leave out the quotes"
    return f"must be {'a whole number' if number and number.integer else 'a number'} {got}"


def _choices(kind: Kind) -> str:
    if not kind.choices:
        return ""
    return f"; {'one of ' if len(kind.choices) > 1 else 'write '}{', '.join(kind.choices)}"


def _literal_message(value: Any, spot: _Spot, got: str) -> str:
    choices = spot.around.keys if spot.is_key else spot.kind.choices
    got = f"(got {value!r})" if spot.is_key else got
    hint = did_you_mean(value, choices) if isinstance(value, str) else ""
    hint = hint if hint.startswith(", did") else ""
    noun = "key must be" if spot.is_key else "must be"
    return f"{noun} {'one of ' if len(choices) > 1 else ''}{', '.join(choices)} {got}{hint}"


def _tag_message(spot: _Spot) -> str:
    models = [choice for option in spot.kind.classes for choice in fields_of(option)["model"].kind.choices]
    given = child(spot.node, "model")
    allowed = ", ".join(models)
    if given is None:
        return f"must say its 'model': one of {allowed}"
    hint = did_you_mean(given.value, models) if isinstance(given.value, str) else ""
    hint = hint if hint.startswith(", did") else ""
    return f"its 'model' must be one of {allowed} (got {described(given)}){hint}"
