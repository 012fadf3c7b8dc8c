"""Reads a spec file of any kind; the kind is told by its keys."""

from __future__ import annotations

from pathlib import Path
from typing import Final, TypeAlias, get_args

from dse.errors import Problem, SpecError
from dse.spec.architecture import Architecture
from dse.spec.device_file import LoadedDevice, load_device_file
from dse.spec.document import kind_of_keys
from dse.spec.load import LoadedWorkload, load_architecture, load_workload_spec
from dse.spec.read import read_file
from dse.spec.shipped import FileKind, SpecFile, find_file
from dse.spec.space import LoadedSpace, load_space

Loaded: TypeAlias = Architecture | LoadedDevice | LoadedWorkload | LoadedSpace

_KINDS: Final[tuple[FileKind, ...]] = get_args(FileKind)


def load_any(path: str | Path) -> Loaded:
    """Reads an architecture, device, workload or space.

    Raises:
        SpecError: every problem of the file.
    """
    match file_kind(path):
        case "architecture":
            return load_architecture(path)
        case "device":
            return load_device_file(path)
        case "workload":
            return load_workload_spec(path)
        case "space":
            return load_space(path)


def file_kind(path: str | Path) -> FileKind:
    """What a spec file (or the shipped spec of that name) holds.

    Raises:
        SpecError: there is no such file, it is broken, or its keys belong to no kind of spec.
    """
    found = [(kind, find_file(path, kind)) for kind in _KINDS]
    for kind, file in found:
        if isinstance(file, SpecFile):
            return _kind_by_keys(file, kind)
    assert isinstance(found[0][1], Problem)
    if Path(path).expanduser().is_dir():
        raise SpecError([found[0][1]])
    message = f"no such spec file: {str(path)!r}"
    hints = [file.message.partition(", did you mean ") for _, file in found if isinstance(file, Problem)]
    hint = next(
        (f", did you mean {name}" for _, said, name in hints if said), "; `dse examples` lists the shipped ones"
    )
    raise SpecError([Problem(message + hint)])


def _kind_by_keys(file: SpecFile, expected: FileKind, *, is_base: bool = False) -> FileKind:
    problems: list[Problem] = []
    root = read_file(file.path, file.shown, problems)
    if root is None:
        raise SpecError(problems)
    assert isinstance(root.value, dict)
    kind = kind_of_keys(root.value)
    extends = root.value.get("extends")
    if kind is None and extends is not None and isinstance(extends.value, str):
        base = find_file(extends.value, expected, near=file)
        return expected if is_base or isinstance(base, Problem) else _kind_by_keys(base, expected, is_base=True)
    if kind is None:
        message = "holds no spec: none of its keys belongs to an architecture, device, workload or space"
        raise SpecError([Problem(message, file=file.shown)])
    return kind
