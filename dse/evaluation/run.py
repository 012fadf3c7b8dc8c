"""``evaluate``: one mapping on one architecture, limits checked, with breakdown and ceiling."""

from __future__ import annotations

import dataclasses

from dse.cost.table import cost_table
from dse.evaluation.ceiling import ceiling
from dse.evaluation.limits import check_limits
from dse.evaluation.points import evaluate_points
from dse.evaluation.result import Evaluation
from dse.mapping.model import Mapping
from dse.spec.architecture import Architecture
from dse.workload.build import Workload


def evaluate(arch: Architecture, workload: Workload, mapping: Mapping) -> Evaluation:
    """Energy, time, area and traffic of a mapping on one architecture, with breakdown and ceiling.

    Raises:
        InfeasibleError: the mapping needs more than the architecture has.
        SpecError: the mapping does not belong to this architecture or workload.
    """
    costs = cost_table(arch, workload)
    evaluation = evaluate_points(arch, workload, mapping, costs)
    check_limits(evaluation, arch)
    return dataclasses.replace(evaluation, ceiling=ceiling(arch, workload, mapping, evaluation, costs))
