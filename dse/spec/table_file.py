"""Tables of numbers that a cost names: the rows of a CSV file in place of its name."""

from __future__ import annotations

import csv
from pathlib import Path

from dse.errors import SpecError
from dse.spec.document import Document
from dse.spec.findings import Findings
from dse.spec.node import Node, Place, find, label
from dse.spec.origin import with_origins
from dse.spec.read import described, read_value
from dse.spec.shipped import SpecFile

_TABLES = (("cost",), ("cost", "adc"))


def with_tables(root: Node, findings: Findings, document: Document) -> Node:
    """The tree of an architecture in which ``model: table`` has the rows of its ``file`` instead, as ``points``."""
    cores = root.value.get("analog_cores") if isinstance(root.value, dict) else None
    if cores is None or not isinstance(cores.value, list):
        return root
    assert isinstance(root.value, dict)
    entries = []
    for position, core in enumerate(cores.value):
        path = f"analog_cores{label(cores, position)}"
        for keys in _TABLES:
            core = _filled(core, keys, path, findings, document)  # noqa: PLW2901 (one table after the other)
        entries.append(core)
    return root.with_value({**root.value, "analog_cores": cores.with_value(entries)})


def _filled(core: Node, keys: tuple[str, ...], path: str, findings: Findings, document: Document) -> Node:
    """The core with one of its tables read."""
    table, model, file = find(core, keys), find(core, (*keys, "model")), find(core, (*keys, "file"))
    if table is None or model is None or file is None or model.value != "table" or file.value is None:
        return core
    assert isinstance(table.value, dict)
    where = ".".join((path, *keys))
    if "points" in table.value:
        findings.add(table.value["points"].key_place, f"{where}.points", "given beside file; keep one of the two")
        return core
    points = _rows(file, f"{where}.file", findings, document)
    if points is None:
        return core
    others = {key: entry for key, entry in table.value.items() if key != "file"}
    return _replaced(core, keys, table.with_value({**others, "points": points}))


def _replaced(node: Node, keys: tuple[str, ...], value: Node) -> Node:
    if not keys:
        return value
    assert isinstance(node.value, dict)
    return node.with_value({**node.value, keys[0]: _replaced(node.value[keys[0]], keys[1:], value)})


def _rows(file: Node, where: str, findings: Findings, document: Document) -> Node | None:
    """The rows of a CSV file as a list of mappings; lines that begin with # are comments."""
    if not isinstance(file.value, str):
        findings.add(file.place, where, f"must be the path of a CSV file (got {described(file)})")
        return None
    near = document.files.get(file.place.file)
    name = str(Path(file.value).expanduser())
    table = near.beside(name) if near else SpecFile(Path(name), file.value)
    try:
        lines = table.path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        findings.add(file.place, where, f"no readable CSV file: {file.value!r}; paths start at the spec's folder")
        return None
    numbered = [(n, line) for n, line in enumerate(lines, 1) if line.strip() and not line.lstrip().startswith("#")]
    header: list[str] = []
    entries: list[Node] = []
    for (number, _), cells in zip(numbered, csv.reader(line for _, line in numbered), strict=True):
        place = Place(table.shown, number, 1)
        if not header:
            header = [cell.strip() for cell in cells]
        elif len(cells) != len(header):
            findings.add(place, where, f"has {len(cells)} values, but the header names {len(header)} columns")
        else:
            row = {key: _cell(cell, place, file) for key, cell in zip(header, cells, strict=True) if cell.strip()}
            entries.append(with_origins(Node(row, place), findings, f"{where}[{len(entries)}]", file.origin))
    return Node(entries, file.place, origin=file.origin)


def _cell(text: str, place: Place, file: Node) -> Node:
    try:
        value = read_value(text.strip(), place.file).value
    except SpecError:
        value = text
    return Node(value, place, place, origin=file.origin)
