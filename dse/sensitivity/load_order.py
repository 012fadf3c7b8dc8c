"""Workloads whose busy experts depend on their scores."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from dse.sensitivity.score import score_blocks
from dse.workload.build import Workload

PATH: Final = "routing.norm_load_rank_correlation"


def with_load_order(workload: Workload, varied: Collection[str] = ()) -> Workload:
    """The workload with the order of its scores where ``routing.norm_load_rank_correlation`` needs it, or varies.

    Args:
        workload: the workload as it was read.
        varied: dotted paths that take other values later.

    Raises:
        SpecError: the scores need weights and the workload names none.
    """
    if workload.routing.norm_load_rank_correlation == 0 and PATH not in varied:
        return workload
    return workload.with_score_order(score_blocks(workload))
