"""The settings that a calibration point does not state: those of the file itself, whatever is changed later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from dse.spec.node import Node, find

_OF_CORE: Final[Mapping[str, tuple[str, ...]]] = {
    "rows_driven": ("rows",), "cols_used": ("cols",), "rows": ("rows",), "cols": ("cols",),
    "tiers_per_tile": ("tiers_per_tile",), "phases": ("read", "phases"), "pulse_ns": ("read", "pulse_ns"),
    "dac_bits": ("dac", "bits"), "bits_per_phase": ("dac", "bits_per_phase"), "bit_slices": ("weight", "bit_slices"),
    "adc_bits": ("adc", "bits"), "adc_per_tile": ("adc", "per_tile"),
}  # fmt: skip
"""Setting of a point → where the core states it."""
_TECHNOLOGY: Final[tuple[str, ...]] = ("node_nm", "supply_v")


def with_own_values(root: Node) -> Node:
    """The tree of an architecture in which every calibration point and reference technology is complete.

    A point then holds whatever axes and overrides change: an axis of converter bits moves away from the published
    point instead of moving the point.
    """
    cores = root.value.get("analog_cores") if isinstance(root.value, dict) else None
    if cores is None or not isinstance(cores.value, list):
        return root
    assert isinstance(root.value, dict)
    completed = [_completed(core, _node_of_die(root, core)) for core in cores.value]
    return root.with_value({**root.value, "analog_cores": cores.with_value(completed)})


def _node_of_die(root: Node, core: Node) -> Node | None:
    die = find(core, ("die",))
    return None if die is None or not isinstance(die.value, str) else find(root, ("dies", die.value, "node_nm"))


def _completed(core: Node, node_of_die: Node | None) -> Node:
    cost = find(core, ("cost",))
    if cost is None or not isinstance(cost.value, dict) or not isinstance(core.value, dict):
        return core
    if "model" not in cost.value or cost.value["model"].value != "components":
        return core
    own = {"bit_slices": core.with_value(1)}
    own |= {k: n for k, path in _OF_CORE.items() if (n := find(core, path)) is not None and n.value is not None}
    stated = dict(cost.value)
    if node_of_die is not None:
        stated.setdefault("node_nm", node_of_die)
    technology: dict[str, Node] = {key: stated[key] for key in _TECHNOLOGY if key in stated}
    if len(technology) == len(_TECHNOLOGY) and "scaled_from" not in stated:
        stated["scaled_from"] = cost.with_value(dict(technology))
    base = stated.get("scaled_from")
    own |= {key: base.value[key] for key in _TECHNOLOGY if base and isinstance(base.value, dict) and key in base.value}
    points = stated.get("calibration")
    if points is not None and isinstance(points.value, list):
        stated["calibration"] = points.with_value([_with(point, own) for point in points.value])
    return core.with_value({**core.value, "cost": cost.with_value(stated)})


def _with(point: Node, own: Mapping[str, Node]) -> Node:
    return point.with_value({**own, **point.value}) if isinstance(point.value, dict) else point
