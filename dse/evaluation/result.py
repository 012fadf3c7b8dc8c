"""The result of an evaluation: energy, time, area and traffic, with every number openable."""

from __future__ import annotations

from collections.abc import Mapping as MappingABC
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dse.cost.area import AreaPart
from dse.evaluation.counts import OperationCounts
from dse.evaluation.energy import Part
from dse.evaluation.timeline import StageTime
from dse.spec.architecture import Architecture
from dse.units import NS_PER_S, PJ_PER_J, Quantity

Array = NDArray[np.float64]
SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Evaluation:
    """Result of one mapping; quantities are floats for one design, arrays (P,) for many."""

    tokens_per_step: Array
    latency_ns: Array
    energy_parts_pj: MappingABC[Part, Array]
    """Part → energy of a step; they add up to the total."""
    stages: tuple[StageTime, ...]
    critical_ns: MappingABC[str, Array]
    """Resource → its share of the critical path; they add up to the step time."""
    area: tuple[AreaPart, ...]
    traffic_bytes: MappingABC[tuple[str, str], Array]
    """(Memory, what) → bytes of a step."""
    counts: OperationCounts
    units_needed: MappingABC[str, Array]
    """Resource → capacity units that the placed blocks take."""
    units_available: MappingABC[str, Array]
    resident_bytes: MappingABC[str, Quantity]
    """What else lives in the host's memory."""
    composition: str
    energy_boundary: str
    ceiling: MappingABC[str, float] | None = None
    """What could be gained at most; filled for one design (see ``dse.evaluation.ceiling``)."""

    @property
    def n_points(self) -> int:
        """Design points."""
        return len(self.latency_ns)

    def _scalar(self, values: Any) -> Any:
        array = np.broadcast_to(np.asarray(values, dtype=np.float64), (self.n_points,))
        return float(array[0]) if self.n_points == 1 else array

    @property
    def latency_ns_per_step(self) -> Any:
        """Time of a step [ns]."""
        return self._scalar(self.latency_ns)

    @property
    def energy_pj_per_step(self) -> Any:
        """Energy of a step [pJ]."""
        return self._scalar(sum(self.energy_parts_pj.values(), np.zeros(self.n_points)))

    @property
    def energy_pj_per_token(self) -> Any:
        """Energy of a step over its tokens [pJ]."""
        return self._scalar(self.energy_pj_per_step / self.tokens_per_step)

    @property
    def tokens_per_s(self) -> Any:
        """Tokens of a step over its time [1/s]."""
        return self._scalar(self.tokens_per_step / self.latency_ns * NS_PER_S)

    @property
    def tokens_per_j(self) -> Any:
        """Tokens per joule [1/J]."""
        return self._scalar(PJ_PER_J / np.asarray(self.energy_pj_per_token))

    @property
    def power_mw(self) -> Any:
        """Energy of a step over its time [mW]."""
        return self._scalar(self.energy_pj_per_step / self.latency_ns)

    @property
    def area_mm2(self) -> Any:
        """Silicon area of the package [mm²]."""
        return self._scalar(sum((np.asarray(p.area_mm2, np.float64) for p in self.area), np.zeros(self.n_points)))

    @property
    def bytes_per_token(self) -> pd.DataFrame:
        """memory, what, bytes_per_token of the first design."""
        tokens = self.tokens_per_step[0]
        rows = [(m, w, float(np.ravel(b)[0]) / tokens) for (m, w), b in self.traffic_bytes.items()]
        return pd.DataFrame(rows, columns=["memory", "what", "bytes_per_token"])

    @property
    def binding(self) -> Any:
        """Resource with the largest share of the critical path (a text, or one per design)."""
        names = list(self.critical_ns)
        top = np.argmax(np.stack([np.broadcast_to(v, (self.n_points,)) for v in self.critical_ns.values()]), axis=0)
        chosen = np.asarray(names, dtype=object)[top]
        return chosen[0] if self.n_points == 1 else chosen

    def breakdown(self, point: int = 0) -> pd.DataFrame:
        """component, block_kind, group, energy_pj_per_token of one design, largest first."""
        tokens = self.tokens_per_step[point]
        rows = [
            (*part, float(np.broadcast_to(v, (self.n_points,))[point]) / tokens)
            for part, v in self.energy_parts_pj.items()
        ]
        frame = pd.DataFrame(rows, columns=["component", "block_kind", "group", "energy_pj_per_token"])
        return frame.sort_values("energy_pj_per_token", ascending=False, ignore_index=True, kind="stable")

    @property
    def by_component(self) -> pd.DataFrame:
        """component, energy_pj_per_token of the first design, largest first."""
        return _sum_by(self.breakdown(), "component")

    @property
    def by_block(self) -> pd.DataFrame:
        """block_kind, energy_pj_per_token of the first design, largest first."""
        return _sum_by(self.breakdown(), "block_kind")

    def stage_frame(self, point: int = 0) -> pd.DataFrame:
        """stage, group, resource, time_ns_per_step, on_critical_path of one design, all layers together."""
        rows = []
        for stage in self.stages:
            slowest = max(g.total[point] for g in stage.groups.values())
            for group, time in stage.groups.items():
                total = float(time.total[point])
                resource = max(time.bound_by, key=lambda r, t=time: float(np.broadcast_to(t.bound_by[r], (self.n_points,))[point]))  # fmt: skip
                critical = not stage.side_by_side or total == slowest
                rows.append((stage.stage, group, resource, stage.multiplicity * total, critical))
        columns = ["stage", "group", "resource", "time_ns_per_step", "on_critical_path"]
        frame = pd.DataFrame(rows, columns=columns)
        return frame.groupby(["stage", "group", "resource", "on_critical_path"], sort=False, as_index=False).sum()[
            columns
        ]

    def area_frame(self, point: int = 0) -> pd.DataFrame:
        """part, die, area_mm2 of one design."""
        rows = [(p.part, p.die, float(np.broadcast_to(p.area_mm2, (self.n_points,))[point])) for p in self.area]
        return pd.DataFrame(rows, columns=["part", "die", "area_mm2"])

    def limit_problems(self, arch: Architecture) -> dict[str, tuple[Array, Array, str]]:
        """Limit → (need, have, unit), (P,) each, for capacities and the architecture's own limits."""
        limits = {
            f"capacity of {name}": (
                need,
                self.units_available[name],
                "byte" if name in _memories(arch) else "crossbars",
            )
            for name, need in self.units_needed.items()
        }
        if arch.limits.power_mw is not None:
            limits["limits.power_mw"] = (
                np.atleast_1d(self.power_mw),
                _spread(arch.limits.power_mw, self),
                "mW",
            )
        if arch.limits.area_mm2 is not None:
            limits["limits.area_mm2"] = (
                np.atleast_1d(self.area_mm2),
                _spread(arch.limits.area_mm2, self),
                "mm²",
            )
        return limits

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of one design."""
        return {
            "schema_version": SCHEMA_VERSION,
            "energy_pj_per_token": self.energy_pj_per_token,
            "latency_ns_per_step": self.latency_ns_per_step,
            "tokens_per_step": self._scalar(self.tokens_per_step),
            "tokens_per_s": self.tokens_per_s,
            "tokens_per_j": self.tokens_per_j,
            "power_mw": self.power_mw,
            "area_mm2": self.area_mm2,
            "binding": self.binding,
            "composition": self.composition,
            "energy_boundary": self.energy_boundary,
            "mvm_per_token": self._scalar(self.counts.products / self.tokens_per_step),
            "mvm_per_step": self._scalar(self.counts.products),
            "additions_per_token": self._scalar(self.counts.additions / self.tokens_per_step),
            "additions_per_step": self._scalar(self.counts.additions),
            "ceiling": self.ceiling,
            "energy_pj_per_token_by_component": dict(self.by_component.itertuples(index=False, name=None)),
            "energy_pj_per_token_by_block": dict(self.by_block.itertuples(index=False, name=None)),
            "breakdown": self.breakdown().to_dict(orient="records"),
            "critical_path_ns": {k: self._scalar(v) for k, v in self.critical_ns.items()},
            "stages": self.stage_frame().to_dict(orient="records"),
            "area_mm2_by_part": self.area_frame().to_dict(orient="records"),
            "bytes_per_token": self.bytes_per_token.to_dict(orient="records"),
            "capacity": {
                name: {"need": self._scalar(need), "have": self._scalar(self.units_available[name])}
                for name, need in self.units_needed.items()
            },
            "resident_bytes": {k: self._scalar(v) for k, v in self.resident_bytes.items()},
        }

    def _repr_html_(self) -> str:
        head = pd.DataFrame(
            {
                "metric": ["energy_pj_per_token", "latency_ns_per_step", "tokens_per_s", "area_mm2", "power_mw"],
                "value": [self.energy_pj_per_token, self.latency_ns_per_step, self.tokens_per_s, self.area_mm2, self.power_mw],
            }
        )  # fmt: skip
        return str(head.to_html(index=False)) + str(self.by_component.to_html(index=False))


def _memories(arch: Architecture) -> frozenset[str]:
    return frozenset(memory.name for memory in arch.memories)


def _spread(value: Quantity, evaluation: Evaluation) -> Array:
    return np.broadcast_to(np.asarray(value, np.float64), (evaluation.n_points,))


def _sum_by(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    summed = frame.groupby(column, as_index=False, sort=False)["energy_pj_per_token"].sum()
    return summed.sort_values("energy_pj_per_token", ascending=False, ignore_index=True, kind="stable")
