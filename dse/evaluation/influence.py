"""What each input does to every number of a result: one vectorised evaluation, one input changed a design point."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from collections.abc import Mapping as MappingABC
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dse.errors import SpecError
from dse.evaluation.points import design_with, evaluate_points
from dse.evaluation.result import Evaluation
from dse.mapping.model import Mapping
from dse.spec.architecture import Architecture, spec_fields
from dse.spec.provenance import Provenance, stated_origin
from dse.spec.values import flat_values, with_values
from dse.units import Quantity
from dse.workload.build import Workload, is_of_workload

# P = 1 + n inputs design points: the nominal design, then one with each input changed

Array = NDArray[np.float64]
FACTORS: Final = (1.001, 0.999, 2.0, 0.5)
"""Factors on an input, in the order in which they are tried: small ones, so that what binds stays the same; what counts
things can be doubled or halved only."""
VARIED_ROOTS: Final = ("scenario",)
"""Parts of a workload with one value per design point; another routing is another set of visits."""
NO_COST: Final = re.compile(r"\.device\.|\.range\.|\.seed$|time_since_programming_s$")
"""Inputs that change accuracy and no cost."""
SETTING: Final = re.compile(r"\.(calibration|points)\.\d+\.(?!energy|time|area|power|tops)")
"""Settings at which a figure was published or a table has a point: facts of the source, no values of the design."""
BAND_FACTOR: Final = re.compile(r"\.cost\.(energy|time|area)_factor$")
"""Factors that are no inputs of a design while they are 1."""
ROUNDING: Final = 1e-12


class Change(NamedTuple):
    """An input and the factor it was changed by."""

    path: str
    value: float
    factor: float


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Influence:
    """The nominal design and, for every input, the same design with that input alone changed."""

    changes: tuple[Change, ...]
    evaluation: Evaluation
    """Design point 0 is the nominal one, point 1 + i has change i."""

    def ratios(self, values: ArrayLike) -> Array:
        """(n,): a number of the evaluation under each change over its nominal value; 1 where that is 0."""
        array = np.broadcast_to(np.asarray(values, np.float64), (1 + len(self.changes),))
        return array[1:] / array[0] if array[0] else np.ones(len(self.changes))

    def elasticities(self, values: ArrayLike) -> dict[str, float]:
        """Input → relative change of a number over the relative change of the input, on a log scale; largest first.

        ``ln(ratio of the number) / ln(factor on the input)``: 1 is proportional, −1 inversely proportional. Inputs
        that change nothing are left out.
        """
        found = {
            change.path: float(np.log(max(ratio, 1e-300)) / np.log(change.factor))
            for change, ratio in zip(self.changes, self.ratios(values), strict=True)
            if abs(ratio - 1) > ROUNDING
        }
        return dict(sorted(found.items(), key=lambda item: -abs(item[1])))


def numeric_inputs(arch: Architecture, workload: Workload) -> dict[str, float]:
    """Dotted path → value of every number a cost may rest on: of the architecture and of the scenario."""
    values = flat_values(arch, roots=tuple(spec_fields(arch))) | flat_values(workload, roots=VARIED_ROOTS)
    return {
        path: float(value)
        for path, value in values.items()
        if isinstance(value, int | float)
        and not isinstance(value, bool)
        and value
        and not NO_COST.search(path)
        and not SETTING.search(path)
        and not (value == 1 and BAND_FACTOR.search(path))
    }


def origin_at(arch: Architecture, workload: Workload, path: str) -> Provenance | None:
    """Origin of the value at a path, or None where the file leaves it to its default."""
    return stated_origin(workload.provenance if is_of_workload(path) else arch.provenance, path)


def influence(arch: Architecture, workload: Workload, mapping: Mapping) -> Influence:
    """Evaluates a mapping once with every input of one design changed by itself.

    Raises:
        SpecError: the architecture or workload stands for several design points, or does not fit the mapping.
    """
    changes = tuple(allowed_changes(arch, workload))
    try:
        return Influence(changes=changes, evaluation=evaluate_changes(arch, workload, mapping, changes))
    except SpecError:
        kept = tuple(possible_changes(arch, workload, mapping, changes))
        return Influence(changes=kept, evaluation=evaluate_changes(arch, workload, mapping, kept))


def possible_changes(
    arch: Architecture, workload: Workload, mapping: Mapping, changes: Sequence[Change]
) -> Iterator[Change]:
    """The changes that the design can be evaluated with, the refused ones by a smaller factor; found by halving."""
    try:
        evaluate_changes(arch, workload, mapping, changes)
    except SpecError:
        half = len(changes) // 2
        if half:
            yield from possible_changes(arch, workload, mapping, changes[:half])
            yield from possible_changes(arch, workload, mapping, changes[half:])
            return
        (path, value, factor), *_ = changes
        smaller = allowed_change(arch, workload, path, value, FACTORS[FACTORS.index(factor) + 1 :])
        if smaller is not None:
            yield from possible_changes(arch, workload, mapping, (smaller,))
    else:
        yield from changes


def allowed_changes(arch: Architecture, workload: Workload) -> Iterator[Change]:
    """Every input that may have one value per design point, with the first factor that its bounds allow."""
    for path, value in numeric_inputs(arch, workload).items():
        change = allowed_change(arch, workload, path, value, FACTORS)
        if change is not None:
            yield change


def allowed_change(
    arch: Architecture, workload: Workload, path: str, value: float, factors: Sequence[float]
) -> Change | None:
    """An input with the first factor that its bounds allow; None where none is, or where it takes one value only."""
    owner: object = workload if is_of_workload(path) else arch
    for factor in factors:
        try:
            with_values(owner, {path: np.array([value, factor * value])})
        except SpecError:
            continue
        return Change(path, value, factor)
    return None


def evaluate_changes(arch: Architecture, workload: Workload, mapping: Mapping, changes: Sequence[Change]) -> Evaluation:
    """The nominal design and one with each change."""
    values: dict[str, Array] = {}
    for index, change in enumerate(changes):
        values[change.path] = np.full(1 + len(changes), change.value)
        values[change.path][1 + index] *= change.factor
    return evaluate_with(arch, workload, mapping, values)


def evaluate_with(
    arch: Architecture, workload: Workload, mapping: Mapping, values: MappingABC[str, Quantity]
) -> Evaluation:
    """One mapping with other values at the paths of architecture and workload, one design per entry."""
    return evaluate_points(*design_with(arch, workload, values), mapping)
