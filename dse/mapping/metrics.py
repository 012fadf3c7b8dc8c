"""Names of what a mapping may minimise."""

from __future__ import annotations

from typing import Final, Literal, get_args

Metric = Literal["sensitivity", "energy", "bottleneck", "layer_latency"]
Objective = Literal["sensitivity", "energy", "bottleneck", "layer_latency", "weighted", "lexicographic"]

METRICS: Final = get_args(Metric)
OBJECTIVES: Final = get_args(Objective)
NAMES: Final[dict[Metric, str]] = {
    "sensitivity": "sensitivity",
    "energy": "energy_pj_per_token",
    "bottleneck": "group_load_ns",
    "layer_latency": "layer_latency_ns",
}
"""Metric → its name with the unit."""
SLACK: Final = 1e-4
"""Share by which each objective of a lexicographic order may get worse for the sake of the next."""
