"""Says what is repeated in a JSON Schema once, under a name: values of one kind, and parts with and without demands."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

Schema = dict[str, Any]
WORTH: Final = 100
"""Characters from which a repeated value is shared."""


def with_shared_values(parts: Schema) -> Schema:
    """The same parts, each repeated schema of a property a reference to one of the definitions that are added."""
    texts = [written(value) for part in parts.values() for value in property_values(part)]
    repeated = [text for text, count in Counter(texts).items() if count > 1 and len(text) > WORTH]
    names: dict[str, str] = {}
    for text in repeated:
        name = plain_name(json.loads(text))
        taken = {*parts, *names.values()}
        names[text] = name if name not in taken else next(n for i in range(2, 999) if (n := f"{name}_{i}") not in taken)
    found = {name: replaced(part, names) for name, part in parts.items()}
    return {**found, **{name: json.loads(text) for text, name in names.items()}}


def demanding(name: str, complete: Schema, partial: Schema) -> Schema:
    """A complete part as its partial one and what it demands beyond it: keys that are required, properties that differ.

    Args:
        name: of the partial part.
        complete: the part.
        partial: the part with nothing required.
    """
    differing = {key: value for key, value in complete["properties"].items() if value != partial["properties"].get(key)}
    demands = {"required": complete["required"]} if "required" in complete else {}
    demands |= {"properties": without_texts(differing)} if differing else {}
    return {"allOf": [{"$ref": f"#/$defs/{name}"}, demands]} if demands else {"$ref": f"#/$defs/{name}"}


def without_texts(properties: Schema) -> Schema:
    """Properties without their descriptions, which stand in the partial part."""
    return {key: {k: v for k, v in value.items() if k != "description"} for key, value in properties.items()}


def property_values(part: Any) -> Iterator[Schema]:
    """Schema of every property, at any depth."""
    if isinstance(part, dict):
        properties = part.get("properties", {})
        yield from properties.values()
        for inner in part.values():
            yield from property_values(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from property_values(inner)


def written(value: Schema) -> str:
    """A schema without its description, as a text that equal ones share."""
    return json.dumps({key: inner for key, inner in value.items() if key != "description"}, sort_keys=True)


def replaced(part: Any, names: dict[str, str]) -> Any:
    """A part whose shared property values are references."""
    if isinstance(part, list):
        return [replaced(inner, names) for inner in part]
    if not isinstance(part, dict):
        return part
    found = {key: replaced(inner, names) for key, inner in part.items()}
    for key, value in part.get("properties", {}).items():
        if (text := written(value)) in names:
            kept = {"description": value["description"]} if "description" in value else {}
            found["properties"][key] = {**kept, "$ref": f"#/$defs/{names[text]}"}
    return found


def plain_name(schema: Schema) -> str:
    """What a value is, in a few words: ``number_above_0``, ``integer_from_2_to_24_or_none``."""
    if "anyOf" in schema:
        plain = [option for option in schema["anyOf"] if "value" not in option.get("properties", {})]
        return "_or_".join(plain_name(option) for option in plain)
    if "$ref" in schema:
        return str(schema["$ref"].rsplit("/", 1)[-1])
    if "const" in schema or "enum" in schema:
        return "_or_".join(str(value) for value in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"list_of_{plain_name(schema.get('items', {'type': 'values'}))}"
    words = {"exclusiveMinimum": "above", "minimum": "from", "exclusiveMaximum": "below", "maximum": "to"}
    bounds = [f"_{word}_{schema[key]:g}" for key, word in words.items() if key in schema]
    kind = str(schema.get("type", "value"))
    return ("none" if kind == "null" else kind) + "".join(bounds)
