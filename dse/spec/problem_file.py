"""Reads a mapping problem from a JSON file; every mistake at once, each with its place."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from dse.errors import Problem, SpecError
from dse.spec.findings import Findings
from dse.spec.mapping_problem import MappingProblemSpec
from dse.spec.node import Node, child, find
from dse.spec.read import read_text
from dse.spec.suggest import did_you_mean
from dse.spec.translate import adapter, validated


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LoadedProblem:
    """A mapping problem with the place of every part of it."""

    spec: MappingProblemSpec
    text: str
    shown: str
    """How messages call the file."""
    index: int | None = None
    """Position of the problem under ``instances``; None: the file is the problem."""
    digest: str

    def problem(self, message: str, *path: str) -> Problem:
        """A mistake at a place of the file."""
        findings = Findings()
        root = read_text(self.text, self.shown, findings.problems)
        node = None if root is None else inside(root, self.index)
        for step in path:
            below = None if node is None else find(node, [step])
            if below is None:
                break
            node = below
        said = ".".join(path)
        return Problem(message, said, self.shown) if node is None else node.key_place.problem(said, message)


def load_problem(name: str | Path) -> LoadedProblem:
    """Reads a problem file, or with ``FILE#ID`` one problem of a file of several.

    Raises:
        SpecError: every mistake of the file, each with its place.
    """
    shown = str(name)
    path, _, wanted = shown.partition("#") if not Path(shown).is_file() else (shown, "", "")
    try:
        text = Path(path).expanduser().read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        folder = Path(path).parent
        nearby = [entry.name for entry in folder.glob("*.json")] if folder.is_dir() else []
        raise SpecError([Problem(f"no such file{did_you_mean(Path(path).name, nearby)}", file=path)]) from None
    except (IsADirectoryError, UnicodeDecodeError):
        raise SpecError([Problem("expected a mapping problem as a JSON file", file=path)]) from None
    index: int | None = None
    try:
        record = json.loads(text, object_pairs_hook=without_repeats)
    except (json.JSONDecodeError, KeyError):
        record = None
    except (RecursionError, ValueError):
        message = "expected a mapping problem (got lists within lists, or a number of thousands of digits)"
        raise SpecError([Problem(message, file=path)]) from None
    if isinstance(record, dict) and "instances" in record:
        record, index = one_of(record, wanted, path)
    digest = hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
    try:
        spec = adapter(MappingProblemSpec).validate_python(record)
    except ValidationError:
        spec = with_places(text, path, index)
    return LoadedProblem(spec=spec, text=text, shown=path, index=index, digest=digest)


def without_repeats(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """An object of a JSON text.

    Raises:
        KeyError: a key stands there twice.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        raise KeyError("repeated")
    return found


def one_of(record: Mapping[str, Any], wanted: str, shown: str) -> tuple[dict[str, Any], int]:
    """The problem of that name among the instances of a file, and its position."""
    instances = record["instances"] if isinstance(record["instances"], list) else []
    names = [entry.get("id", "") for entry in instances if isinstance(entry, dict)]
    if wanted not in names and (wanted or len(names) != 1):
        hint = did_you_mean(wanted, names) if wanted else f" ({', '.join(names) or 'there are none'})"
        message = f"expected FILE#ID with one of its problems{hint}"
        raise SpecError([Problem(message, "instances", shown)])
    index = names.index(wanted) if wanted else 0
    given = {"format": record["format"]} if "format" in record else {}
    return given | instances[index], index


def inside(root: Node, index: int | None) -> Node | None:
    """The problem in the tree of a file."""
    listed = root if index is None else child(root, "instances")
    return listed if index is None or listed is None else child(listed, index)


def with_places(text: str, shown: str, index: int | None) -> MappingProblemSpec:
    """The problem read once more, slowly, with the place of every value.

    Raises:
        SpecError: every mistake.
    """
    findings = Findings()
    root = read_text(text, shown, findings.problems)
    node = None if root is None else inside(root, index)
    findings.raise_if_any()
    if node is None or not isinstance(node.value, dict):
        raise SpecError(
            [Problem("expected a mapping problem: an object with groups, blocks and objective", file=shown)]
        )
    known: Final = {"format", "groups", "blocks", "objective"}
    if not known & node.value.keys():
        message = "this is no mapping problem: it has none of the keys format, groups, blocks, objective"
        raise SpecError([node.place.problem("", message)])
    check_format(node, findings)
    return validated(node, MappingProblemSpec, findings)


def check_format(root: Node, findings: Findings) -> None:
    """Names the formats that are read where a file is of another one."""
    assert isinstance(root.value, dict)
    said = root.value.get("format")
    if said is not None and said.value not in (1, 2):
        message = f"mapping problems of format 1 and 2 are read (got {said.value}); write the file in one of them"
        findings.add(said.key_place, "format", message)
