"""Workloads whose busy experts depend on their scores."""

from __future__ import annotations

from dse.sensitivity.score import score_blocks
from dse.workload.build import Workload


def with_load_order(workload: Workload) -> Workload:
    """The workload with the order of its scores where ``routing.norm_load_rank_correlation`` needs it.

    Raises:
        SpecError: the scores need weights and the workload names none.
    """
    if workload.routing.norm_load_rank_correlation == 0:
        return workload
    return workload.with_score_order(score_blocks(workload))
