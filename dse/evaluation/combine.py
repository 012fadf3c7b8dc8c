"""Adds evaluations up: the phases of a request, the scenarios of a mix, the contexts of a growing cache."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from dse.evaluation.counts import OperationCounts
from dse.evaluation.result import Evaluation, RunPart
from dse.units import Quantity, at_point

# P design points

Array = NDArray[np.float64]
K = TypeVar("K", bound=Hashable)


def combined(parts: Sequence[RunPart], *, tokens: Quantity) -> Evaluation:
    """The evaluation of a run in which each part occurs ``weight`` times.

    Energies, times, traffic and counts add up. What all parts share is taken from the first; of capacities the least
    counts, since each part must fit, and of what lives in memory the most.

    Args:
        parts: with their weights; evaluations of one mapping on one architecture.
        tokens: tokens of the run; a prefill of a request adds none to those that are made.
    """
    first = parts[0].evaluation

    def total(of: Callable[[Evaluation], Quantity]) -> Array:
        return np.asarray(sum(part.weight * np.asarray(of(part.evaluation), np.float64) for part in parts))

    def totals(of: Callable[[Evaluation], Mapping[K, Quantity]]) -> dict[K, Array]:
        keys = dict.fromkeys(key for part in parts for key in of(part.evaluation))
        found = [(part.weight, of(part.evaluation)) for part in parts]
        return {key: np.asarray(sum(w * np.asarray(of_part.get(key, 0.0)) for w, of_part in found)) for key in keys}

    latency_ns = total(lambda e: e.latency_ns)
    tightest = min((part.evaluation for part in parts), key=least_room)
    return dataclasses.replace(
        first,
        tokens_per_step=np.broadcast_to(np.asarray(tokens, np.float64), latency_ns.shape),
        latency_ns=latency_ns,
        contended_latency_ns=total(lambda e: e.contended_latency_ns),
        latency_std_ns=np.sqrt(total(lambda e: e.latency_std_ns**2)),
        energy_parts_pj=totals(lambda e: e.energy_parts_pj),
        stages=tuple(
            dataclasses.replace(stage, multiplicity=part.weight * stage.multiplicity)
            for part in parts
            for stage in part.evaluation.stages
        ),
        critical_ns=totals(lambda e: e.critical_ns),
        path_ns=total(lambda e: e.path_ns),
        busy_ns=totals(lambda e: e.busy_ns),
        sequences=least([part.evaluation.sequences for part in parts]),
        traffic_bytes=totals(lambda e: e.traffic_bytes),
        counts=OperationCounts(
            products=total(lambda e: e.counts.products), additions=total(lambda e: e.counts.additions)
        ),
        units_available={
            name: least([part.evaluation.units_available[name] for part in parts]) for name in first.units_available
        },
        resident_bytes={
            name: -least([-np.asarray(part.evaluation.resident_bytes[name], np.float64) for part in parts])
            for name in first.resident_bytes
        },
        room=tightest.room,
        parts=tuple(parts),
    )


def least(values: Sequence[Array]) -> Array:
    """Element by element the least of arrays of one entry or (P,)."""
    return np.asarray(np.minimum.reduce(np.broadcast_arrays(*values)))


def least_room(evaluation: Evaluation) -> float:
    """Room of the first design in the host's memory [byte]."""
    return at_point(evaluation.units_available[evaluation.room.memory])
