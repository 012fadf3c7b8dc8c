"""The metrics of a design point: name, unit, better direction."""

from __future__ import annotations

from typing import Final

from dse.exploration.pareto import Direction

METRICS: Final[dict[str, Direction]] = {
    "energy_pj_per_token": "min",
    "latency_ns_per_step": "min",
    "tokens_per_s": "max",
    "tokens_per_j": "max",
    "area_mm2": "min",
    "power_mw": "min",
    "sensitivity_share": "min",
}
"""``sensitivity_share``: score of the analog experts over the score of all experts."""

DEFAULT_FRONT: Final = ("tokens_per_s", "energy_pj_per_token", "area_mm2", "sensitivity_share")
"""Metrics of the front where none are named."""
