"""A configuration file in JSON whose fields are read by name and whose mistakes are named by place."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dse.errors import Problem, SpecError
from dse.importers.json_places import KeyPlace, key_places


@dataclass(slots=True)
class ConfigFile:
    """The fields of a configuration, what is wrong with them and what is to be said about them."""

    values: dict[str, Any]
    """The fields of the language model."""
    shown: str
    """How messages call the file."""
    places: dict[tuple[str, ...], list[KeyPlace]]
    inside: tuple[str, ...] = ()
    """Keys around the fields, where they stand in a part of the file."""
    around: dict[str, Any] = field(default_factory=dict)
    """The fields around that part; they count where the part gives none."""
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def part(self, key: str) -> ConfigFile:
        """The fields of a part of the file; problems and notes are shared."""
        inner = self.values.get(key)
        if not isinstance(inner, dict):
            self.fail(key, "missing; expected the fields of the language model" if inner is None else "not an object")
            raise SpecError(self.problems)
        for name in inner.repeated if isinstance(inner, _Pairs) else ():
            self.problems.append(_repeated(self, (*self.inside, key, name)))
        return ConfigFile(
            inner, self.shown, self.places, (*self.inside, key), self.values, self.problems, self.notes
        )  # fmt: skip

    def given(self, *spellings: str) -> list[str]:
        """Those spellings of a field that the file gives, null ones included."""
        return [key for key in spellings if key in self.values]

    def problem(self, key: str, message: str) -> Problem:
        """A problem of a key, at the place of the key."""
        way, around = (*self.inside, key), (*self.inside[:-1], key)
        is_around = way not in self.places and around in self.places and key not in self.values
        way = around if is_around else way
        line, column = self.places.get(way, [(None, None)])[-1]
        return Problem(message, ".".join(way), self.shown, line, column)

    def fail(self, key: str, message: str) -> None:
        """Adds a problem of a key."""
        self.problems.append(self.problem(key, message))

    def count(self, *spellings: str, low: int = 1, high: int | None = None, null: int | None = None) -> int:
        """A whole number by any of its spellings; a wrong or missing one is a problem and reads as 0.

        Args:
            spellings: keys that mean it, the usual one first.
            low: smallest value allowed.
            high: largest value allowed, if any.
            null: what null means; None: null counts as missing.
        """
        key = self.agreed(*spellings)
        value = None if key is None else self.values[key]
        if key is not None and value is None and null is not None:
            return null
        if key is None or value is None:
            named = " or ".join(spellings)
            self.fail(spellings[0] if key is None else key, f"missing; give {named}, no default stands in for a count")
            return 0
        number = whole(value)
        if number is None or number < low:
            self.fail(key, f"expected a whole number >= {low} (got {short(value)})")
            return 0
        if high is not None and number > high:
            self.fail(key, f"expected at most {high} (got {short(value)})")
            return 0
        return number

    def agreed(self, *spellings: str) -> str | None:
        """The spelling that the file gives, one with a value before one without; two that differ are a problem."""
        given = self.given(*spellings)
        filled = [key for key in given if self.values[key] is not None] or given
        for other in filled[1:]:
            if self.values[other] != self.values[filled[0]]:
                self.contradict(filled[0], self.values[filled[0]], other, self.values[other])
        return filled[0] if filled else None

    def contradict(self, key: str, value: object, other: str, other_value: object) -> None:
        """Adds the problem that two fields do not agree."""
        message = f"{short(other_value)} contradicts {key} = {short(value)}; correct one of the two"
        self.fail(other, message)

    def flag(self, key: str, *, default: bool | None) -> bool:
        """Yes or no; a missing one takes the default with a note, or is a problem where there is none."""
        value, outer = self.values.get(key), self.around.get(key)
        if value is None:
            value = outer
        elif outer is not None and outer != value:
            self.fail(key, f"{short(value)} contradicts {key} = {short(outer)} around it; correct one of the two")
        if isinstance(value, bool):
            return value
        if value is not None:
            self.fail(key, f"expected true or false (got {json.dumps(value)})")
        elif default is None:
            self.fail(key, "missing; it decides whether there are biases, write true or false")
        else:
            self.notes.append(f"{key} is not given: taken as {json.dumps(default)}")
        return bool(default)

    def whole_numbers(self, key: str) -> list[int] | None:
        """A list of whole numbers >= 0, or None where it is missing, null or wrong (a problem)."""
        value = self.values.get(key)
        if value is None:
            return None
        numbers = [whole(entry) for entry in value] if isinstance(value, list) else [None]
        found = [number for number in numbers if number is not None and number >= 0]
        if len(found) == len(numbers):
            return found
        self.fail(key, f"expected a list of whole numbers >= 0 (got {short(value)})")
        return None

    def choices_by_layer(self, key: str, n_layers: int, allowed: Sequence[str]) -> list[str] | None:
        """A list with one of the allowed words per layer, or None where it is missing, null or wrong (a problem)."""
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, list) or len(value) != n_layers:
            got = f"{len(value)} entries" if isinstance(value, list) else short(value)
            self.fail(key, f"expected one entry per layer, {n_layers} (got {got})")
            return None
        strange = [entry for entry in value if entry not in allowed]
        if strange:
            self.fail(key, f"{short(strange[0])} is not supported by this version (supported: {', '.join(allowed)})")
            return None
        return [str(entry) for entry in value]


def read_json(path: Path) -> dict[str, Any]:
    """The fields of a configuration file."""
    return read_config_file(path).values


def read_config_file(path: Path) -> ConfigFile:
    """A configuration file with the places of its keys.

    Raises:
        SpecError: no such file, no JSON object, or a key given twice with different values.
    """
    shown = str(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        raise SpecError([Problem("no such file; expected a Hugging Face config.json", file=shown)]) from None
    except OSError as error:
        raise SpecError([Problem(f"cannot be read: {error.strerror}", file=shown)]) from None
    except UnicodeDecodeError:
        raise SpecError([Problem("is not a text file; expected JSON", file=shown)]) from None
    return parse_config(text, shown)


def parse_config(text: str, shown: str) -> ConfigFile:
    """A configuration from its text.

    Raises:
        SpecError: no JSON object, or a key given twice with different values.
    """
    try:
        fields = json.loads(text, object_pairs_hook=_Pairs)
    except json.JSONDecodeError as error:
        problem = Problem(f"not JSON: {error.msg}", file=shown, line=error.lineno, column=error.colno)
        raise SpecError([problem]) from None
    except ValueError as error:
        raise SpecError([Problem(f"not JSON: {error}", file=shown)]) from None
    except RecursionError:
        raise SpecError([Problem("not a configuration: nested too deeply", file=shown)]) from None
    if not isinstance(fields, _Pairs):
        raise SpecError([Problem("expected a JSON object of fields", file=shown)])
    config = ConfigFile(dict(fields), shown, key_places(text))
    config.problems += [_repeated(config, (key,)) for key in fields.repeated]
    if config.problems:
        raise SpecError(config.problems)
    return config


class _Pairs(dict[str, Any]):
    """An object of a JSON text that remembers which keys it gives twice with different values."""

    def __init__(self, pairs: Sequence[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        differing = (key for key, value in pairs if self[key] is not value and self[key] != value)
        self.repeated = list(dict.fromkeys(differing))


def _repeated(config: ConfigFile, way: tuple[str, ...]) -> Problem:
    first, last = config.places[way][0], config.places[way][-1]
    message = f"given twice with different values (first at {first.line}:{first.column})"
    return Problem(message, ".".join(way), config.shown, last.line, last.column)


def whole(value: object) -> int | None:
    """A whole number as it is, or None; 64.0 counts, true does not."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def short(value: object) -> str:
    """A value as JSON, cut where it is long."""
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
