"""The result of an evaluation: energy, time, area and traffic, with every number openable."""

from __future__ import annotations

from collections.abc import Mapping as MappingABC
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from dse.cost.area import AreaPart
from dse.cost.capacity import MemoryRoom
from dse.evaluation.baseline import Baseline, best_baseline
from dse.evaluation.counts import OperationCounts
from dse.evaluation.document import evaluation_document
from dse.evaluation.energy import Part
from dse.evaluation.frames import area_frame, energy_by, energy_frame, stage_frame, traffic_frame
from dse.evaluation.machine import Machine
from dse.evaluation.timeline import StageTime
from dse.units import NS_PER_S, PJ_PER_J, Quantity, at_point

# P design points

Array = NDArray[np.float64]


class RunPart(NamedTuple):
    """One part of a run that was evaluated by itself."""

    name: str
    weight: Quantity
    """How often it occurs in a step of the run."""
    evaluation: Evaluation


@dataclass(frozen=True, eq=False, kw_only=True)
class Evaluation:
    """Result of one mapping; metrics are floats for one design, arrays (P,) for many.

    A step is one decode token of every sequence of the batch, the prefill of all its prompts, or all of a request;
    of a mix of scenarios it is the weighted mean of theirs. What a number includes is said by ``energy_boundary``, how
    times add up by ``composition``.
    """

    tokens_per_step: Array
    """Tokens that a step makes or reads, (P,)."""
    latency_ns: Array
    """Time of a step, (P,)."""
    contended_latency_ns: Array
    """Time of a step with the waits of dependent products on shared tiles, (P,)."""
    latency_std_ns: Array
    """Standard deviation of the step time from step to step, (P,), because tokens choose experts at random."""
    energy_parts_pj: MappingABC[Part, Array]
    """Part → energy of a step; they add up to the total."""
    stages: tuple[StageTime, ...]
    """Times of every stage of every layer profile, in the order of execution."""
    critical_ns: MappingABC[str, Array]
    """Resource → its share of what the step time waits for; they add up to it."""
    path_ns: Array
    """Critical path of one micro-batch, (P,); the step time itself where the batch is not split."""
    busy_ns: MappingABC[str, Array]
    """Resource → time it works in a step, (P,)."""
    sequences: Array
    """Sequences of the batch, (P,)."""
    micro_batches: Array
    """Parts that the batch runs in, (P,)."""
    area: tuple[AreaPart, ...]
    """Silicon by part and die."""
    traffic_bytes: MappingABC[tuple[str, str], Array]
    """(Memory, what) → bytes of a step."""
    counts: OperationCounts
    """Crossbar products and additions of a step."""
    units_needed: MappingABC[str, Array]
    """Resource → capacity units that the placed blocks take."""
    units_available: MappingABC[str, Array]
    """Resource → capacity units there are."""
    resident_bytes: MappingABC[str, Quantity]
    """What else lives in the host's memory."""
    room: MemoryRoom
    """What the placed blocks leave of the host's memory."""
    refresh_time_fraction: MappingABC[str, Quantity]
    """Refreshed analog group → share of all time that its refresh against drift takes."""
    composition: str
    """``serial``, ``overlapped`` or ``pipelined``: how the times of core groups add up."""
    energy_boundary: str
    """``macro | die | package | board | wall``: what the energy includes."""
    digital_energy_model: str
    """``per_operation`` or ``flat_power`` (of any digital unit): how the digital energy is counted."""
    parts: tuple[RunPart, ...] = ()
    """What a request (prefill, decode) or a mix (its scenarios) is made of; empty for a single step."""
    ceiling: MappingABC[str, float] | None = None
    """What could be gained at most; filled for one design (see ``dse.evaluation.ceiling``)."""
    all_digital_bytes: MappingABC[tuple[str, str], Array] | None = None
    """(Memory, what) → bytes of a step if every block were digital on this machine."""
    machine: Machine | None = None
    """Links, programming, dies and packages; filled for one design (see ``dse.evaluation.machine``)."""
    baselines: tuple[Baseline, ...] = ()
    """The same workload on the shipped digital machines, one entry per machine and weight format."""

    @property
    def n_points(self) -> int:
        """Number of design points P."""
        return len(self.latency_ns)

    def _metric(self, values: ArrayLike) -> Quantity:
        """A float for one design, an array (P,) for many."""
        array = np.broadcast_to(np.asarray(values, dtype=np.float64), (self.n_points,))
        return float(array[0]) if self.n_points == 1 else array

    @property
    def latency_ns_per_step(self) -> Quantity:
        """Time of a step [ns]; a sequence waits that long for its next token."""
        return self._metric(self.latency_ns)

    @property
    def contended_latency_ns_per_step(self) -> Quantity:
        """Time of a step with what dependent products of a block wait for others on shared tiles [ns].

        At least ``latency_ns_per_step``, equal to it where no tile does more than one product in a stage. Within
        6 % of an event-driven simulation, serial and overlapped. Pipelined the waits of micro-batches for each other
        come on top: a mean within 5 % of the simulation, 98 % of designs within 15 %.
        """
        return self._metric(self.contended_latency_ns)

    @property
    def latency_ns_std(self) -> Quantity:
        """Standard deviation of the step time, because tokens choose experts at random [ns]."""
        return self._metric(self.latency_std_ns)

    @property
    def energy_pj_per_step(self) -> Quantity:
        """Energy of a step within the energy boundary, idle power over the step time included [pJ]."""
        return self._metric(self._energy_pj)

    @cached_property
    def _energy_pj(self) -> Array:
        """Sum of the parts, (P,) [pJ]; once, because four metrics follow from it."""
        return np.asarray(sum(self.energy_parts_pj.values(), np.zeros(self.n_points)))

    @property
    def energy_pj_per_token(self) -> Quantity:
        """Energy of a step over its tokens [pJ/token]."""
        return self._metric(self.energy_pj_per_step / self.tokens_per_step)

    @property
    def tokens_per_s(self) -> Quantity:
        """Tokens of a step over its time [tokens/s]: throughput of the whole batch, less the time of drift refresh."""
        serving = 1.0 - self.time_lost_fraction
        return self._metric(serving * self.tokens_per_step / self.latency_ns * NS_PER_S)

    @property
    def time_lost_fraction(self) -> Quantity:
        """Share of all time in which the machine stands still for drift refresh [-]: its slowest group's."""
        shares = [np.broadcast_to(share, (self.n_points,)) for share in self.refresh_time_fraction.values()]
        return self._metric(np.minimum(np.maximum.reduce([np.zeros(self.n_points), *shares]), 1.0))

    @property
    def tokens_per_j(self) -> Quantity:
        """Tokens per energy [tokens/J]: the inverse of ``energy_pj_per_token``; infinite where that is 0."""
        energy = np.asarray(self.energy_pj_per_token, dtype=np.float64)
        return self._metric(np.divide(PJ_PER_J, energy, out=np.full_like(energy, np.inf), where=energy > 0))

    def part(self, name: str) -> Evaluation | None:
        """The part of that name evaluated by itself, or None: ``prefill`` and ``decode`` of a request, scenarios."""
        return next((part.evaluation for part in self.parts if part.name == name), None)

    @property
    def prefill_energy_pj(self) -> Quantity | None:
        """Energy of the prefill of a request's prompts [pJ]; None where no request is evaluated."""
        prefill = self.part("prefill")
        return None if prefill is None else prefill.energy_pj_per_step

    @property
    def prefill_latency_ns(self) -> Quantity | None:
        """Time of the prefill of a request's prompts [ns]; None where no request is evaluated."""
        prefill = self.part("prefill")
        return None if prefill is None else prefill.latency_ns_per_step

    @property
    def decode_latency_ns_per_token(self) -> Quantity | None:
        """Mean time between two new tokens of a sequence [ns]; None where no request is evaluated."""
        decode = self.part("decode")
        return None if decode is None else decode.latency_ns_per_step

    @property
    def power_mw(self) -> Quantity:
        """Mean power while steps follow each other: energy of a step over its time [mW]."""
        return self._metric(self.energy_pj_per_step / self.latency_ns)

    @property
    def max_batch(self) -> Quantity:
        """Largest batch at this length that the mapping leaves room for in the host's memory; inf: no limit."""
        return self._metric(self.room.max_batch)

    @property
    def max_context_tokens(self) -> Quantity:
        """Largest context (``prefill``: prompt) at this batch that the mapping leaves room for [tokens]."""
        return self._metric(self.room.max_context_tokens)

    @property
    def area_mm2(self) -> Quantity:
        """Silicon area of all dies of the package [mm²]; memories outside of them do not count."""
        return self._metric(sum((np.asarray(p.area_mm2, np.float64) for p in self.area), np.zeros(self.n_points)))

    @property
    def bytes_per_token(self) -> pd.DataFrame:
        """memory, what, bytes_per_token [byte/token] that the first design reads.

        With ``all_digital_bytes_per_token`` beside it where the all-digital run was evaluated too.
        """
        return traffic_frame(
            self.traffic_bytes, tokens=at_point(self.tokens_per_step), point=0, before=self.all_digital_bytes
        )

    @property
    def best_digital(self) -> Baseline | None:
        """The shipped digital machine and weight format with the most tokens per joule; None where none fits."""
        return best_baseline(self.baselines)

    @property
    def binding(self) -> str | NDArray[np.object_]:
        """Resource with the largest share of what the step time waits for (a text, or one per design)."""
        return self._largest(self.critical_ns)

    @property
    def binding_column(self) -> pd.Categorical[str]:
        """``binding`` of every design, as a column of a table."""
        return pd.Categorical.from_codes(
            self._largest_at(self.critical_ns), categories=pd.Index(list(self.critical_ns))
        )

    @property
    def busiest(self) -> str | NDArray[np.object_]:
        """Resource that works longest in a step (a text, or one per design)."""
        return self._largest(self.busy_ns)

    def _largest(self, times: MappingABC[str, Array]) -> str | NDArray[np.object_]:
        """Name of the largest time (a text, or one per design)."""
        chosen = np.asarray(list(times), dtype=object)[self._largest_at(times)]
        return str(chosen[0]) if self.n_points == 1 else chosen

    def _largest_at(self, times: MappingABC[str, Array]) -> NDArray[np.int64]:
        """(P,): position of the largest time."""
        stacked = np.stack([np.broadcast_to(time, (self.n_points,)) for time in times.values()])
        return np.asarray(np.argmax(stacked, axis=0))

    def breakdown(self, point: int = 0) -> pd.DataFrame:
        """component, block_kind, group, energy_pj_per_token of one design, largest first."""
        return energy_frame(self.energy_parts_pj, tokens=at_point(self.tokens_per_step, point), point=point)

    @property
    def by_component(self) -> pd.DataFrame:
        """component, energy_pj_per_token of the first design, largest first."""
        return energy_by(self.breakdown(), "component")

    @property
    def by_block(self) -> pd.DataFrame:
        """block_kind, energy_pj_per_token of the first design, largest first."""
        return energy_by(self.breakdown(), "block_kind")

    def stage_frame(self, point: int = 0) -> pd.DataFrame:
        """stage, group, resource, time_ns_per_step, on_critical_path of one design, all layers together."""
        return stage_frame(self.stages, point)

    def area_frame(self, point: int = 0) -> pd.DataFrame:
        """part, die, area_mm2 of one design."""
        return area_frame(self.area, point)

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of the first design."""
        return evaluation_document(self)

    def _repr_html_(self) -> str:
        metrics = ["energy_pj_per_token", "latency_ns_per_step", "tokens_per_s", "area_mm2", "power_mw"]
        head = pd.DataFrame({"metric": metrics, "value": [getattr(self, name) for name in metrics]})
        return str(head.to_html(index=False)) + str(self.by_component.to_html(index=False))
