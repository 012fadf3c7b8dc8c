"""Values that options take, with what is said about the others."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable


def whole(low: int) -> Callable[[str], int]:
    """Reads whole numbers from ``low`` on."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if value < low:
            raise argparse.ArgumentTypeError(f"give a whole number >= {low} (got {text})")
        return value

    return read


def number(low: float = -math.inf, high: float = math.inf) -> Callable[[str], float]:
    """Reads finite numbers from ``low`` to ``high``."""
    said = f">= {low:g}" if math.isinf(high) else f"between {low:g} and {high:g}"
    if math.isinf(low):
        said = "that is finite"

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (low <= value <= high and math.isfinite(value)):
            raise argparse.ArgumentTypeError(f"give a number {said} (got {text})")
        return value

    return read


def positive(text: str) -> float:
    """Reads a finite number > 0."""
    value = number(0.0)(text)
    if value == 0:
        raise argparse.ArgumentTypeError(f"give a number > 0 (got {text})")
    return value


def names(text: str) -> tuple[str, ...]:
    """Reads names separated by commas."""
    found = tuple(part.strip() for part in text.split(","))
    if not all(found):
        raise argparse.ArgumentTypeError(f"give names separated by commas (got {text!r})")
    return found


def numbers(text: str) -> list[float]:
    """Reads numbers >= 0, separated by commas."""
    return [number(0.0)(part) for part in text.split(",")]


def chips(text: str) -> int:
    """Reads an even number of chips."""
    value = whole(0)(text)
    if value < 4 or value % 2:
        raise argparse.ArgumentTypeError(f"chips come in antithetic pairs: give an even number >= 4 (got {text})")
    return value
