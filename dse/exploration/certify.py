"""Maps points of the front again with the solver, and says how many, how good they were, and which got better."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping as MappingABC
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from dse.errors import InfeasibleError, TimeLimitError
from dse.exploration.detail import spread
from dse.exploration.optimal import OptimalMappings, mapping_id
from dse.exploration.pareto import front_mask
from dse.exploration.sweep import evaluate_rows
from dse.mapping.model import Mapping
from dse.mapping.solve import solve_mapping
from dse.sensitivity.share import sensitivity_share

TIME_LIMIT_S: Final = 30.0
"""Of the solver for one point."""
GAP: Final = 1e-3
"""Gap at which the solver may stop."""
BETTER: Final = 1e-9
"""Share by which a mapping must be better to replace another."""


@dataclass(frozen=True, slots=True, eq=False)
class Certified:
    """The points after some of them were mapped with the solver."""

    points: pd.DataFrame
    mappings: MappingABC[str, Mapping]
    """Mapping id → mapping of the points whose mapping the solver found."""
    summary: MappingABC[str, Any]
    """Goes into the manifest as ``mapping_proof``."""


def certify(optimal: OptimalMappings, points: pd.DataFrame, tell: Callable[[str, int, int], None]) -> Certified:
    """Maps up to ``certify`` points of the front with the solver; a better mapping replaces the point's.

    A point that keeps its mapping has the gap to the better of both bounds.
    """
    space = optimal.space
    front = points.index[front_mask(points, space.metrics)]
    chosen = spread(front.tolist(), space.mapping.certify) if space.mapping.certify else []
    points, found, proven, improved = points.copy(), {}, [], []
    for done, point in enumerate(chosen):
        tell("certified", done, len(chosen))
        rows = points.loc[[point], list(space.axes)]
        own = optimal.designs(rows)
        value, gap = (float(points[name].loc[point]) for name in ("mapping_value", "mapping_gap"))
        try:
            mapping = solve_mapping(
                own.costs, own.options, own.workload, own.arch, objective=space.mapping.objective, limits=own.limits,
                gap=GAP, time_limit_s=TIME_LIMIT_S, seed=space.seed,
            )  # fmt: skip
        except (InfeasibleError, TimeLimitError):
            continue
        proven.append(point)
        bound = max(value - gap * abs(value), mapping.bound)
        if mapping.value < value - BETTER * abs(value):
            name = mapping_id(mapping)
            frame, _ = evaluate_rows(space, rows, mapping, sensitivity_share(optimal.scores, mapping))
            frame = frame.assign(
                mapping_id=name, mapping_value=mapping.value, mapping_found_by="solver", mapping_counts=""
            )
            points.loc[[point], frame.columns] = frame
            found[name], value = mapping, mapping.value
            improved.append(point)
        points.loc[point, "mapping_gap"] = max(0.0, value - bound) / max(abs(value), 1e-300)
    tell("certified", len(chosen), len(chosen))
    return Certified(points, found, summary(optimal, points, proven, improved))


def summary(optimal: OptimalMappings, points: pd.DataFrame, proven: list[int], improved: list[int]) -> dict[str, Any]:
    """Policy, gaps and what the solver said."""
    policy = optimal.space.mapping
    front = points[front_mask(points, optimal.space.metrics)]
    gaps = {
        "largest_gap": points["mapping_gap"], "median_gap_of_front": front["mapping_gap"],
        "largest_gap_of_front": front["mapping_gap"],
        "largest_gap_of_certified": points.loc[proven, "mapping_gap"],
    }  # fmt: skip
    numbers = {
        name: float(values.median() if name.startswith("median") else values.max()) if len(values.dropna()) else None
        for name, values in gaps.items()
    }
    return {
        "objective": policy.objective,
        "limits": dict(policy.limits),
        "n_certified": len(proven),
        "n_front": len(front),
        "certified_points": [int(p) for p in proven],
        "improved_points": [int(p) for p in improved],
        **numbers,
    }


def proof_remark(proof: MappingABC[str, Any]) -> str:
    """What a reader is told of the mappings, in a sentence or two.

    >>> proof_remark({"objective": "energy", "limits": {}, "n_certified": 2, "largest_gap_of_front": 0.01,
    ...               "largest_gap_of_certified": 0.0, "improved_points": [7]})
    'mappings minimise energy; largest gap on the front 1 %; solver: 2 points, largest gap 0 %, better at points 7'
    """
    limits = "".join(f", {name} {value:g}" for name, value in proof["limits"].items())
    if proof["largest_gap_of_front"] is None:
        return f"mappings minimise {proof['objective']}{limits}; no point has one that keeps all limits"
    text = (
        f"mappings minimise {proof['objective']}{limits}; largest gap on the front "
        f"{100 * proof['largest_gap_of_front']:.2g} %; solver: {proof['n_certified']} points"
    )
    if proof["n_certified"]:
        text += f", largest gap {100 * proof['largest_gap_of_certified']:.2g} %"
    if proof["improved_points"]:
        text += f", better at points {', '.join(map(str, proof['improved_points']))}"
    return text
