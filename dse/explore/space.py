"""A space: a base design, the axes that vary, the mapping policy, what is minimised, accuracy effort, seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from dse.explore.metrics import DEFAULT_FRONT, METRICS
from dse.explore.pareto import Direction
from dse.explore.points import Value
from dse.spec.architecture import Architecture
from dse.workload.build import Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyPlan:
    """How much accuracy is measured: chips per candidate, candidates, noise scales, evaluated tokens."""

    draws: int = 8
    """Chips per candidate, in antithetic pairs."""
    candidates: int = 8
    """Most mappings (with their converter and device settings) that are measured."""
    scales: Sequence[float] = (1.0,)
    """Factors on the programming noise."""
    n_tokens: int = 8192
    """Held-out tokens per measurement."""
    n_items: int = 0
    """Multiple-choice items per measurement."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Space:
    """What ``explore`` searches."""

    architecture: Architecture
    workload: Workload
    axes: Mapping[str, Sequence[Value]]
    """Dotted path → values; ``mapping.digital_fraction`` is the share of routed experts that are digital."""
    ranking: Literal["per_layer", "global"] = "per_layer"
    """Whether each layer gives the same share of digital experts, or the highest scores of all layers count."""
    metrics: Mapping[str, Direction] = field(default_factory=lambda: {m: METRICS[m] for m in DEFAULT_FRONT})
    """Metrics of the front and their better direction."""
    limits: Mapping[str, float] = field(default_factory=dict)
    """``max_METRIC`` or ``min_METRIC`` → value; points beyond are infeasible."""
    accuracy: AccuracyPlan | None = None
    """None: accuracy is not measured."""
    seed: int = 0
    title: str = ""
