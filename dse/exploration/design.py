"""``design``: one design from specs to mapping, evaluation and, if asked for, measured accuracy."""

from __future__ import annotations

from collections.abc import Mapping as MappingABC
from dataclasses import dataclass

import pandas as pd

import dse.noise
from dse.cost.table import cost_table
from dse.evaluation.result import Evaluation
from dse.evaluation.run import evaluate
from dse.exploration.space import AccuracyPlan
from dse.mapping.metrics import Objective
from dse.mapping.model import Mapping
from dse.mapping.solve import solve_mapping
from dse.noise.result import AccuracyReport
from dse.sensitivity.options import option_scores
from dse.sensitivity.score import score_blocks
from dse.sensitivity.share import sensitivity_share
from dse.spec.architecture import Architecture
from dse.workload.build import Workload


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Design:
    """One design: where every expert is, what it costs, and how much it loses."""

    mapping: Mapping
    evaluation: Evaluation
    accuracy: AccuracyReport | None
    """None where it was not asked for."""
    scores: pd.DataFrame
    sensitivity_share: float
    """Score of the analog experts over the score of all experts."""

    def _repr_html_(self) -> str:
        accuracy = "" if self.accuracy is None else self.accuracy._repr_html_()
        return self.evaluation._repr_html_() + self.mapping._repr_html_() + accuracy


def design(
    arch: Architecture,
    workload: Workload,
    *,
    objective: Objective = "energy",
    limits: MappingABC[str, float] | None = None,
    pins: MappingABC[str, str] | None = None,
    accuracy: AccuracyPlan | None = None,
    seed: int = 0,
    time_limit_s: float = 60.0,
) -> Design:
    """Scores the experts, finds the best mapping, evaluates it and measures its accuracy.

    Args:
        arch: one architecture (no arrays).
        workload: one workload (no arrays).
        objective: what the mapping minimises.
        limits: limits of the mapping, as for ``solve_mapping``.
        pins: block kind, name or pattern → core group.
        accuracy: how much to measure; None: accuracy is not measured.
        seed: of ties and of the noise.
        time_limit_s: of the solver.

    Raises:
        InfeasibleError: no mapping keeps the limits.
        SpecError: a limit, pin or score is not valid.
    """
    scores = score_blocks(workload)
    workload = workload.with_score_order(scores)
    mapping = solve_mapping(
        cost_table(arch, workload),
        option_scores(scores, workload, arch),
        workload,
        arch,
        objective=objective,
        limits=limits,
        pins=pins,
        time_limit_s=time_limit_s,
        seed=seed,
    )
    report = None
    if accuracy is not None:
        report = dse.noise.check_accuracy(
            arch, workload, mapping, draws=accuracy.draws, seed=seed, scale=accuracy.scales[0],
            n_tokens=accuracy.n_tokens, n_items=accuracy.n_items,
        )  # fmt: skip
    return Design(
        mapping=mapping,
        evaluation=evaluate(arch, workload, mapping),
        accuracy=report,
        scores=scores,
        sensitivity_share=sensitivity_share(scores, mapping),
    )
