"""The tables behind an evaluation, one row a thing; each adds up to the number it opens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dse.cost.area import AreaPart
from dse.evaluation.energy import Part
from dse.evaluation.timeline import GroupTime, StageTime
from dse.units import Quantity, at_point

# P design points

Array = NDArray[np.float64]
STAGE_COLUMNS = ["stage", "group", "resource", "time_ns_per_step", "on_critical_path"]


def energy_frame(parts: Mapping[Part, Array], *, tokens: float, point: int) -> pd.DataFrame:
    """component, block_kind, group, energy_pj_per_token of one design, largest first."""
    rows = [(*part, at_point(energy, point) / tokens) for part, energy in parts.items()]
    frame = pd.DataFrame(rows, columns=["component", "block_kind", "group", "energy_pj_per_token"])
    return frame.sort_values("energy_pj_per_token", ascending=False, ignore_index=True, kind="stable")


def energy_by(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """A column of the energy table and the energy_pj_per_token of each of its values, largest first."""
    summed = frame.groupby(column, sort=False)["energy_pj_per_token"].sum().reset_index()
    return summed.sort_values("energy_pj_per_token", ascending=False, ignore_index=True, kind="stable")


def stage_frame(stages: Sequence[StageTime], point: int) -> pd.DataFrame:
    """stage, group, resource, time_ns_per_step, on_critical_path of one design, all layers together."""
    rows = []
    for stage in stages:
        weight = at_point(stage.multiplicity, point)
        slowest = max(at_point(group.total, point) for group in stage.groups.values())
        for name, group in stage.groups.items():
            total = at_point(group.total, point)
            is_critical = not stage.side_by_side or total == slowest
            rows.append((stage.stage, name, slowest_resource(group, point), weight * total, is_critical))
    frame = pd.DataFrame(rows, columns=STAGE_COLUMNS)
    keys = ["stage", "group", "resource", "on_critical_path"]
    return frame.groupby(keys, sort=False, as_index=False).sum()[STAGE_COLUMNS]


def slowest_resource(group: GroupTime, point: int) -> str:
    """The resource that a group waits for longest in one design."""
    times = {resource: at_point(time, point) for resource, time in (*group.bound_by.items(), *group.added.items())}
    return max(times, key=times.__getitem__)


def area_frame(parts: Sequence[AreaPart], point: int) -> pd.DataFrame:
    """part, die, area_mm2 of one design."""
    rows = [(part.part, part.die, at_point(part.area_mm2, point)) for part in parts]
    return pd.DataFrame(rows, columns=["part", "die", "area_mm2"])


def traffic_frame(
    traffic_bytes: Mapping[tuple[str, str], Quantity],
    *,
    tokens: float,
    point: int,
    before: Mapping[tuple[str, str], Quantity] | None = None,
) -> pd.DataFrame:
    """memory, what, bytes_per_token of one design; with the traffic before, all_digital_bytes_per_token too."""
    places = dict.fromkeys([*traffic_bytes, *(before or {})])
    rows = [(*place, at_point(traffic_bytes.get(place, 0.0), point) / tokens) for place in places]
    frame = pd.DataFrame(rows, columns=["memory", "what", "bytes_per_token"])
    if before is not None:
        frame["all_digital_bytes_per_token"] = [at_point(before.get(place, 0.0), point) / tokens for place in places]
    return frame
