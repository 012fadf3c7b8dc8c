"""Where the keys of a JSON text stand."""

from __future__ import annotations

import json
import re
from typing import Final, NamedTuple

_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]', re.DOTALL)


class KeyPlace(NamedTuple):
    """A position in a text, counted from 1."""

    line: int
    column: int


def key_places(text: str) -> dict[tuple[str, ...], list[KeyPlace]]:
    r"""Way to a key (the keys around it and itself) → the places where it is given; entries of lists are left out.

    Args:
        text: valid JSON.

    >>> key_places('{"a": {"b": [{"c": 1}]},\n "a": 2}')
    {('a',): [KeyPlace(line=1, column=2), KeyPlace(line=2, column=2)], ('a', 'b'): [KeyPlace(line=1, column=8)]}
    """
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    found: dict[tuple[str, ...], list[KeyPlace]] = {}
    opened: list[str] = []
    way: list[str] = []
    line, is_key = 0, False
    for match in _TOKEN.finditer(text):
        token = match.group()
        if token in "{[":
            opened.append(token)
            is_key = token == "{"
        elif token in "}]":
            opened.pop()
        elif token == ",":
            is_key = opened[-1:] == ["{"]
        elif token != ":" and is_key:
            is_key = False
            if "[" in opened:
                continue
            while line + 1 < len(starts) and starts[line + 1] <= match.start():
                line += 1
            way = [*way[: len(opened) - 1], str(json.loads(token, strict=False))]
            found.setdefault(tuple(way), []).append(KeyPlace(line + 1, match.start() - starts[line] + 1))
    return found
