"""Other values in a tree of spec classes, by dotted path: one number, or an array with one entry per design point."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dse.errors import Problem, SpecError
from dse.spec.fields import Kind, SpecField, fields_of
from dse.spec.quantity import Number
from dse.spec.suggest import did_you_mean

T = TypeVar("T")

_ANYTHING: Final = Kind()
_ABOUT: Final = frozenset({"provenance", "digest"})
"""Fields that say something about the values and are none themselves."""


class _InvalidError(Exception):
    """A value that its field does not allow."""


class _UnknownError(Exception):
    """A path that leads nowhere, or to more than one value."""


def with_values(obj: T, values: Mapping[str, ArrayLike | str | object], *, roots: Sequence[str] | None = None) -> T:
    """A copy with other values at dotted paths.

    Args:
        obj: a spec class, or a dataclass that holds some.
        values: dotted path (names for list entries, keys for mappings) → number, text, or array of shape (P,).
        roots: allowed first parts of a path; None: all.

    Raises:
        SpecError: unknown path, value outside its field's bounds, or arrays of different lengths.
    """
    problems: list[Problem] = []
    for path in sorted(values):
        parts, value = path.split("."), _normal(values[path])
        try:
            if roots is not None and parts[0] not in roots:
                raise _UnknownError
            obj = _replaced(obj, _ANYTHING, parts, value)
        except _UnknownError:
            problems.append(Problem(_unknown(obj, path, roots), path=path))
        except _InvalidError as error:
            problems.append(Problem(str(error), path=path))
    if problems:
        raise SpecError(problems)
    n_points(obj, values)
    return obj


def changed_digest(digest: str, values: Mapping[str, ArrayLike | str | object]) -> str:
    """Identity of what had a digest, with other values at dotted paths."""
    state = hashlib.sha256(digest.encode())
    for path in sorted(values):
        value = _normal(values[path])
        content = value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode()
        state.update(path.encode() + b"=" + content + b"\n")
    return state.hexdigest()


def value_at(obj: object, path: str) -> Any:
    """The value at a dotted path.

    Raises:
        SpecError: unknown path.
    """
    return _at(obj, path)[0]


def number_at(obj: object, path: str) -> Number | None:
    """Bounds of the number at a dotted path, None where they are not known.

    Raises:
        SpecError: unknown path.
    """
    return _at(obj, path)[1].number


def _at(obj: object, path: str) -> tuple[Any, Kind]:
    found: Any = obj
    kind = _ANYTHING
    for step in path.split("."):
        try:
            found, kind, _ = _inside(found, kind, step)
        except _UnknownError:
            raise SpecError([Problem(_unknown(obj, path, None), path=path)]) from None
    return found, kind


def axis_paths(obj: object, roots: Sequence[str] | None = None) -> tuple[str, ...]:
    """Dotted paths of all single values, those not given included."""
    return tuple(path for path, _, _ in _values(obj, _ANYTHING, "") if roots is None or path.split(".")[0] in roots)


def flat_values(obj: object, roots: Sequence[str] | None = None) -> dict[str, Any]:
    """Dotted path → every single value that is there."""
    found = {path: value for path, value, _ in _values(obj, _ANYTHING, "") if value is not None}
    return {path: value for path, value in found.items() if roots is None or path.split(".")[0] in roots}


def value_problems(obj: object) -> list[Problem]:
    """Every single value that its field does not allow; for values that were built in Python, not read from a file."""
    problems = []
    for path, value, kind in _values(obj, _ANYTHING, ""):
        try:
            _allowed(None, kind, _normal(value))
        except _InvalidError as error:
            problems.append(Problem(str(error), path=path))
    return problems


def n_points(obj: object, latest: Mapping[str, object] | None = None) -> int:
    """Number of design points: the common length of all arrays, 1 where there is none.

    Raises:
        SpecError: arrays of different lengths.
    """
    lengths = {len(array) for array in _arrays(obj, _ANYTHING)}
    if len(lengths) > 1:
        found = {path: len(value) for path, value, _ in _values(obj, _ANYTHING, "") if isinstance(value, np.ndarray)}
        said = ", ".join(f"{path} has {length}" for path, length in found.items())
        at_fault = next((path for path in found if latest and path in latest), "")
        raise SpecError([Problem(f"arrays must have one length: {said}", path=at_fault)])
    return next(iter(lengths), 1)


def _arrays(current: object, kind: Kind) -> Iterator[NDArray[Any]]:
    """All values that are arrays with one entry per design point."""
    if isinstance(current, str | int | float | None):
        return
    if isinstance(current, np.ndarray):
        if kind.number:
            yield current
    elif isinstance(current, tuple | Mapping):
        for entry in current if isinstance(current, tuple) else current.values():
            yield from _arrays(entry, kind.entries or _ANYTHING)
    elif dataclasses.is_dataclass(current) and not isinstance(current, type):
        for key, field in fields_of(type(current)).items():
            if key not in _ABOUT:
                yield from _arrays(getattr(current, field.name), field.kind)


def _normal(value: object) -> Any:
    """Scalars as plain Python values, number sequences as arrays, text sequences as tuples."""
    if isinstance(value, np.ndarray | np.generic) and value.ndim == 0:
        return value.item()
    if isinstance(value, list | tuple) and value and all(isinstance(entry, str) for entry in value):
        return tuple(value)
    if isinstance(value, list | tuple | np.ndarray) or hasattr(value, "__array__"):
        array = np.asarray(value)
        is_real = array.dtype.kind in "iuf"
        return array.astype(np.float64) if is_real else array
    return value


def _replaced(current: Any, kind: Kind, parts: Sequence[str], value: Any) -> Any:
    if not parts:
        return _allowed(current, kind, value)
    inner, inner_kind, name = _inside(current, kind, parts[0])
    changed = _replaced(inner, inner_kind, parts[1:], value)
    if dataclasses.is_dataclass(current) and not isinstance(current, type):
        return dataclasses.replace(current, **{str(name): changed})
    if isinstance(current, Mapping):
        return {**current, name: changed}
    return (*current[:name], changed, *current[int(name) + 1 :])


def _inside(current: Any, kind: Kind, step: str) -> tuple[Any, Kind, str | int]:
    """What stands one step into a value: it, what it may be, and its field name, key or position."""
    if dataclasses.is_dataclass(current) and not isinstance(current, type):
        field = _field(type(current), step)
        return getattr(current, field.name), field.kind, field.name
    entries = kind.entries or _ANYTHING
    if isinstance(current, Mapping):
        if step in current or step in kind.keys:
            return current.get(step), entries, step
    elif isinstance(current, tuple):
        for position, entry in enumerate(current):
            if getattr(entry, "name", str(position)) == step:
                return entry, entries, position
    raise _UnknownError


def _field(spec_class: type, step: str) -> SpecField:
    field = fields_of(spec_class).get(step)
    if field is None or step in _ABOUT:
        raise _UnknownError
    return field


def _allowed(current: Any, kind: Kind, value: Any) -> Any:
    """The value as its field keeps it."""
    if dataclasses.is_dataclass(current) and type(value) is type(current):
        return value
    if isinstance(current, tuple) and kind.entries is not None and isinstance(value, tuple):
        return tuple(_allowed(None, kind.entries, entry) for entry in value)
    if dataclasses.is_dataclass(current) or isinstance(current, tuple | Mapping):
        raise _UnknownError
    if value is None and kind.is_optional:
        return None
    if isinstance(value, bool) and kind.is_flag:
        return value
    if isinstance(value, str):
        return _allowed_text(kind, value)
    if kind.number is None:
        raise _InvalidError(f"must be {'true or false' if kind.is_flag else 'text'} (got {value!r})")
    return _allowed_number(kind, value)


def _allowed_text(kind: Kind, value: str) -> str:
    if kind.choices and value not in kind.choices:
        raise _InvalidError(f"must be one of {', '.join(kind.choices)} (got {value!r})")
    if not kind.choices and not kind.is_text:
        raise _InvalidError(f"must be a number (got {value!r})")
    return value


def _allowed_number(kind: Kind, value: Any) -> Any:
    assert kind.number is not None
    if isinstance(value, np.ndarray):
        if value.dtype.kind != "f" or value.ndim != 1 or not len(value):
            raise _InvalidError("must be a number or a list of numbers, one per design point")
        if not kind.is_array:
            raise _InvalidError("takes one value for all design points, not a list")
    elif isinstance(value, bool) or not isinstance(value, int | float):
        raise _InvalidError(f"must be a number (got {value!r})")
    problem = kind.number.problem(value)
    if problem is not None:
        raise _InvalidError(f"{problem} (got {_offending(kind, value):.12g})")
    if isinstance(value, np.ndarray):
        return value
    return int(value) if kind.number.integer else float(value)


def _offending(kind: Kind, value: Any) -> float:
    """The first value that breaks a bound."""
    assert kind.number is not None
    number = kind.number
    return next(float(one) for one in np.atleast_1d(value) if number.problem(float(one)) is not None)


def _values(current: Any, kind: Kind, path: str) -> Iterator[tuple[str, Any, Kind]]:
    """Every single value with its dotted path and what it may be."""
    dot = f"{path}." if path else ""
    if dataclasses.is_dataclass(current) and not isinstance(current, type):
        for field in (field for key, field in fields_of(type(current)).items() if key not in _ABOUT):
            yield from _values(getattr(current, field.name), field.kind, dot + field.key)
    elif isinstance(current, tuple):
        for position, entry in enumerate(current):
            yield from _values(entry, kind.entries or _ANYTHING, dot + getattr(entry, "name", str(position)))
    elif isinstance(current, Mapping):
        for key in (*current, *(key for key in kind.keys if key not in current)):
            yield from _values(current.get(key), kind.entries or _ANYTHING, f"{dot}{key}")
    elif path and (kind.number or kind.choices or kind.is_text or kind.is_flag):
        yield path, current, kind


def _unknown(obj: object, path: str, roots: Sequence[str] | None) -> str:
    known = axis_paths(obj, roots)
    inside = [other for other in known if other.startswith(f"{path}.")]
    if inside:
        return f"is not a single value; choose one below it, such as {inside[0]!r}"
    same_end = [other for other in known if other.split(".")[-1] == path.rsplit(".", maxsplit=1)[-1]]
    return "unknown path" + (did_you_mean(path, same_end) or did_you_mean(path, known))
