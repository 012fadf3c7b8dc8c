"""Measured routing: CSV files of how often each expert is chosen, or of what every token chose."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dse.errors import Problem, SpecError
from dse.spec.model import Model

# L layers with experts, E experts, N tokens, K choices of a token

VISIT_COLUMNS: Final = ("layer", "expert", "probability")
TRACE_COLUMNS: Final = ("token", "layer", "expert")
SUM_TOLERANCE: Final = 1e-3
MOST_PROBLEMS: Final = 20
"""Problems of one file that are listed."""


@dataclass(frozen=True, slots=True, eq=False)
class RoutingTable:
    """What a routing file says."""

    visits: NDArray[np.float64]
    """(L, E): expected visits per token; a layer's visits add up to top_k."""
    trace: NDArray[np.int64] | None
    """(L, N, K): experts that each token chose, in the order of the tokens; None where only loads are known."""
    file: str
    """File it was read from."""


class Row(NamedTuple):
    """One line of the file."""

    line: int
    cells: list[str]


def read_visits(path: Path, model: Model) -> RoutingTable:
    """Reads ``layer,expert,probability``: one row per expert of every layer with experts.

    The probabilities of a layer are visits per token, which add up to top_k, or shares of all visits, which add up
    to 1; sums may be off by 1e-3 and are made exact.

    Raises:
        SpecError: every problem of the file, with its line.
    """
    problems: list[Problem] = []
    layer_row = {layer: row for row, layer in enumerate(model.expert_layers)}
    visits = np.full((len(layer_row), model.n_experts), np.nan)
    lines = np.zeros(len(layer_row), dtype=np.int64)
    for row in rows(path, VISIT_COLUMNS):
        layer, expert = whole(row, 0), whole(row, 1)
        value = number(row.cells[2])
        message = place_problem(layer, expert, layer_row, model)
        if message is None and not 0 <= value <= 1:
            message = f"probability must be a number from 0 to 1 (got {row.cells[2]!r})"
        if message is None and not np.isnan(visits[layer_row[layer], expert]):
            message = f"layer {layer}, expert {expert} appears twice"
        if message is None:
            visits[layer_row[layer], expert], lines[layer_row[layer]] = value, row.line
        else:
            problems.append(Problem(message, file=str(path), line=row.line))
    if not problems:
        for layer, index in layer_row.items():
            scaled, message = to_visits(visits[index], model.top_k)
            visits[index] = scaled
            if message:
                problems.append(Problem(f"layer {layer}: {message}", file=str(path), line=int(lines[index]) or None))
    fail(problems)
    return RoutingTable(visits, None, str(path))


def to_visits(probability: NDArray[np.float64], top_k: int) -> tuple[NDArray[np.float64], str]:
    """Visits per token that add up to top_k exactly; and what is wrong, or an empty text."""
    missing = np.flatnonzero(np.isnan(probability))
    if len(missing):
        listed = ", ".join(map(str, missing[:5])) + (" …" if len(missing) > 5 else "")
        return probability, f"no probability for experts {listed}; give every expert of the layer, 0 where unused"
    total = float(probability.sum())
    for target in (float(top_k), 1.0):
        if abs(total - target) <= SUM_TOLERANCE:
            visits = probability * (top_k / total)
            if visits.max() > 1 + SUM_TOLERANCE:
                text = f"expert {int(visits.argmax())} gets {visits.max():.4g} visits per token; a token chooses "
                return probability, text + f"{top_k} different experts, so at most 1"
            return np.minimum(visits, 1.0), ""
    text = f"probabilities add up to {total:.6g}; they must add up to top_k = {top_k} (visits per token) or to 1 "
    return probability, text + "(shares of all visits), within 1e-3"


def read_trace(path: Path, model: Model) -> RoutingTable:
    """Reads ``token,layer,expert``: one row per choice, tokens numbered 0, 1, 2 and so on in their order.

    Raises:
        SpecError: every problem of the file, with its line.
    """
    problems: list[Problem] = []
    layer_row = {layer: row for row, layer in enumerate(model.expert_layers)}
    chosen: dict[tuple[int, int], list[int]] = {}
    last = Row(1, [])
    for row in rows(path, TRACE_COLUMNS):
        last = row
        token, layer, expert = (whole(row, i) for i in range(3))
        message = place_problem(layer, expert, layer_row, model)
        message = f"token must be a whole number >= 0 (got {row.cells[0]!r})" if token < 0 else message
        choices = chosen.setdefault((token, layer), [])
        if message is None and expert in choices:
            message = f"token {token} chooses expert {expert} of layer {layer} twice"
        if message is not None:
            problems.append(Problem(message, file=str(path), line=row.line))
            if len(problems) > MOST_PROBLEMS:
                break
        choices.append(expert)
    n_tokens = 1 + max((token for token, _ in chosen), default=-1)
    if not problems:
        wrong = first_incomplete(chosen, n_tokens, model)
        problems += [Problem(wrong, file=str(path), line=last.line)] if wrong else []
    fail(problems)
    trace = np.array([[chosen[t, layer] for t in range(n_tokens)] for layer in layer_row], dtype=np.int64)
    visits = np.stack([np.bincount(of_layer.ravel(), minlength=model.n_experts) for of_layer in trace]) / n_tokens
    return RoutingTable(visits, trace, str(path))


def first_incomplete(chosen: dict[tuple[int, int], list[int]], n_tokens: int, model: Model) -> str:
    """The first token that has not chosen top_k experts in a layer, in words; empty where all have."""
    if n_tokens == 0:
        return "the trace has no token"
    for token in range(n_tokens):
        for layer in model.expert_layers:
            found = len(chosen.get((token, layer), ()))
            if found != model.top_k:
                return f"token {token} has {found} choices in layer {layer}; the model chooses {model.top_k} experts"
    return ""


def rows(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    """The rows below the header; comment lines and empty lines are passed over.

    Raises:
        SpecError: no such file, no text, another header, or a row with another number of cells.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, IsADirectoryError) as error:
        found = "is a folder" if isinstance(error, IsADirectoryError) else "no such routing file"
        message = f"{found}; give a CSV of the columns {','.join(columns)}"
        raise SpecError([Problem(message, file=str(path))]) from None
    except UnicodeDecodeError:
        message = f"not a text file; give a CSV of the columns {','.join(columns)} in UTF-8"
        raise SpecError([Problem(message, file=str(path))]) from None
    header = False
    for line, content in enumerate(text.splitlines(), 1):
        if not content.strip() or content.startswith("#"):
            continue
        cells = [cell.strip() for cell in next(csv.reader([content]))]
        if not header and cells != list(columns):
            raise SpecError([Problem(f"expected the columns {','.join(columns)}", file=str(path), line=line)])
        if len(cells) != len(columns):
            message = f"expected {len(columns)} columns (got {len(cells)})"
            raise SpecError([Problem(message, file=str(path), line=line)])
        if header:
            yield Row(line, cells)
        header = True
    if not header:
        raise SpecError([Problem(f"expected the columns {','.join(columns)}", file=str(path))])


def place_problem(layer: int, expert: int, layer_row: dict[int, int], model: Model) -> str | None:
    """What is wrong with the place of a row, or None."""
    if layer not in layer_row:
        known = sorted(layer_row)
        return f"no layer with experts has this number (they are {known[0]} to {known[-1]} in {model.name})"
    if not 0 <= expert < model.n_experts:
        return f"no expert has this number (they are 0 to {model.n_experts - 1} in {model.name})"
    return None


def whole(row: Row, position: int) -> int:
    """A whole number of a row; −1 where it is none."""
    text = row.cells[position]
    return int(text) if text.isdecimal() else -1


def number(text: str) -> float:
    """A number; not-a-number where it is none."""
    try:
        return float(text)
    except ValueError:
        return float("nan")


def fail(problems: list[Problem]) -> None:
    """Raises the problems, if there are any."""
    if problems:
        raise SpecError(problems[:MOST_PROBLEMS])


READERS: Final[dict[str, Callable[[Path, Model], RoutingTable]]] = {"measured": read_visits, "trace": read_trace}
"""Kind of routing → reader of its file."""
