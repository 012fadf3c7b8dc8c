"""What a command prints and writes: one strict JSON document or text on stdout, remarks on stderr."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from dse.errors import InfeasibleError, Problem, SpecError

SCHEMA_VERSION: Final = 1


def emit(arguments: argparse.Namespace, document: Mapping[str, Any], text: Callable[[], str]) -> None:
    """Prints the result: one JSON document, or text."""
    print(json_text(document) if arguments.json else text())


def tell(arguments: argparse.Namespace, message: str) -> None:
    """Prints a remark on stderr."""
    if not arguments.quiet:
        print(message, file=sys.stderr, flush=True)


def json_text(document: Mapping[str, Any]) -> str:
    """A document as strict JSON; what is no number (NaN, ±∞) is null."""
    return json.dumps(plain({"schema_version": SCHEMA_VERSION, **document}), allow_nan=False)


def plain(value: Any) -> Any:
    """The JSON value of a NumPy number or array, a path, a tuple, a mapping.

    >>> plain({"gap": float("inf"), "shape": (2, 3), 1: None})
    {'gap': None, 'shape': [2, 3], '1': None}
    """
    if hasattr(value, "tolist"):
        value = value.tolist()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(entry) for entry in value]
    return str(value)


def output_file(path: str | None, default_name: str) -> Path | None:
    """The file that ``-o PATH`` means, or None; in a folder the default name. Asked before anything is computed.

    A path that ends in ``/`` is a folder, which is made when the file is written.

    Raises:
        SpecError: the file cannot be written there.
    """
    if path is None:
        return None
    place = Path(path).expanduser()
    if place.is_dir() or path.endswith(("/", os.sep)):
        return require_writable(path, place / default_name, place)
    if not place.parent.exists():
        raise SpecError(f"-o {path}: there is no folder {place.parent}; make it first, e.g. mkdir -p {place.parent}")
    return require_writable(path, place, place.parent)


def result_file(path: str | None, default_name: str) -> Path | None:
    """The same for results, whose ``-o PATH`` is a folder too where it has no suffix and is no file.

    Raises:
        SpecError: the file cannot be written there.
    """
    if path is not None and not Path(path).suffix and not Path(path).expanduser().exists():
        return output_file(f"{path}/", default_name)
    return output_file(path, default_name)


def require_writable(path: str, file: Path, folder: Path) -> Path:
    """The file, unless a folder on its way is a file, or may not be written to.

    Raises:
        SpecError: it is one of these.
    """
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not there.is_dir():
        raise SpecError(f"-o {path}: {there} is a file, not a folder")
    if not os.access(file if file.exists() else there, os.W_OK):
        raise SpecError(f"-o {path}: no permission to write there; choose another place")
    return file


def write_text(arguments: argparse.Namespace, file: Path, text: str) -> None:
    """Writes a text file and says so."""
    with writing(arguments, file):
        file.write_text(text, encoding="utf-8")


@contextmanager
def writing(arguments: argparse.Namespace, file: Path) -> Iterator[None]:
    """Says that a file was written, or why it could not be.

    Raises:
        SpecError: the place refuses it.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise SpecError(f"-o {file}: {error.strerror or error}") from None
    tell(arguments, f"wrote {file}")


def write_document(arguments: argparse.Namespace, file: Path | None, document: Mapping[str, Any]) -> None:
    """Writes a JSON document where ``-o`` asks for one."""
    if file is not None:
        write_text(arguments, file, json_text(document) + "\n")


def bad_input(error: SpecError) -> dict[str, Any]:
    """The document of bad input: every problem with its place."""
    return {"status": "bad_input", "problems": [problem_document(problem) for problem in error.problems]}


def problem_document(problem: Problem) -> dict[str, Any]:
    """A problem as a JSON object."""
    names = ("file", "line", "column", "path", "message")
    return {name: getattr(problem, name) for name in names}


def infeasible(error: InfeasibleError) -> dict[str, Any]:
    """The document of a task without an answer: every cause."""
    names = ("limit", "need", "have", "short_by", "unit", "blocks", "least_relaxation")
    causes = [{name: getattr(cause, name) for name in names} for cause in error.causes]
    return {"status": "infeasible", "remark": error.remark, "causes": causes}
