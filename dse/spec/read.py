"""YAML text → tree of values with places: YAML 1.2 numbers and booleans, duplicate keys and tags refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NamedTuple

import yaml

from dse.errors import Problem, SpecError
from dse.spec.node import Node, Place, Scalar
from dse.spec.suggest import did_you_mean

_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_CORE: Final = (
    ("null", re.compile(r"(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]),
    ("bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")),
    ("int", re.compile(r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$"), list("-+0123456789")),
    (
        "float",
        re.compile(rf"(?:{_FLOAT.pattern}|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"),
        list("-+.0123456789"),
    ),
)
_TAG: Final = "tag:yaml.org,2002:"
_PLAIN_TAGS: Final = frozenset(_TAG + name for name in ("str", "map", "seq", "null", "bool", "int", "float"))
_REMEDIES: Final = (
    ("that cannot start any token", "indent with spaces, not tabs; a text that begins with @, ` or % needs quotes"),
    ("mapping values are not allowed", "a text that contains ': ' needs quotes"),
    ("could not find expected ':'", "a key is missing its ':'"),
    ("expected <block end>", "the indentation differs from the lines above"),
    ("expected ',' or", "a bracket is not closed, or a comma is missing"),
    ("expected a single document", "keep one document a file, without '---' between"),
    ("found undefined alias", "define it with '&name' first"),
    ("unexpected end of stream", "a quote or bracket is not closed"),
)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """PyYAML's loader with the resolver of the YAML 1.2 core schema."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 (PyYAML's own form)


for _name, _pattern, _first in _CORE:
    _Loader.add_implicit_resolver(_TAG + _name, _pattern, _first)

CORE_RESOLVERS: Final = _Loader.yaml_implicit_resolvers
"""First character of a text → tags and patterns of the YAML 1.2 core schema, as PyYAML keeps them."""


def read_file(path: Path, shown: str, problems: list[Problem]) -> Node | None:
    """The tree of a YAML file; None where nothing could be read.

    Args:
        path: the file.
        shown: how messages call it.
        problems: every mistake found is added here.
    """
    try:
        raw = path.read_bytes()
    except IsADirectoryError:
        problems.append(Problem("is a folder, not a YAML file", file=shown))
    except FileNotFoundError:
        nearby = [entry.name for entry in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
        problems.append(Problem("no such file" + did_you_mean(path.name, nearby), file=shown))
    except OSError as error:
        problems.append(Problem(f"cannot be read: {error.strerror}", file=shown))
    else:
        found = decoded(raw)
        if isinstance(found, str):
            return read_text(found, shown, problems)
        message = "is not a text file; a spec is YAML saved as UTF-8"
        problems.append(Problem(message, file=shown, line=found.line, column=found.column))
    return None


class NoText(NamedTuple):
    """Where bytes stop being text, counted from 1."""

    line: int
    column: int


def decoded(raw: bytes) -> str | NoText:
    """The text of a file in UTF-8, or the place of the first bytes that are none."""
    end = raw.find(b"\0")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        end = error.start
    else:
        if end < 0:
            return text
    before = raw[:end].rpartition(b"\n")
    return NoText(raw[:end].count(b"\n") + 1, len(before[2].decode("utf-8", "replace")) + 1)


def read_text(text: str, shown: str, problems: list[Problem]) -> Node | None:
    """The tree of a YAML text whose top is a mapping; None where nothing could be read."""
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(shown, mark.line + 1, mark.column + 1) if mark else Place(shown)
        problems.append(place.problem("", _broken(error)))
        return None
    except yaml.YAMLError as error:  # characters that YAML forbids; it knows no line
        problems.append(Problem(f"not valid YAML: {str(error).splitlines()[0]}", file=shown))
        return None
    if root is None or (root.tag == _TAG + "null" and isinstance(root, yaml.ScalarNode)):
        problems.append(Problem("the file is empty; a spec is a mapping of keys, such as 'name: …'", file=shown))
        return None
    node = _Constructor(shown, problems).node(root, "")
    if not isinstance(node.value, dict):
        problems.append(node.place.problem("", f"must be a mapping of keys (got {described(node)})"))
        return None
    return node


def read_value(text: str, shown: str) -> Node:
    """The tree of a YAML fragment, such as the value of an override.

    Raises:
        SpecError: the fragment is broken.
    """
    place = Place(shown)
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        broken = _broken(error) if isinstance(error, yaml.MarkedYAMLError) else "not valid YAML"
        raise SpecError([place.problem("", f"{text!r}: {broken}")]) from None
    problems: list[Problem] = []
    node = Node(None, place) if root is None else _Constructor(shown, problems, marks=False).node(root, "")
    if problems:
        raise SpecError(problems)
    return node


def described(node: Node) -> str:
    """A value as messages show it."""
    if isinstance(node.value, dict):
        return "a mapping"
    if isinstance(node.value, list):
        return "a list"
    return shown_value(node.value)


def shown_value(value: object) -> str:
    """A scalar as a YAML file would write it, short.

    >>> shown_value(True), shown_value("a b"), shown_value(512.5), shown_value(None)
    ('true', "'a b'", '512.5', 'nothing')
    """
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else value[:57] + "...")
    if isinstance(value, float) and value != value:  # noqa: PLR0124 (NaN differs from itself)
        return ".nan"
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return ".inf" if value > 0 else "-.inf"
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _broken(error: yaml.MarkedYAMLError) -> str:
    said = " ".join(part for part in (error.context, error.problem) if part)
    remedy = next((remedy for text, remedy in _REMEDIES if text in said), "")
    return f"not valid YAML: {said}" + (f"; {remedy}" if remedy else "")


class _Constructor:
    """Turns PyYAML's nodes into ours."""

    def __init__(self, shown: str, problems: list[Problem], *, marks: bool = True) -> None:
        self.shown, self.problems, self.marks = shown, problems, marks
        self.open: set[int] = set()

    def place(self, node: yaml.Node) -> Place:
        mark = node.start_mark
        return Place(self.shown, mark.line + 1, mark.column + 1) if self.marks else Place(self.shown)

    def node(self, source: yaml.Node, path: str, key: Place | None = None) -> Node:
        place = self.place(source)
        if id(source) in self.open:
            self.problems.append(place.problem(path, "refers to itself"))
            return Node(None, place, key)
        if source.tag not in _PLAIN_TAGS:
            tag = source.tag.replace(_TAG, "!!")
            self.problems.append(place.problem(path, f"tags such as {tag!r} are not allowed; leave it out"))
        if isinstance(source, yaml.ScalarNode):
            return Node(self.scalar(source, place, path), place, key)
        self.open.add(id(source))
        value = self.mapping(source, path) if isinstance(source, yaml.MappingNode) else self.entries(source, path)
        self.open.discard(id(source))
        return Node(value, place, key)

    def entries(self, source: yaml.Node, path: str) -> list[Node]:
        return [self.node(entry, path + _entry_label(entry, i)) for i, entry in enumerate(source.value)]

    def mapping(self, source: yaml.MappingNode, path: str) -> dict[str, Node]:
        found: dict[str, Node] = {}
        for key_node, value_node in source.value:
            place = self.place(key_node)
            if not (isinstance(key_node, yaml.ScalarNode) and key_node.tag == _TAG + "str"):
                said = key_node.value if isinstance(key_node, yaml.ScalarNode) else "a list or mapping"
                self.problems.append(place.problem(path, f"a key must be text (got {said}); put it in quotes"))
                continue
            key: str = key_node.value
            inner = f"{path}.{key}" if path else key
            if key in found:
                first = found[key].key_place
                message = f"given twice (first at {first.line}:{first.column})"
                self.problems.append(place.problem(inner, message))
                continue
            found[key] = self.node(value_node, inner, place)
        return found

    def scalar(self, source: yaml.ScalarNode, place: Place, path: str) -> Scalar:
        text: str = source.value
        try:
            return _scalar(source.tag.removeprefix(_TAG), text)
        except ValueError:
            self.problems.append(place.problem(path, f"{text!r} is not a number"))
            return None


def _entry_label(source: yaml.Node, position: int) -> str:
    """How a path calls a list entry: by its ``name`` where it has one."""
    pairs = source.value if isinstance(source, yaml.MappingNode) else []
    names = [value.value for key, value in pairs if key.value == "name" and isinstance(value, yaml.ScalarNode)]
    return f".{names[0]}" if names else f"[{position}]"


def _scalar(tag: str, text: str) -> Scalar:
    if tag == "null":
        return None
    if tag == "bool":
        return text.lower() == "true"
    if tag == "int":
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if tag == "float":
        return float(text.replace(".inf", "inf").replace(".nan", "nan")) if "." in text else float(text)
    return text
