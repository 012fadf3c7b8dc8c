"""One change at a time: the metrics of a design with one input set to another value, beside those of the base."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import pandas as pd

from dse.errors import DseError, InfeasibleError, SpecError
from dse.evaluation.run import evaluate
from dse.exploration.points import DIGITAL_FRACTION, ROOTS, Value
from dse.mapping.model import Mapping as Placement
from dse.spec.architecture import Architecture
from dse.workload.build import Workload

METRICS: Final = (
    "energy_pj_per_token", "latency_ns_per_step", "tokens_per_s", "tokens_per_j", "power_mw", "area_mm2",
)  # fmt: skip
Mapper = Callable[[Architecture, Workload, float | None], Placement]
"""Places the blocks of a design; the last argument is a digital fraction, None where none is asked for."""


class Variant(NamedTuple):
    """One input and a value of it; the base has none."""

    path: str
    value: Value | None


def what_if(
    arch: Architecture, workload: Workload, changes: Mapping[str, Sequence[Value]], mapper: Mapper
) -> pd.DataFrame:
    """One row for the base and one per value: path, value, metrics, binding, status, reason.

    Args:
        arch: the base architecture.
        workload: the base workload.
        changes: dotted path (or ``mapping.digital_fraction``) → values that are tried by themselves.
        mapper: places the blocks of each design.

    Raises:
        SpecError: an unknown path, or a value that its field does not allow.
        InfeasibleError: the base cannot be built.
    """
    rows = [{**blank(Variant("base", None)), **outcome(arch, workload, mapper(arch, workload, None))}]
    for path, values in changes.items():
        for value in values:
            rows.append(row_of(Variant(path, value), arch, workload, mapper))
    return pd.DataFrame(rows)


def row_of(variant: Variant, arch: Architecture, workload: Workload, mapper: Mapper) -> dict[str, Any]:
    """The row of one change; where no design is feasible, the reason."""
    path, value = variant
    assert value is not None, path
    fraction = None
    if path == DIGITAL_FRACTION:
        fraction = float(value) if isinstance(value, int | float) else None
        if fraction is None:
            raise SpecError(f"{DIGITAL_FRACTION}: must be a share in [0, 1] (got {value!r})")
    elif path.split(".", maxsplit=1)[0] in ROOTS:
        arch = arch.with_values({path: str(value) if isinstance(value, str) else float(value)})
    else:
        workload = workload.with_values({path: str(value) if isinstance(value, str) else float(value)})
    try:
        return {**blank(variant), **outcome(arch, workload, mapper(arch, workload, fraction))}
    except InfeasibleError as error:
        return {**blank(variant), "status": "infeasible", "reason": reason(error)}


def blank(variant: Variant) -> dict[str, Any]:
    """A row without metrics."""
    return {"path": variant.path, "value": variant.value, **dict.fromkeys(METRICS), "binding": "", "status": "ok",
            "reason": ""}  # fmt: skip


def outcome(arch: Architecture, workload: Workload, mapping: Placement) -> dict[str, Any]:
    """The metrics of a design and what binds it."""
    evaluation = evaluate(arch, workload, mapping)
    return {**{metric: float(getattr(evaluation, metric)) for metric in METRICS}, "binding": evaluation.binding}


def reason(error: DseError) -> str:
    """Why there is no design, in one line."""
    return " ".join(str(error).split())
