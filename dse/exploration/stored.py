"""Stored results by the names that commands take: FILE.json of one evaluation, RUN or RUN#POINT of a run folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, NamedTuple

from dse.errors import SpecError
from dse.exploration.study import Study

EVALUATION: Final = "evaluation.json"
"""What ``dse evaluate -o FOLDER`` writes."""


class RunPoint(NamedTuple):
    """One point of a run folder."""

    folder: Path
    study: Study
    number: int


def is_stored(text: str) -> bool:
    """Whether a text names a stored result: a run folder, or a file that ends in ``.json``."""
    path = Path(text.partition("#")[0])
    return path.is_dir() or path.suffix == ".json"


def read_stored(text: str) -> dict[str, Any] | RunPoint:
    """The document of FILE.json or a folder with one, or the point of RUN#POINT; of RUN its reference point.

    Raises:
        SpecError: no such file or folder, none that a command of ``dse`` wrote, or no such point.
    """
    name, mark, point = text.partition("#")
    path = Path(name)
    if path.is_dir() and not mark and (path / EVALUATION).is_file() and not (path / "manifest.json").exists():
        return read_document(path / EVALUATION)
    if path.is_dir():
        return run_point(path, point if mark else None)
    if mark:
        raise SpecError(f"{text}: # names a point of a run folder, and {name} is none")
    return read_document(path)


def read_document(path: Path) -> dict[str, Any]:
    """The document of one evaluation.

    Raises:
        SpecError: no such file, or none that ``dse evaluate`` wrote.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SpecError(f"{path}: no such file; `dse evaluate ARCH WORKLOAD -o {path}` writes it") from None
    except UnicodeDecodeError:
        raise SpecError(f"{path}: not a JSON file: it is no text") from None
    except json.JSONDecodeError as error:
        raise SpecError(f"{path}:{error.lineno}:{error.colno}: not a JSON file: {error.msg}") from None
    if not isinstance(document, dict):
        raise SpecError(f"{path}: not a result of `dse evaluate -o`; write it again")
    return document


def run_point(folder: Path, point: str | None) -> RunPoint:
    """A point of a run folder by its number, the reference point of the run where none is named.

    Raises:
        SpecError: no run folder, no such point, or no reference point.
    """
    study = Study.load(folder)
    name = f"{folder}#{'' if point is None else point}"
    if point is not None and not (point.isascii() and point.isdecimal()):
        raise SpecError(f"{name}: after # comes the number of a point (got {point!r})")
    number = study.manifest["reference_point"] if point is None else int(point)
    if number is None:
        raise SpecError(f"{folder}: no point of the run is feasible; name one by its number, e.g. {folder}#0")
    if number not in study.points.index:
        raise SpecError(f"{name}: the run has points 0 to {study.points.index.max()} (asked for {number})")
    return RunPoint(folder, study, number)
