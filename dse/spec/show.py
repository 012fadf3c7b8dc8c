"""A spec as text for people, with the origin of every value, and as one resolved YAML file."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import yaml

from dse.errors import SpecError
from dse.spec.architecture import Architecture, ArchitectureSpec
from dse.spec.fields import fields_of
from dse.spec.kinds import Loaded
from dse.spec.provenance import Provenance
from dse.spec.read import CORE_RESOLVERS
from dse.units import unit_of

_WIDTH: Final = 80


class _Line(NamedTuple):
    """One value of a spec, or the heading of a part (no value)."""

    depth: int
    key: str
    path: str
    value: str | None


class _Dumper(yaml.SafeDumper):
    """Writes texts that YAML 1.2 would read as something else in quotes."""

    yaml_implicit_resolvers = CORE_RESOLVERS

    def ignore_aliases(self, data: Any) -> bool:
        """Equal parts are written out."""
        return True


def show_text(loaded: Loaded) -> str:
    """A spec as a tree: value, unit, evidence, line; below a part the source of its values, once."""
    spec, provenance = _content(loaded)
    lines = list(_lines(spec, type(spec) if not isinstance(spec, Architecture) else ArchitectureSpec, "", 0))
    files = list(dict.fromkeys(origin.file for origin in provenance.values()))
    key_width = max(2 * line.depth + len(line.key) for line in lines)
    wheres = {line.path: _place(line.path, provenance, files) for line in lines if line.value is not None}
    room = _WIDTH - key_width - max(map(len, wheres.values())) - 9 - 3 * 2
    value_width = max(8, min(26, room, max(len(line.value) for line in lines if line.value is not None)))
    shown, said = [], ""
    for line in lines:
        name = f"{'  ' * line.depth}{line.key}"
        if line.value is None:
            shown.append(name)
            continue
        origin = provenance.get(line.path) or _part_origin(line.path, provenance)
        evidence = origin.evidence or "" if origin else ""
        shown.append(f"{name:<{key_width}}  {line.value:<{value_width}}  {evidence:<9}  {wheres[line.path]}".rstrip())
        source = origin.source or "" if origin else ""
        if source and source != said:
            indent = "  " * (line.depth + 1) + "# "
            shown += textwrap.wrap(source, _WIDTH, initial_indent=indent, subsequent_indent=indent)
        said = source if origin else said
    legend = [f"[{i}] {file}" for i, file in enumerate(files)]
    return "\n".join([*shown, "", *legend]) + "\n"


def resolved_yaml(loaded: Loaded) -> str:
    """One YAML file with every value and its origin; it loads to the same digest.

    Raises:
        SpecError: a value is an array.
    """
    spec, provenance = _content(loaded)
    spec_class = ArchitectureSpec if isinstance(spec, Architecture) else type(spec)
    tree = _tree(spec, spec_class, "", provenance)
    options: dict[str, Any] = {"sort_keys": False, "default_flow_style": None, "allow_unicode": True, "width": 110}
    return str(yaml.dump(tree, Dumper=_Dumper, **options))


def _content(loaded: Loaded) -> tuple[Any, Mapping[str, Provenance]]:
    return (loaded if isinstance(loaded, Architecture) else loaded.spec), loaded.provenance


def _part_origin(path: str, provenance: Mapping[str, Provenance]) -> Provenance | None:
    """Origin of a list or mapping that was given as a whole, for a value inside it."""
    while "." in path:
        path = path.rpartition(".")[0]
        if path in provenance:
            return provenance[path]
    return None


def _place(path: str, provenance: Mapping[str, Provenance], files: list[str]) -> str:
    """Where the value at a path comes from."""
    origin = provenance.get(path) or _part_origin(path, provenance)
    return "default" if origin is None else _where(origin, files)


def _where(origin: Provenance, files: list[str]) -> str:
    if origin.line is None:
        return origin.file
    index = files.index(origin.file)
    return f"line {origin.line}" + (f" of [{index}]" if index else "")


def _lines(value: Any, spec_class: type, path: str, depth: int) -> Iterator[_Line]:
    """The values of a part, headings included."""
    dot = f"{path}." if path else ""
    for field in fields_of(spec_class).values():
        inner, inner_path = getattr(value, field.name), dot + field.key
        if isinstance(inner, tuple) and inner and dataclasses.is_dataclass(inner[0]):
            yield _Line(depth, field.key, inner_path, None)
            for position, entry in enumerate(inner):
                called = _entry_label(entry, position)
                yield _Line(depth + 1, called.removeprefix("."), inner_path + called, None)
                parts = _lines(entry, type(entry), inner_path + called, depth + 2)
                yield from (line for line in parts if line.path != f"{inner_path}{called}.name")
        elif dataclasses.is_dataclass(inner):
            yield _Line(depth, field.key, inner_path, None)
            yield from _lines(inner, type(inner), inner_path, depth + 1)
        elif isinstance(inner, Mapping):
            yield _Line(depth, field.key, inner_path, None if inner else "none")
            for key, entry in inner.items():
                unit = unit_of(field.key) or unit_of(str(key))
                yield _Line(depth + 1, str(key), f"{inner_path}.{key}", _shown(entry, unit))
        else:
            yield _Line(depth, field.key, inner_path, _shown(inner, unit_of(field.key)))


def _entry_label(entry: Any, position: int) -> str:
    """How an entry of a list is called at the end of a path: its name, else its position."""
    return f".{entry.name}" if hasattr(entry, "name") else f"[{position}]"


def _shown(value: Any, unit: str | None) -> str:
    if value is None:
        return "none"
    if isinstance(value, np.ndarray):
        text = f"{value.min():.6g} … {value.max():.6g} ({len(value)} points)"
    elif isinstance(value, tuple | list):
        text = ", ".join(_shown(entry, None) for entry in value) or "none"
    elif isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, int | float):
        text = f"{value:.12g}"
    else:
        text = str(value)
    if unit is None or unit.startswith("share"):
        return text
    return f"{text} {unit.split(' = ')[0]}"


def _tree(value: Any, spec_class: type, path: str, provenance: Mapping[str, Provenance]) -> dict[str, Any]:
    """The plain tree of a part; what is absent is left out."""
    dot = f"{path}." if path else ""
    tree = {}
    for field in fields_of(spec_class).values():
        inner = getattr(value, field.name)
        if inner is not None:
            tree[field.key] = _plain(inner, dot + field.key, provenance)
    return tree


def _plain(value: Any, path: str, provenance: Mapping[str, Provenance]) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _tree(value, type(value), path, provenance)
    if isinstance(value, tuple) and value and dataclasses.is_dataclass(value[0]):
        return [_tree(entry, type(entry), path + _entry_label(entry, i), provenance) for i, entry in enumerate(value)]
    if isinstance(value, Mapping):
        return {str(key): _plain(entry, f"{path}.{key}", provenance) for key, entry in value.items()}
    if isinstance(value, np.ndarray):
        raise SpecError(f"{path}: has one value per design point; a file holds one design")
    given = list(value) if isinstance(value, tuple) else value
    origin = provenance.get(path)
    if origin is None or isinstance(value, str | bool):
        return given
    said = {"source": origin.source, "evidence": origin.evidence, "spread_fraction": origin.spread_fraction}
    kept = {key: entry for key, entry in said.items() if entry is not None}
    return {"value": given, **kept} if kept else given
