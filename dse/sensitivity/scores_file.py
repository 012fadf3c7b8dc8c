"""Scores as a CSV file: a header of ``# key: value`` lines, then block, layer, kind, expert, score."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Final

import pandas as pd

from dse.errors import Problem, SpecError
from dse.sensitivity.table import score_table
from dse.spec.suggest import did_you_mean
from dse.workload.blocks import Block
from dse.workload.build import Workload

COLUMNS: Final = ("block", "layer", "kind", "expert", "score")
UNITS: Final = ("1", "nats")


def write_scores(scores: pd.DataFrame, path: Path) -> None:
    """Writes scores with rule, unit and options in the header; ``read_scores`` gives them back exactly."""
    attrs = scores.attrs
    header = {"rule": attrs["rule"], "unit": attrs["unit"], "additive": "yes" if attrs["additive"] else "no"}
    header |= {f"option {name}": value for name, value in attrs.get("options", {}).items()}
    comment = "".join(f"# {key}: {value}\n" for key, value in header.items())
    path.write_text(comment + scores[list(COLUMNS)].to_csv(index=False, lineterminator="\n"), encoding="utf-8")


def read_scores(path: Path, workload: Workload) -> pd.DataFrame:
    """Reads scores of a workload's blocks; every expert must have one, dense blocks may.

    Raises:
        SpecError: every problem of the file, with its line.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (FileNotFoundError, IsADirectoryError):
        raise SpecError(
            [Problem("no such scores file; `dse score WORKLOAD -o FILE` writes one", file=str(path))]
        ) from None
    except UnicodeDecodeError:
        raise SpecError([Problem("not a text file", file=str(path))]) from None
    header, problems = read_header(lines, str(path))
    blocks = {block.name: block for block in workload.blocks if block.kind != "embedding"}
    body = [(number, line) for number, line in enumerate(lines, 1) if line.strip() and not line.startswith("#")]
    if not body or [cell.strip() for cell in body[0][1].split(",")] != list(COLUMNS):
        first = body[0][0] if body else None
        raise SpecError([*problems, Problem(f"expected the columns {','.join(COLUMNS)}", file=str(path), line=first)])
    scores: dict[str, float] = {}
    for number, line in body[1:]:
        cells = [cell.strip() for cell in next(csv.reader([line]))]
        message = row_problem(cells, blocks, scores)
        if message is None:
            scores[cells[0]] = float(cells[4])
        else:
            problems.append(Problem(message, file=str(path), line=number))
    missing = [name for name, block in blocks.items() if block.kind == "expert" and name not in scores]
    if missing and not problems:
        listed = ", ".join(missing[:3]) + (" …" if len(missing) > 3 else "")
        problems.append(Problem(f"{len(missing)} experts of {workload.name} have no score: {listed}", file=str(path)))
    if problems:
        raise SpecError(problems)
    return score_table(
        [block for name, block in blocks.items() if name in scores],
        scores,
        rule=header["rule"],
        unit=header["unit"],
        additive=header["additive"] == "yes",
        status="from_file",
        options={k.removeprefix("option "): v for k, v in header.items() if k.startswith("option ")},
    )


def read_header(lines: list[str], file: str) -> tuple[dict[str, str], list[Problem]]:
    """The ``# key: value`` lines of a scores file and what is wrong with them."""
    header = {"rule": "file", "unit": "1", "additive": "no"}
    problems = []
    for number, line in enumerate(lines, 1):
        if not line.startswith("#"):
            break
        key, found, value = line.removeprefix("#").partition(":")
        if found:
            header[key.strip()] = value.strip()
        if key.strip() == "unit" and value.strip() not in UNITS:
            problems.append(
                Problem(f"unit must be one of {', '.join(UNITS)} (got {value.strip()})", file=file, line=number)
            )
        if key.strip() == "additive" and value.strip() not in ("yes", "no"):
            problems.append(Problem(f"additive must be yes or no (got {value.strip()})", file=file, line=number))
    return header, problems


def row_problem(cells: list[str], blocks: dict[str, Block], seen: dict[str, float]) -> str | None:
    """What is wrong with one row, or None."""
    if len(cells) != len(COLUMNS):
        return f"expected {len(COLUMNS)} columns (got {len(cells)})"
    name, layer, kind, expert, score = cells
    if name not in blocks:
        return f"unknown block {name!r}{did_you_mean(name, blocks)}"
    if name in seen:
        return f"{name} appears twice"
    block = blocks[name]
    expected = [
        "" if block.layer is None else str(block.layer),
        block.kind,
        "" if block.expert is None else str(block.expert),
    ]
    if [layer, kind, expert] != expected:
        return f"{name} is layer,kind,expert = {','.join(expected)} (got {layer},{kind},{expert})"
    try:
        value = float(score)
    except ValueError:
        return f"score of {name} must be a number (got {score!r})"
    return (
        None if math.isfinite(value) and value >= 0 else f"score of {name} must be a finite number >= 0 (got {score})"
    )
