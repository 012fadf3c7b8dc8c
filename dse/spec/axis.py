"""The values of an axis as text: ``6,7,8``, ``4:10:2``, ``0:1:lin5``, ``1:1000:log4`` and mixtures of them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Final

import numpy as np

from dse.errors import Problem, SpecError
from dse.spec.node import OVERRIDE, Plain, plain
from dse.spec.overrides import split_override
from dse.spec.read import read_value
from dse.spec.whole import takes_whole_numbers

_NUMBER: Final = r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
_RANGE: Final = re.compile(rf"\s*({_NUMBER})\s*:\s*({_NUMBER})\s*:\s*(?:({_NUMBER})|(lin|log)([0-9]+))\s*")
_HALF_RANGE: Final = re.compile(rf"\s*{_NUMBER}\s*:\s*{_NUMBER}(?:\s*:.*)?\s*")
_MOST: Final = 1_000_000
_DIGITS: Final = 12
_CLOSES: Final = {"[": "]", "{": "}", "(": ")"}


def parse_axis(text: str) -> tuple[str, list[Plain]]:
    """Path and values of an axis ``path=values``.

    Raises:
        SpecError: no ``path=values``, a broken value or an empty range.

    >>> parse_axis("scenario.batch=1,4:10:2,1e3")
    ('scenario.batch', [1, 4, 6, 8, 10, 1000.0])
    """
    path, values = split_override(text)
    return path, parse_values(values, path)


def parse_values(text: str, path: str = "", place: str = OVERRIDE) -> list[Plain]:
    """The values that the text of an axis means, in its order.

    Args:
        text: values and ranges, separated by commas outside brackets and quotes.
        path: the axis, for messages; ``linN`` and ``logN`` ranges of a count are rounded to whole numbers.
        place: where the text stands, for messages.

    Raises:
        SpecError: a broken value or an empty range.

    >>> parse_values("0:0.5:0.1"), parse_values("1:1000:log4"), parse_values("[1,2],[3]")
    ([0.0, 0.1, 0.2, 0.3, 0.4, 0.5], [1, 10, 100, 1000], [[1, 2], [3]])
    >>> parse_values("1:1000:log5", "scenario.context_tokens")
    [1, 6, 32, 178, 1000]
    """
    values: list[Plain] = []
    is_count = takes_whole_numbers(path)
    for part in _parts(text):
        try:
            values += _expanded(part, is_count=is_count)
        except SpecError as error:
            raise SpecError([Problem(error.problems[0].message, path=path, file=place)]) from None
        except ValueError as error:
            raise SpecError([Problem(f"{part.strip()!r}: {error}", path=path, file=place)]) from None
    return values


def _parts(text: str) -> Iterator[str]:
    """The parts between commas outside brackets and quotes."""
    closers: list[str] = []
    quote, begin = "", 0
    for position, sign in enumerate(text):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        elif sign in _CLOSES:
            closers.append(_CLOSES[sign])
        elif closers and sign == closers[-1]:
            closers.pop()
        elif sign == "," and not closers:
            yield text[begin:position]
            begin = position + 1
    yield text[begin:]


def _expanded(part: str, *, is_count: bool) -> list[Plain]:
    if not part.strip():
        raise ValueError("a value is missing beside a comma")
    match = _RANGE.fullmatch(part)
    if match is None:
        if _HALF_RANGE.fullmatch(part):
            raise ValueError("a range is start:stop:step, start:stop:linN or start:stop:logN")
        return [plain(read_value(part, OVERRIDE))]
    start, stop, step, spacing, count = match.groups()
    if step is not None:
        numbers = _stepped(float(start), float(stop), float(step))
    else:
        numbers = _spaced(float(start), float(stop), spacing, int(count))
        if is_count:
            return list(dict.fromkeys(round(number) for number in numbers))
    rounded = [float(f"{number:.{_DIGITS}g}") for number in numbers]
    ends_are_whole = re.fullmatch(r"[-+]?[0-9]+", start) and re.fullmatch(r"[-+]?[0-9]+", stop)
    if ends_are_whole and all(number.is_integer() for number in rounded):
        return [int(number) for number in rounded]
    return list(rounded)


def _stepped(start: float, stop: float, step: float) -> list[float]:
    """From start in steps, the end included when hit."""
    if step == 0:
        raise ValueError("the step of a range must not be 0")
    count = math.floor((stop - start) / step * (1 + 1e-12) + 1e-9) + 1
    _check_count(count)
    return [start + i * step for i in range(count)]


def _spaced(start: float, stop: float, spacing: str, count: int) -> list[float]:
    _check_count(count)
    if spacing == "lin":
        return [float(number) for number in np.linspace(start, stop, count)]
    if start <= 0 or stop <= 0:
        raise ValueError("both ends of a logarithmic range must be greater than 0")
    return [float(number) for number in np.geomspace(start, stop, count)]


def _check_count(count: int) -> None:
    if count < 1:
        raise ValueError("the range is empty")
    if count > _MOST:
        raise ValueError(f"the range has {count} values; at most {_MOST} are allowed")
