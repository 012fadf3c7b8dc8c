"""Files that come with the package, found by name from a source checkout and from an installed wheel."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from dse.errors import Problem
from dse.spec.suggest import nearest

FileKind = Literal["architecture", "device", "workload", "space"]

_FOLDERS: Final[dict[FileKind, str]] = {
    "architecture": "arch_specs",
    "device": "arch_specs/devices",
    "workload": "workloads",
    "space": "arch_specs/spaces",
}


@dataclass(frozen=True, slots=True)
class SpecFile:
    """A file and how messages call it."""

    path: Path
    shown: str

    def beside(self, text: str) -> SpecFile:
        """The file that this one names by a relative path."""
        if Path(text).is_absolute():
            return SpecFile(Path(text), text)
        folder = os.path.dirname(self.shown)
        return SpecFile(self.path.parent / text, Path(os.path.normpath(Path(folder) / text)).as_posix())


def shipped_root() -> Path:
    """The folder that holds ``arch_specs`` and ``workloads``."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "_shipped"
    return installed if installed.is_dir() else package.parent


def shipped_names(kind: FileKind) -> tuple[str, ...]:
    """Names of the shipped specs of a kind, sorted."""
    return tuple(sorted(path.stem for path in (shipped_root() / _FOLDERS[kind]).glob("*.yaml")))


def shipped_file(name: str, kind: FileKind) -> SpecFile | None:
    """The shipped spec of that name, with or without ``.yaml`` and its folder, or None."""
    folder = _FOLDERS[kind]
    for candidate in (f"{folder}/{name}", f"arch_specs/{name}"):
        for shown in (candidate, f"{candidate}.yaml"):
            path = shipped_root() / shown
            if shown.endswith(".yaml") and path.is_file():
                return SpecFile(path, shown)
    return None


def find_file(name: str | Path, kind: FileKind, near: SpecFile | None = None) -> SpecFile | Problem:
    """The file that a text means: a path, or the name of a shipped spec.

    Args:
        name: path, or name of a shipped spec.
        kind: what the file holds.
        near: the file that names it; a relative path is taken from there.

    Returns:
        The file, or the problem to report.
    """
    text = os.fspath(name)
    if not text:
        return Problem(f"the path of a {kind} file is empty")
    local = near.beside(text) if near else SpecFile(Path(text).expanduser(), text)
    if local.path.is_file():
        return local
    shipped = shipped_file(text, kind)
    if shipped is not None:
        return shipped
    if local.path.is_dir():
        return Problem(f"{local.shown!r} is a folder, not a YAML file")
    folder = local.path.parent
    nearby = {entry.stem: entry.name for entry in sorted(folder.glob("*.yaml"))} if folder.is_dir() else {}
    known = {name: name for name in shipped_names(kind)} | nearby
    others = [other for other in _FOLDERS if other != kind and shipped_file(text, other) is not None]
    if others:
        return Problem(f"{text!r} is a shipped {others[0]}; here stands the name or file of the {kind}")
    found = nearest(Path(text).stem, known)
    hint = f", did you mean {known[found]!r}?" if found else _listed(shipped_names(kind))
    return Problem(f"no such {kind} file: {text!r}{hint}")


def _listed(names: tuple[str, ...]) -> str:
    return f"; shipped: {', '.join(names)}" if names else ""
