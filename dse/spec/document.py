"""A spec file with the files it names: what it ``extends``, and the device files of analog cores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from dse.errors import Problem, SpecError
from dse.spec.findings import Findings
from dse.spec.node import OVERRIDE, Node, Place, label, name_of
from dse.spec.origin import with_origins
from dse.spec.own_values import with_own_values
from dse.spec.read import described, read_file
from dse.spec.shipped import FileKind, SpecFile, find_file

_TELLTALE: Final[dict[FileKind, frozenset[str]]] = {
    "architecture": frozenset({"dies", "digital_units", "analog_cores", "memories", "energy_boundary"}),
    "device": frozenset({"g_max_usiemens", "g_min_usiemens", "programming", "scale_scope"}),
    "workload": frozenset({"scenario", "model", "routing", "checkpoint", "evaluation"}),
    "space": frozenset({"base", "axes", "metrics"}),
}


@dataclass(slots=True)
class Document:
    """The values of a spec with their places, and the files they come from."""

    root: Node
    file: SpecFile
    files: dict[str, SpecFile] = field(default_factory=dict)
    """How messages call a file → the file."""


def kind_of_keys(keys: Mapping[str, object]) -> FileKind | None:
    """What kind of spec these top-level keys belong to, or None."""
    scores = {kind: len(known & keys.keys()) for kind, known in _TELLTALE.items()}
    best = max(scores, key=scores.__getitem__)
    return best if scores[best] else None


def read_document(name: str | Path, kind: FileKind, findings: Findings) -> Document:
    """A spec file (or shipped spec of that name) with what it extends and the devices it names.

    Raises:
        SpecError: the file cannot be read at all, or is of another kind.
    """
    file = find_file(name, kind)
    if isinstance(file, Problem):
        raise SpecError([file])
    document = Document(Node(None, Place(file.shown)), file)
    root = _extended(file, kind, findings, document)
    if root is None:
        findings.raise_if_any()
    assert root is not None
    assert isinstance(root.value, dict)
    found = kind_of_keys(root.value)
    if found not in (None, kind):
        article = "an" if found == "architecture" else "a"
        problem = f"this is {article} {found} file, but {'an' if kind == 'architecture' else 'a'} {kind} is expected"
        raise SpecError([Problem(problem, file=file.shown)])
    document.root = with_own_values(root) if kind == "architecture" else root
    return document


def with_devices(root: Node, findings: Findings, document: Document, near: SpecFile | None) -> Node:
    """The tree of an architecture with device files in place of their paths."""
    cores = root.value.get("analog_cores") if isinstance(root.value, dict) else None
    if cores is None or not isinstance(cores.value, list):
        return root
    entries = []
    for position, core in enumerate(cores.value):
        device = core.value.get("device") if isinstance(core.value, dict) else None
        if device is not None and not isinstance(device.value, dict):
            path = f"analog_cores{label(cores, position)}.device"
            loaded = _device(device, path, findings, document, near)
            entries.append(core.with_value({**core.value, "device": loaded}))  # type: ignore[dict-item]
        else:
            entries.append(core)
    return root.with_value({**root.value, "analog_cores": cores.with_value(entries)})  # type: ignore[dict-item]


def merged(base: Node, over: Node, *, is_top: bool = True) -> Node:
    """``over`` laid on ``base``: mappings and lists of named things merge, everything else is replaced.

    A mapping whose ``model`` differs is another kind of thing and replaces the one below it.
    """
    if over.is_file:
        return over
    if isinstance(base.value, dict) and isinstance(over.value, dict):
        if not is_top and _model(over) not in (None, _model(base)):
            return over
        result = dict(base.value)
        for key, entry in over.value.items():
            result[key] = merged(result[key], entry, is_top=False) if key in result else entry
        return replace(over, value=result)
    if isinstance(base.value, list) and isinstance(over.value, list):
        base_names, over_names = [name_of(e) for e in base.value], [name_of(e) for e in over.value]
        if over_names and _are_distinct(base_names) and _are_distinct(over_names):
            by_name = dict(zip(over_names, over.value, strict=True))
            kept = [merged(e, by_name[n], is_top=False) if n in by_name else e for n, e in _zip(base_names, base)]
            return replace(over, value=kept + [e for n, e in _zip(over_names, over) if n not in base_names])
    return over


def _are_distinct(names: list[str | None]) -> bool:
    return None not in names and len(set(names)) == len(names)


def _zip(names: list[str | None], node: Node) -> list[tuple[str | None, Node]]:
    assert isinstance(node.value, list)
    return list(zip(names, node.value, strict=True))


def _model(node: Node) -> object:
    model = node.value.get("model") if isinstance(node.value, dict) else None
    return None if model is None else model.value


def _extended(file: SpecFile, kind: FileKind, findings: Findings, document: Document) -> Node | None:
    own = _single(file, kind, findings, document)
    if own is None or not isinstance(own.value, dict) or "extends" not in own.value:
        return own
    extends = own.value["extends"]
    own = own.with_value({key: entry for key, entry in own.value.items() if key != "extends"})
    if not isinstance(extends.value, str):
        findings.add(extends.place, "extends", f"must be the path of a file (got {described(extends)})")
        return own
    found = find_file(extends.value, kind, near=file)
    if isinstance(found, Problem):
        findings.add(extends.place, "extends", found.message)
        findings.raise_if_any()
        return None
    base = _single(found, kind, findings, document)
    if base is None or not isinstance(base.value, dict):
        return None
    if "extends" in base.value:
        message = f"extended by {file.shown}, so it may not extend another file; copy the values it needs"
        if found.path == file.path:
            message = "names the file itself; name another one, or leave it out"
        findings.add(base.value["extends"].key_place, "extends", message)
        findings.raise_if_any()
    return merged(base, own)


def _single(file: SpecFile, kind: FileKind, findings: Findings, document: Document) -> Node | None:
    document.files[file.shown] = file
    node = read_file(file.path, file.shown, findings.problems)
    if node is None:
        return None
    node = with_origins(node, findings)
    return with_own_values(with_devices(node, findings, document, file)) if kind == "architecture" else node


def _device(device: Node, path: str, findings: Findings, document: Document, near: SpecFile | None) -> Node:
    """The content of the device file that a value names."""
    empty = device.with_value({})
    if not isinstance(device.value, str):
        message = f"must be the path of a device file, or a mapping (got {described(device)})"
        findings.add(device.place, path, message)
        return empty
    found = find_file(device.value, "device", near)
    if isinstance(found, Problem) and device.place.file == OVERRIDE:
        found = find_file(device.value, "device", document.file)
    if isinstance(found, Problem):
        findings.add(device.place, path, found.message)
        return empty
    content = _extended(found, "device", findings, document)
    if content is None:
        findings.covered.add(path)
        return empty
    return replace(content, key=device.key, is_file=True)
