"""Evaluation data: token files with their sidecars, windows of context length, multiple-choice items."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dse.errors import Problem, SpecError

Tokens = NDArray[np.uint16] | NDArray[np.uint32]

SIDECAR_KEYS = ("tokenizer_sha256", "source", "licence")


@dataclass(frozen=True, slots=True)
class Item:
    """One multiple-choice question as token numbers."""

    context: tuple[int, ...]
    choices: tuple[tuple[int, ...], ...]
    answer: int
    """Index of the right choice."""


def read_tokens(path: Path, *, tokenizer_sha256: str, vocab_size: int) -> Tokens:
    """The tokens of a uint16 or uint32 ``.npy`` file, checked against its JSON sidecar and the model.

    Raises:
        SpecError: file or sidecar missing or malformed, made with another tokenizer, or token ≥ vocab_size.
    """
    problems = sidecar_problems(path.with_suffix(".json"), tokenizer_sha256)
    try:
        tokens = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise SpecError([Problem("no such token file", file=str(path)), *problems]) from None
    except (ValueError, EOFError, OSError) as error:
        raise SpecError([Problem(f"not a NumPy array file: {error}", file=str(path)), *problems]) from None
    if tokens.dtype not in (np.uint16, np.uint32) or tokens.ndim != 1:
        expected = f"expected one row of uint16 or uint32 tokens (got {tokens.dtype} of shape {tokens.shape})"
        problems.append(Problem(expected, file=str(path)))
    elif len(tokens) and int(tokens.max()) >= vocab_size:
        problems.append(Problem(f"token {tokens.max()} is outside the vocabulary of {vocab_size}", file=str(path)))
    if problems:
        raise SpecError(problems)
    return np.asarray(tokens)


def sidecar_problems(path: Path, tokenizer_sha256: str) -> list[Problem]:
    """What is wrong with the sidecar of a token file."""
    file = str(path)
    try:
        sidecar = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return [Problem(f"missing; a token file needs a sidecar with {', '.join(SIDECAR_KEYS)}", file=file)]
    except json.JSONDecodeError as error:
        return [Problem(f"not a JSON file: {error.msg}", file=file, line=error.lineno, column=error.colno)]
    if not isinstance(sidecar, dict):
        return [Problem(f"expected an object with {', '.join(SIDECAR_KEYS)}", file=file)]
    problems = [Problem("missing", key, file) for key in SIDECAR_KEYS if not isinstance(sidecar.get(key), str)]
    found = sidecar.get("tokenizer_sha256")
    if isinstance(found, str) and found != tokenizer_sha256:
        told = f"{found[:12]}… is not the checkpoint's tokenizer {tokenizer_sha256[:12]}…; encode the text again"
        problems.append(Problem(told, "tokenizer_sha256", file))
    return problems


def token_windows(tokens: Tokens, *, context: int, n_tokens: int) -> NDArray[np.int64]:
    """Evenly spaced windows, each with one token more than the context: [windows, context + 1].

    As many windows as ``n_tokens`` predicted tokens need, at least one and no more than fit without overlap of
    the predicted tokens.

    Raises:
        SpecError: not even one window fits.
    """
    fitting = (len(tokens) - 1) // context
    if fitting < 1 or n_tokens < 1:
        raise SpecError(f"{len(tokens)} tokens hold no window of {context} + 1; n_tokens is {n_tokens}")
    count = min(max(n_tokens // context, 1), fitting)
    starts = np.linspace(0, len(tokens) - context - 1, count).astype(np.int64)
    return np.stack([tokens[start : start + context + 1] for start in starts]).astype(np.int64)


def read_items(path: Path, *, vocab_size: int, context: int, n_items: int | None) -> tuple[Item, ...]:
    """The first ``n_items`` (None: all) multiple-choice items of a JSONL file.

    Every line is an object with ``context_tokens``, ``choices_tokens`` and ``answer``; texts for readers may
    stand beside them.

    Raises:
        SpecError: every malformed line, by number.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise SpecError([Problem("no such file of multiple-choice items", file=str(path))]) from None
    items, problems = [], []
    for number, line in enumerate(lines[:n_items], start=1):
        try:
            items.append(parse_item(line, vocab_size=vocab_size, context=context))
        except (ValueError, KeyError, TypeError) as error:
            problems.append(Problem(f"not a multiple-choice item: {error}", file=str(path), line=number))
    if problems:
        raise SpecError(problems[:20])
    return tuple(items)


def parse_item(line: str, *, vocab_size: int, context: int) -> Item:
    """One line of a multiple-choice file.

    Raises:
        ValueError, KeyError, TypeError: what is wrong with it.
    """
    record = json.loads(line)
    item = Item(
        context=tuple(record["context_tokens"]),
        choices=tuple(tuple(choice) for choice in record["choices_tokens"]),
        answer=record["answer"],
    )
    if len(item.choices) < 2 or not item.context or not all(item.choices):
        raise ValueError("needs a context and at least two choices, none of them empty")
    if not isinstance(item.answer, int) or not 0 <= item.answer < len(item.choices):
        raise ValueError(f"answer {item.answer!r} names none of the {len(item.choices)} choices")
    if not all(isinstance(t, int) and 0 <= t < vocab_size for part in (item.context, *item.choices) for t in part):
        raise ValueError(f"tokens must be whole numbers from 0 to {vocab_size - 1}")
    if len(item.context) + max(map(len, item.choices)) > context:
        raise ValueError(f"longer than the model's context of {context}")
    return item
