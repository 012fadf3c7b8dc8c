"""The points of a space: all combinations of the values of its axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd

from dse.errors import Problem, SpecError
from dse.spec.node import Plain
from dse.workload.build import WORKLOAD_ROOTS

Value = float | int | str | bool
MAX_POINTS: Final = 5_000_000
ROOTS: Final = ("analog_cores", "digital_units", "dies", "links", "memories", "composition", "micro_batches", "limits")
"""First parts of the paths that belong to the architecture."""
DIGITAL_FRACTION: Final = "mapping.digital_fraction"


def grid(axes: Mapping[str, Sequence[Value]]) -> pd.DataFrame:
    """All combinations, one column per axis, the last axis changing fastest; index ``point``.

    Raises:
        SpecError: an empty axis, a path that names no axis, or more than MAX_POINTS points.
    """
    for path, values in axes.items():
        check_axis(path, values)
    n_points = int(np.prod([len(values) for values in axes.values()], dtype=np.int64)) if axes else 1
    if n_points > MAX_POINTS:
        sizes = " x ".join(str(len(values)) for values in axes.values())
        raise SpecError(f"the axes span {n_points} points ({sizes}); at most {MAX_POINTS}: give fewer values per axis")
    indices = np.indices([len(values) for values in axes.values()]).reshape(len(axes), n_points)
    columns = {path: np.asarray(values)[index] for (path, values), index in zip(axes.items(), indices, strict=True)}
    return pd.DataFrame(columns, index=pd.RangeIndex(n_points, name="point"))


def check_axis(path: str, values: Sequence[Value]) -> None:
    """Raises SpecError for an axis without values or outside the places that may vary."""
    root = path.split(".", maxsplit=1)[0]
    if len(values) == 0:
        raise SpecError([Problem("an axis needs at least one value", path, "--set")])
    if path == "routing.file":
        raise SpecError([Problem("not an axis; write one workload per file and explore each", path, "--set")])
    if path == DIGITAL_FRACTION:
        bad = [v for v in values if isinstance(v, str | bool) or not 0 <= float(v) <= 1]
        if bad:
            raise SpecError([Problem(f"must be shares in [0, 1] (got {bad[0]!r})", path, "--set")])
    elif root not in (*ROOTS, *WORKLOAD_ROOTS):
        known = ", ".join(f"{r}.*" for r in (*ROOTS, *WORKLOAD_ROOTS))
        raise SpecError([Problem(f"not an axis; axes are {known} and {DIGITAL_FRACTION}", path, "--set")])


def axis_values(path: str, values: Sequence[Plain]) -> list[Value]:
    """The values of an axis; a list or a map is none of its values.

    Raises:
        SpecError: an entry that is no single number, text or flag.
    """
    single = [value for value in values if isinstance(value, float | int | str | bool)]
    if len(single) < len(values):
        bad = next(value for value in values if not isinstance(value, float | int | str | bool))
        raise SpecError([Problem(f"takes single values (got {bad!r})", path, "--set")])
    return single


def plain_values(values: Sequence[Value]) -> list[Value]:
    """The values of an axis without NumPy's types: an array may be given, too."""
    return [value.item() if isinstance(value, np.generic) else value for value in values]


def is_structural(path: str, values: Sequence[Value]) -> bool:
    """Whether an axis splits a space into separate vectorised calls: mappings, routing, texts."""
    return path == DIGITAL_FRACTION or path.startswith("routing.") or any(isinstance(v, str | bool) for v in values)
