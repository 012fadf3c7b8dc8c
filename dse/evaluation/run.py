"""``evaluate``: one mapping on one architecture, limits checked, with breakdown, ceiling and baselines."""

from __future__ import annotations

import dataclasses

from dse.cost.micro_batch import require_sequences
from dse.cost.table import cost_table
from dse.evaluation.all_digital import all_digital_mapping, digital_baselines
from dse.evaluation.ceiling import ceiling
from dse.evaluation.limits import check_all_limits, check_limits
from dse.evaluation.machine import machine
from dse.evaluation.points import evaluate_points
from dse.evaluation.result import Evaluation
from dse.mapping.model import Mapping
from dse.spec.architecture import Architecture
from dse.spec.provenance import placed
from dse.workload.build import Workload


@placed
def evaluate(arch: Architecture, workload: Workload, mapping: Mapping) -> Evaluation:
    """Energy, time, area and traffic of a mapping, with its ceiling and the all-digital machines.

    Of many designs (``arch.with_values({path: [6, 7, 8]})``) metrics are arrays, and ceiling, machine and baselines are
    left out.

    Raises:
        InfeasibleError: the mapping needs more than the architecture has; of many designs, than one of them has.
        SpecError: the mapping does not belong to this architecture or workload; more micro-batches than sequences.
    """
    require_sequences(arch, workload)
    costs = cost_table(arch, workload)
    evaluation = evaluate_points(arch, workload, mapping, costs)
    if evaluation.n_points > 1:
        check_all_limits(evaluation, arch)
        return evaluation
    check_limits(evaluation, arch)
    digital = evaluate_points(arch, workload, all_digital_mapping(arch, workload), costs)
    return dataclasses.replace(
        evaluation,
        ceiling=ceiling(arch, workload, mapping, evaluation, costs, digital=digital),
        all_digital_bytes=digital.traffic_bytes,
        baselines=digital_baselines(workload),
        machine=machine(arch, workload, mapping, evaluation, costs),
    )
