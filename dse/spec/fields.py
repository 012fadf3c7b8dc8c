"""What the annotation of a spec field allows: bounds, choices, parts; read once per class."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import numpy as np

from dse.spec.quantity import Number


@dataclass(frozen=True, slots=True)
class Kind:
    """What a value may be."""

    number: Number | None = None
    is_array: bool = False
    """Whether a number may also be an array with one entry per design point."""
    choices: tuple[str, ...] = ()
    classes: tuple[type, ...] = ()
    entries: Kind | None = None
    """What the entries of a list or mapping may be."""
    keys: tuple[str, ...] = ()
    """Allowed keys of a mapping; empty: any text, or no mapping."""
    is_mapping: bool = False
    is_text: bool = False
    is_flag: bool = False
    is_optional: bool = False


@dataclass(frozen=True, slots=True)
class SpecField:
    """One field of a spec class."""

    name: str
    key: str
    """How a file calls it; differs from the name where that is a Python word."""
    kind: Kind
    is_required: bool


@cache
def fields_of(spec_class: type) -> Mapping[str, SpecField]:
    """The fields of a spec class by the key a file uses."""
    hints = typing.get_type_hints(spec_class, include_extras=True)
    found: dict[str, SpecField] = {}
    for field in dataclasses.fields(spec_class):
        key = _alias(hints[field.name]) or field.name
        missing = dataclasses.MISSING
        is_required = field.default is missing and field.default_factory is missing
        found[key] = SpecField(field.name, key, kind_of(hints[field.name]), is_required)
    return found


def kind_of(annotation: Any) -> Kind:
    """What an annotation allows; unions add up."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        number = next((note for note in args[1:] if isinstance(note, Number)), None)
        inner = kind_of(args[0])
        return dataclasses.replace(inner, number=number) if number else inner
    if origin in (Union, types.UnionType):
        return _union([kind_of(arg) for arg in args])
    if origin is Literal:
        return Kind(choices=tuple(str(arg) for arg in args))
    if origin is tuple:
        return Kind(entries=kind_of(args[0]))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return Kind(entries=kind_of(args[1]), keys=kind_of(args[0]).choices, is_mapping=True)
    if isinstance(origin, type) and issubclass(origin, np.ndarray):
        return Kind(is_array=True)
    return Kind(
        classes=(annotation,) if isinstance(annotation, type) and dataclasses.is_dataclass(annotation) else (),
        is_text=annotation is str,
        is_flag=annotation is bool,
        is_optional=annotation is type(None),
    )


def matching_class(classes: Iterable[type], given: Mapping[str, object]) -> type | None:
    """The class of a union that a mapping means: the one whose ``model`` is given, else the only one with all its keys.

    Classes without ``model`` are told apart by the keys they share least: the one that knows most of those given.
    """
    options = tuple(classes)
    if len(options) == 1:
        return options[0]
    for option in options:
        model = fields_of(option).get("model")
        if model is not None and given.get("model") in model.kind.choices:
            return option
    if not options or any("model" in fields_of(option) for option in options):
        return None
    return max(options, key=lambda option: sum(key in fields_of(option) for key in given))


def _alias(annotation: Any) -> str | None:
    notes = get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()
    return next((note.alias for note in notes if getattr(note, "alias", None)), None)


def _union(kinds: list[Kind]) -> Kind:
    return Kind(
        number=next((kind.number for kind in kinds if kind.number), None),
        is_array=any(kind.is_array for kind in kinds),
        choices=tuple(choice for kind in kinds for choice in kind.choices),
        classes=tuple(option for kind in kinds for option in kind.classes),
        entries=next((kind.entries for kind in kinds if kind.entries), None),
        keys=tuple(key for kind in kinds for key in kind.keys),
        is_mapping=any(kind.is_mapping for kind in kinds),
        is_text=any(kind.is_text for kind in kinds),
        is_flag=any(kind.is_flag for kind in kinds),
        is_optional=any(kind.is_optional for kind in kinds),
    )
