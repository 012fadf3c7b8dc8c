"""JSON Schema of each kind of spec file, for completion and checks in editors."""

from __future__ import annotations

import copy
import inspect
from typing import Any, Final, Literal, get_args

from dse.spec import mapping_problem
from dse.spec.architecture import ArchitectureSpec
from dse.spec.descriptions import field_descriptions
from dse.spec.device import Device
from dse.spec.fields import fields_of
from dse.spec.mapping_problem import MappingProblemSpec
from dse.spec.provenance import Evidence
from dse.spec.scenario import WorkloadSpec
from dse.spec.shared_schema import demanding, with_shared_values
from dse.spec.space import SpaceSpec
from dse.spec.translate import adapter

SchemaKind = Literal["arch", "device", "workload", "space", "problem"]
Schema = dict[str, Any]

FILE_NAMES: Final[dict[SchemaKind, str]] = {
    "arch": "architecture.schema.json",
    "device": "device.schema.json",
    "workload": "workload.schema.json",
    "space": "space.schema.json",
    "problem": "problem.schema.json",
}
"""Name of the schema file of each kind."""

_CLASSES: Final[dict[SchemaKind, type]] = {
    "arch": ArchitectureSpec,
    "device": Device,
    "workload": WorkloadSpec,
    "space": SpaceSpec,
    "problem": MappingProblemSpec,
}
_TITLES: Final[dict[SchemaKind, str]] = {
    "arch": "Architecture",
    "device": "Memory device",
    "workload": "Workload",
    "space": "Space of designs",
    "problem": "Mapping problem",
}
_ORIGIN_PARTS: Final[Schema] = {
    "source": {"type": "string", "description": "Where the values come from."},
    "evidence": {"enum": list(get_args(Evidence)), "description": "How well the values are known."},
    "spread_fraction": {
        "type": "number",
        "minimum": 0,
        "description": "95 % of what a value x may be lies within x / (1 + s), x (1 + s).",
    },
}
_ORIGIN: Final[Schema] = {key: {"$ref": f"#/$defs/{key}"} for key in _ORIGIN_PARTS}
_EXTENDS: Final[Schema] = {
    "type": "string",
    "description": "A file whose values hold where this file gives none; it may not extend another.",
}
_FREE: Final = frozenset({"notes", "axes"})
"""Mappings with keys of the user's own, which carry no origin."""


def json_schema(kind: SchemaKind) -> Schema:
    """JSON Schema of a kind of spec file (draft 2020-12).

    A value may also be ``{value, source, evidence, spread_fraction}``; a file with ``extends`` need not be complete.
    """
    raw = copy.deepcopy(adapter(_CLASSES[kind]).json_schema())
    if kind == "problem":
        return described_schema(raw, _TITLES[kind])
    parts: Schema = raw.pop("$defs", {})
    parts["File"] = raw
    described = {spec_class.__name__: spec_class for spec_class in _all_classes(_CLASSES[kind])}
    described["File"] = _CLASSES[kind]
    complete = {name: _with_origins(part, described[name]) for name, part in parts.items()}
    complete["File"]["properties"]["extends"] = _EXTENDS
    partial = {f"Partial{name}": _partial(part) for name, part in complete.items()}
    demands = {name: demanding(f"Partial{name}", part, partial[f"Partial{name}"]) for name, part in complete.items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": _TITLES[kind],
        "type": "object",
        "if": {"required": ["extends"]},
        "then": {"$ref": "#/$defs/PartialFile"},
        "else": {"$ref": "#/$defs/File"},
        "$defs": {**with_shared_values({**demands, **partial}), **_ORIGIN_PARTS},
    }


def described_schema(raw: Schema, title: str) -> Schema:
    """The plain schema of a class whose values carry no origin, with the docstrings of its fields."""
    parts = {**raw.get("$defs", {}), MappingProblemSpec.__name__: raw}
    for name, part in parts.items():
        spec_class: type = getattr(mapping_problem, name)
        texts = field_descriptions(spec_class)
        part["description"] = inspect.cleandoc(spec_class.__doc__ or "")
        for key, schema in part["properties"].items():
            schema.pop("title", None)
            schema["description"] = texts[key]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **raw, "title": title}


def _all_classes(spec_class: type) -> list[type]:
    """A spec class and every class its fields may hold."""
    found = [spec_class]
    for current in found:  # grows while it is read
        for field in fields_of(current).values():
            kinds = [kind for kind in (field.kind, field.kind.entries) if kind is not None]
            found += [inner for kind in kinds for inner in kind.classes if inner not in found]
    return found


def _with_origins(part: Schema, spec_class: type) -> Schema:
    """The schema of a class in which values and mappings may state their origin."""
    texts = field_descriptions(spec_class)
    properties: Schema = {}
    for field in fields_of(spec_class).values():
        schema = part["properties"][field.key]
        for name in ("title", "default"):
            schema.pop(name, None)
        schema = {"anyOf": [{"type": "string"}, schema]} if field.key == "device" else schema
        wrapped = schema if field.key in _FREE else _value(schema)
        properties[field.key] = {"description": texts[field.name], **wrapped}
    kept = {name: part[name] for name in ("required",) if name in part}
    doc = inspect.cleandoc(spec_class.__doc__ or "")
    is_shut = {"additionalProperties": False}
    return {"description": doc, "type": "object", "properties": properties | _ORIGIN, **kept, **is_shut}


def _value(schema: Schema) -> Schema:
    """The schema of a value, or of ``{value, source, …}``; parts and lists of parts stay as they are."""
    given = schema.get("anyOf") or schema.get("oneOf") or [schema]
    options = [_value_parts(option) for option in given]
    plain = [option for option in options if not _is_part(option)]
    if plain:
        value = plain[0] if len(plain) == 1 else {"anyOf": plain}
        stated = {"type": "object", "properties": {"value": value, **_ORIGIN}, "required": ["value"]}
        options.append({**stated, "additionalProperties": False})
    return options[0] if len(options) == 1 else {"anyOf": options}


def _value_parts(schema: Schema) -> Schema:
    """A mapping by precision with its keys spelled out, so that it may also state an origin."""
    if "additionalProperties" not in schema or not isinstance(schema["additionalProperties"], dict):
        return schema
    entry = _value(schema["additionalProperties"])
    keys = schema.get("propertyNames", {}).get("enum")
    size = {"minProperties": schema["minProperties"]} if "minProperties" in schema else {}
    if keys is None:
        return {"type": "object", "properties": dict(_ORIGIN), "additionalProperties": entry, **size}
    properties = {key: entry for key in keys} | _ORIGIN
    return {"type": "object", "properties": properties, "additionalProperties": False, **size}


def _is_part(schema: Schema) -> bool:
    return "$ref" in schema or schema.get("type") in ("object", "null") or "$ref" in schema.get("items", {})


def _partial(part: Any) -> Any:
    """The same schema with nothing required."""
    if isinstance(part, list):
        return [_partial(entry) for entry in part]
    if not isinstance(part, dict):
        return part
    changed = {
        key: _partial(entry)
        for key, entry in part.items()
        if key not in ("minItems", "minProperties") and not (key == "required" and entry != ["value"])
    }
    if changed.get("$ref", "").removeprefix("#/$defs/") not in ("", *_ORIGIN_PARTS):
        changed["$ref"] = changed["$ref"].replace("#/$defs/", "#/$defs/Partial")
    return changed
