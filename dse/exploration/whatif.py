"""One change at a time: the metrics of a design with one input set to another value, beside those of the base."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from dse.errors import DseError, InfeasibleError, Problem, SpecError
from dse.evaluation.limits import check_limits
from dse.evaluation.points import design_with, evaluate_points
from dse.evaluation.spreads import METRICS
from dse.exploration.accuracy import is_noise_path
from dse.exploration.effect import TOLERANCE, cost_remark, useful_paths
from dse.exploration.points import DIGITAL_FRACTION, Value
from dse.exploration.space import Space
from dse.mapping.model import Mapping as Placement
from dse.spec.architecture import Architecture, spec_fields
from dse.spec.node import OVERRIDE
from dse.spec.suggest import did_you_mean
from dse.spec.values import value_at
from dse.workload.build import WORKLOAD_ROOTS, Workload, is_of_workload

Mapper = Callable[[Architecture, Workload, float | None], Placement]
"""Places the blocks of a design; the last argument is a digital fraction, None where none is asked for."""


class Variant(NamedTuple):
    """One input and a value of it; the base has none."""

    path: str
    value: Value | None


def what_if(
    arch: Architecture, workload: Workload, changes: Mapping[str, Sequence[Value]], mapper: Mapper
) -> pd.DataFrame:
    """One row for the base and one per value: path, value, metrics, binding, status, reason, how the mapping moved.

    ``digital_experts`` are those on digital units, ``moved_blocks`` those placed otherwise than in the base.

    Args:
        arch: the base architecture.
        workload: the base workload.
        changes: dotted path (or ``mapping.digital_fraction``) → values that are tried by themselves.
        mapper: places the blocks of each design.

    Raises:
        SpecError: an unknown path, or a value that its field does not allow.
        InfeasibleError: the base cannot be built.
    """
    base = mapper(arch, workload, None)
    rows = [{**blank(Variant("base", None)), **outcome(arch, workload, base, base)}]
    for path, values in changes.items():
        for value in values:
            rows.append(row_of(Variant(path, value), arch, workload, mapper, base))
    return pd.DataFrame(rows)


def row_of(variant: Variant, arch: Architecture, workload: Workload, mapper: Mapper, base: Placement) -> dict[str, Any]:
    """The row of one change; where no design is feasible, the reason."""
    path, value = variant
    assert value is not None, path
    fraction = None
    root = path.split(".", maxsplit=1)[0]
    if path == DIGITAL_FRACTION:
        fraction = float(value) if isinstance(value, int | float) else None
        if fraction is None:
            raise SpecError(f"{DIGITAL_FRACTION}: must be a share in [0, 1] (got {value!r})")
    elif is_of_workload(path) or root in spec_fields(arch):
        arch, workload = design_with(arch, workload, {path: value})
    else:
        known = (*spec_fields(arch), *WORKLOAD_ROOTS)
        hint = did_you_mean(root, known) or f"; a path begins with one of {', '.join(known)}"
        raise SpecError([Problem(f"unknown path{hint}", path, OVERRIDE)])
    try:
        return {**blank(variant), **outcome(arch, workload, mapper(arch, workload, fraction), base)}
    except InfeasibleError as error:
        return {**blank(variant), "status": "infeasible", "reason": reason(error)}


def without_effect(frame: pd.DataFrame) -> list[str]:
    """Paths of which no other value changes a metric or leaves no design."""
    base, found = frame.iloc[0], []
    for path, rows in frame.iloc[1:].groupby("path", sort=False):
        metrics = rows[list(METRICS)].to_numpy(dtype=np.float64)
        if np.isclose(metrics, base[list(METRICS)].to_numpy(dtype=np.float64), rtol=TOLERANCE, atol=0.0).all():
            found.append(str(path))
    return found


def require_effects(arch: Architecture, workload: Workload, frame: pd.DataFrame) -> list[str]:
    """Remarks on inputs that change accuracy only.

    Raises:
        SpecError: an input changes neither a metric nor whether there is a design, and no accuracy.
    """
    space = Space(architecture=arch, workload=workload, axes={})
    remarks, problems = [], []
    for path in without_effect(frame):
        values = frame.loc[frame["path"] == path, "value"].tolist()
        if path != DIGITAL_FRACTION and set(values) == {value_at(owner_of(arch, workload, path), path)}:
            continue
        unchanged = cost_remark(space, path) if path.startswith("analog_cores.") else "cost unchanged"
        if is_noise_path(path):
            remarks.append(f"{path} changes accuracy only ({unchanged}); `dse explore --accuracy` measures it")
        else:
            others = useful_paths(space, path).removeprefix(f"{DIGITAL_FRACTION}, ")
            message = f"changes none of the metrics ({unchanged}); leave it out, or vary one of {others}"
            problems.append(Problem(message, path, OVERRIDE))
    if problems:
        raise SpecError(problems)
    return remarks


def owner_of(arch: Architecture, workload: Workload, path: str) -> Architecture | Workload:
    """What a path leads into."""
    return workload if is_of_workload(path) else arch


def blank(variant: Variant) -> dict[str, Any]:
    """A row without metrics."""
    return {"path": variant.path, "value": variant.value, **dict.fromkeys(METRICS), "binding": "", "status": "ok",
            "reason": "", "digital_experts": None, "moved_blocks": None}  # fmt: skip


def outcome(arch: Architecture, workload: Workload, mapping: Placement, base: Placement) -> dict[str, Any]:
    """The metrics of a design, what binds it, and how far its mapping differs from that of the base."""
    evaluation = evaluate_points(arch, workload, mapping)
    check_limits(evaluation, arch)
    digital = mapping.digital_blocks()
    return {
        **{metric: float(getattr(evaluation, metric)) for metric in METRICS},
        "binding": str(evaluation.binding),
        "digital_experts": sum(block.name in digital for block in workload.blocks if block.kind == "expert"),
        "moved_blocks": sum(base.placement.get(name) != option for name, option in mapping.placement.items()),
    }


def reason(error: DseError) -> str:
    """Why there is no design, in one line."""
    return " ".join(str(error).split())
