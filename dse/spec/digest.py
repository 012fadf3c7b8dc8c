"""Identity of a spec or a data file: sha256 over its content, so that equal digests mean equal inputs."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path

import numpy as np

from dse.errors import Problem, SpecError


def digest_of(value: object) -> str:
    """Sha256 over all values of a tree of dataclasses, lists, mappings, texts, numbers and arrays.

    >>> digest_of({"a": 1, "b": 2.5}) == digest_of({"b": 2.5, "a": 1.0})
    True
    """
    state = hashlib.sha256()
    for path, part in _parts("", value):
        state.update(path.encode() + b"=" + part + b"\n")
    return state.hexdigest()


def file_digest(path: Path) -> str:
    """sha256 of a file; unchanged files are read once.

    Raises:
        SpecError: no such file.
    """
    try:
        state = path.stat()
    except FileNotFoundError:
        raise SpecError([Problem("no such file", file=str(path))]) from None
    return digest_of_version(path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=256)
def digest_of_version(path: Path, size: int, mtime_ns: int) -> str:
    """sha256 of a file in the version that has this size and time."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _parts(path: str, value: object) -> Iterator[tuple[str, bytes]]:
    if value is None or isinstance(value, str | int | float):
        yield path, _scalar(value)
    elif isinstance(value, np.ndarray):
        array = np.ascontiguousarray(value)
        yield path, f"{array.dtype}{array.shape}".encode() + array.tobytes()
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for name in _field_names(type(value)):
            yield from _parts(f"{path}.{name}", getattr(value, name))
    elif isinstance(value, Mapping):
        for key in sorted(value):
            yield from _parts(f"{path}.{key}", value[key])
    elif isinstance(value, Sequence):
        yield path, f"list of {len(value)}".encode()
        for position, entry in enumerate(value):
            yield from _parts(f"{path}[{position}]", entry)
    else:
        yield path, _scalar(value)


@cache
def _field_names(of_class: type) -> tuple[str, ...]:
    return tuple(sorted(field.name for field in dataclasses.fields(of_class)))


def _scalar(value: object) -> bytes:
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    return repr(value).encode()
