"""The JSON document of an evaluated design: every metric and the tables behind it, units in the key names."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dse.units import at_point

if TYPE_CHECKING:
    from dse.evaluation.result import Evaluation, RunPart

SCHEMA_VERSION: Final = 1


def evaluation_document(evaluation: Evaluation) -> dict[str, Any]:
    """The JSON document of the first design."""
    e, tokens = evaluation, at_point(evaluation.tokens_per_step)
    products, additions = at_point(e.counts.products), at_point(e.counts.additions)
    metrics = ("energy_pj_per_token", "latency_ns_per_step", "contended_latency_ns_per_step", "latency_ns_std",
               "tokens_per_step", "tokens_per_s", "tokens_per_j", "power_mw", "area_mm2")  # fmt: skip
    return {
        "schema_version": SCHEMA_VERSION,
        **{name: at_point(getattr(e, name)) for name in metrics},
        "binding": e.binding if isinstance(e.binding, str) else str(e.binding[0]),
        "composition": e.composition,
        "energy_boundary": e.energy_boundary,
        "digital_energy_model": e.digital_energy_model,
        "mvm_per_token": products / tokens,
        "mvm_per_step": products,
        "additions_per_token": additions / tokens,
        "additions_per_step": additions,
        "ceiling": None if e.ceiling is None else dict(e.ceiling),
        "best_digital": best_digital_document(e),
        "baselines": [baseline.to_dict() for baseline in e.baselines],
        "energy_pj_per_token_by_component": dict(e.by_component.itertuples(index=False, name=None)),
        "energy_pj_per_token_by_block": dict(e.by_block.itertuples(index=False, name=None)),
        "breakdown": e.breakdown().to_dict(orient="records"),
        "critical_path_ns": {name: at_point(time) for name, time in e.critical_ns.items()},
        "busy_ns": {name: at_point(time) for name, time in e.busy_ns.items()},
        "pipeline": pipeline_document(e),
        **request_document(e),
        "parts": [part_document(part) for part in e.parts],
        "stages": e.stage_frame().to_dict(orient="records"),
        "timeline": timeline_document(e),
        "area_mm2_by_part": e.area_frame().to_dict(orient="records"),
        "bytes_per_token": e.bytes_per_token.to_dict(orient="records"),
        "capacity": capacity_document(e),
        "resident_bytes": {name: at_point(size) for name, size in e.resident_bytes.items()},
        **({} if e.machine is None else e.machine.to_dict()),
    }


def capacity_document(evaluation: Evaluation) -> dict[str, dict[str, float | None]]:
    """Resource → need and have; for the host's memory also the largest batch and context (None: no limit)."""
    e = evaluation
    rows: dict[str, dict[str, float | None]] = {
        name: {"need": at_point(need), "have": at_point(e.units_available[name])}
        for name, need in e.units_needed.items()
    }
    largest = {"max_batch": at_point(e.max_batch), "max_context_tokens": at_point(e.max_context_tokens)}
    rows[e.room.memory] |= {name: count if math.isfinite(count) else None for name, count in largest.items()}
    return rows


def best_digital_document(evaluation: Evaluation) -> dict[str, Any] | None:
    """The best all-digital run with its figures over those of the first design; None where none fits."""
    best = evaluation.best_digital
    if best is None or best.tokens_per_j is None or best.tokens_per_s is None:
        return None
    return {
        **best.to_dict(),
        "tokens_per_j_over_this_design": best.tokens_per_j / at_point(evaluation.tokens_per_j),
        "tokens_per_s_over_this_design": best.tokens_per_s / at_point(evaluation.tokens_per_s),
        "same_energy_boundary": best.energy_boundary == evaluation.energy_boundary,
        "same_energy_model": best.energy_model == evaluation.digital_energy_model,
    }


def pipeline_document(evaluation: Evaluation) -> dict[str, Any] | None:
    """Which of the two binds in the first design: the path of one micro-batch, or the busiest resource's work."""
    if evaluation.composition != "pipelined":
        return None
    e, busiest = evaluation, str(np.ravel(np.asarray(evaluation.busiest, dtype=object))[0])
    path, busy = at_point(e.path_ns), at_point(e.busy_ns[busiest])
    return {
        "micro_batches": at_point(e.micro_batches),
        "critical_path_ns": path,
        "busiest_resource": busiest,
        "busiest_resource_ns": busy,
        "bound_by": "critical path" if path >= busy else "busiest resource",
    }


def timeline_document(evaluation: Evaluation) -> list[dict[str, Any]] | None:
    """The stages of the first design in order, each with how often a step runs it; None where no order is fixed.

    Micro-batches of a pipeline overlap, and requests and mixes are sums of several steps.
    """
    if evaluation.composition == "pipelined" or evaluation.parts:
        return None
    return [
        {
            "stage": stage.stage,
            "times_per_step": at_point(stage.multiplicity),
            "side_by_side": stage.side_by_side,
            "time_ns": at_point(stage.total),
            "groups_ns": {name: at_point(group.total) for name, group in stage.groups.items()},
        }
        for stage in evaluation.stages
    ]


def request_document(evaluation: Evaluation) -> dict[str, float | None]:
    """Prefill and decode of a request apart (None where no request is evaluated)."""
    names = ("prefill_energy_pj", "prefill_latency_ns", "decode_latency_ns_per_token")
    values = {name: getattr(evaluation, name) for name in names}
    return {name: None if value is None else at_point(value) for name, value in values.items()}


def part_document(part: RunPart) -> dict[str, Any]:
    """Metrics of one part of a run in the first design, with its own parts."""
    e = part.evaluation
    metrics = ("energy_pj_per_token", "energy_pj_per_step", "latency_ns_per_step", "tokens_per_step", "tokens_per_s")
    return {
        "name": part.name,
        "weight": at_point(part.weight),
        **{name: at_point(getattr(e, name)) for name in metrics},
        "binding": e.binding if isinstance(e.binding, str) else str(e.binding[0]),
        **request_document(e),
        "parts": [part_document(inner) for inner in e.parts],
    }
