"""Operation counts of the analog part of a step: crossbar products and additions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dse.cost.table import CostTable
from dse.evaluation.profile import LayerProfile
from dse.spec.architecture import Architecture
from dse.units import Quantity
from dse.workload.build import Workload


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class OperationCounts:
    """Counts of one step.

    ``additions`` counts vector additions of one crossbar output as IBM's 3D-CiM simulator does: joins of row
    slices, and with ``counting: ibm_3dcim`` also k − 1 combines per layer with experts (k with shared ones), 2
    residuals per layer and 1 per token.
    """

    products: Quantity
    additions: Quantity


def operation_counts(
    arch: Architecture, workload: Workload, costs: CostTable, profiles: tuple[LayerProfile, ...]
) -> OperationCounts:
    """Crossbar products and additions of a step over all analog blocks."""
    tokens, model = workload.tokens_per_step, workload.model
    products: Quantity = 0.0
    additions: Quantity = 0.0
    for profile in profiles:
        for entry in (e for entries in profile.entries.values() for e in entries):
            group = costs.options[entry.option_index].group
            if not costs.is_analog[group]:
                continue
            core, copies = arch.core(group), costs.options[entry.option_index].copies
            joins = copies * costs.classes[entry.class_index].n_partial_sums(rows=core.rows, cols=core.cols)
            visits = entry.visits(workload, profile.multiplicity)
            products = products + visits * costs.of(*entry.at).units
            additions = additions + visits * joins
    if workload.counting == "ibm_3dcim" and arch.analog_cores:
        products = products + tokens * np.ceil(model.d_model / np.asarray(arch.analog_cores[0].cols))
        combines = model.n_moe_layers * (model.top_k - 1 + (model.n_shared_experts > 0))
        additions = additions + tokens * (combines + 2 * model.n_layers + 1)
    return OperationCounts(products=products, additions=additions)
