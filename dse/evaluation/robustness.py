"""How sure the choice of a mapping is: the same problem with scores and costs drawn from their spreads."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping as MappingABC
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dse.cost.table import CostTable, cost_table
from dse.errors import InfeasibleError, SpecError, TimeLimitError
from dse.evaluation.influence import influence
from dse.evaluation.spreads import Spread, spreads_of
from dse.evaluation.uncertainty import SIGMAS, sampled_values
from dse.mapping.goal import Goal
from dse.mapping.limits import MappingLimits
from dse.mapping.model import Mapping
from dse.mapping.problem import MappingProblem, mapping_problem
from dse.mapping.solve import solve_problem
from dse.spec.architecture import Architecture
from dse.workload.build import Workload, is_of_workload

Array = NDArray[np.float64]

ON_THE_FENCE: Final = (0.05, 0.95)
"""Shares of samples between which a block is on the fence."""
SCORE_SPREAD: Final = 0.2
"""Spread of each score where nothing is known of it (assumed)."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Robustness:
    """Where the blocks go when scores and costs are drawn from their spreads."""

    n_samples: int
    n_infeasible: int
    """Samples without any mapping that keeps the limits."""
    n_unsolved: int
    """Samples for which the time was over."""
    digital_share: MappingABC[str, float]
    """Block with a choice of technology → share of the solved samples in which it is digital."""
    agreement: float
    """Share of these blocks that a sample places as the mapping does, in the mean over the samples."""
    score_spread: float
    spreads: tuple[Spread, ...]
    """Inputs of the architecture that were drawn."""

    @property
    def fence(self) -> tuple[str, ...]:
        """Blocks on the fence."""
        low, high = ON_THE_FENCE
        return tuple(name for name, share in self.digital_share.items() if low < share < high)

    def to_dict(self) -> dict[str, Any]:
        """What stands in ``mapping.json``."""
        return {
            "n_samples": self.n_samples, "n_infeasible": self.n_infeasible, "n_unsolved": self.n_unsolved,
            "agreement": self.agreement, "score_spread": self.score_spread,
            "inputs": [spread.path for spread in self.spreads],
            "fence": list(self.fence), "digital_share": dict(self.digital_share),
        }  # fmt: skip


def choice_robustness(
    arch: Architecture,
    workload: Workload,
    mapping: Mapping,
    option_scores: pd.DataFrame,
    *,
    goal: Goal,
    limits: MappingLimits,
    pins: MappingABC[str, str] | None = None,
    n_samples: int = 32,
    score_spread: float = SCORE_SPREAD,
    seed: int = 0,
    time_limit_s: float = 60.0,
    gap: float = 1e-3,
) -> Robustness:
    """Solves a mapping problem again for drawn scores and costs.

    Scores are drawn block by block, and every input of the architecture that states a spread once for the whole
    machine, from log-normal laws as in ``uncertainty``, the bands of a core's model among them.

    Args:
        arch: architecture of one design.
        workload: workload of one design.
        mapping: the mapping of the nominal problem.
        option_scores: as for ``solve_mapping``.
        goal: what was minimised.
        limits: what it kept.
        pins: as for ``solve_mapping``.
        n_samples: samples.
        score_spread: 95 % of a score x is within ``x / (1 + s)`` and ``x · (1 + s)``.
        seed: of the samples.
        time_limit_s: for all samples [s].
        gap: of each solution.

    Raises:
        SpecError: fewer than two samples or a negative spread.
    """
    if n_samples < 2 or score_spread < 0:
        raise SpecError(f"robustness needs 2 or more samples and a spread >= 0 (got {n_samples}, {score_spread:g})")
    begin = time.monotonic()
    stated = spreads_of(arch, workload, influence(arch, workload, mapping)).sampled
    spreads = tuple(spread for spread in stated if not is_of_workload(spread.path))
    values = {path: drawn[-n_samples:] for path, drawn in sampled_values(spreads, n_samples, seed).items()}
    costs = sampled_costs(arch, workload, values, n_samples)
    generator = np.random.default_rng([seed, 1])
    digital: list[NDArray[np.bool_]] = []
    n_infeasible = n_unsolved = 0
    nominal = mapping_problem(costs, option_scores, workload, arch, goal=goal, limits=limits, pins=pins)
    for sample in range(n_samples):
        problem = mapping_problem(
            costs, option_scores, workload, arch, goal=goal, limits=limits, pins=pins, point=sample
        )
        problem = drawn_problem(problem, score_spread, generator)
        left_s = (time_limit_s - (time.monotonic() - begin)) / (n_samples - sample)
        try:
            choice = solve_problem(problem, time_limit_s=max(left_s, 0.2), gap=gap, seed=seed).best.choice
        except InfeasibleError:
            n_infeasible += 1
        except TimeLimitError:
            n_unsolved += 1
        else:
            digital.append(~problem.instance.is_analog[choice])
    instance = nominal.instance
    on_analog = np.asarray((instance.allowed & instance.is_analog).any(axis=1))
    both = on_analog & np.asarray((instance.allowed & ~instance.is_analog).any(axis=1))
    own = mapping.digital_blocks()
    names = [name for name, has in zip(instance.names, both, strict=True) if has]
    table = np.array(digital).reshape(len(digital), len(both))[:, both]
    share = table.mean(axis=0) if digital else np.full(len(names), np.nan)
    same = table == np.array([name in own for name in names]) if digital else np.zeros((0, 0), dtype=bool)
    return Robustness(
        n_samples=n_samples,
        n_infeasible=n_infeasible,
        n_unsolved=n_unsolved,
        digital_share=dict(zip(names, share.tolist(), strict=True)),
        agreement=float(same.mean()) if same.size else float("nan"),
        score_spread=score_spread,
        spreads=spreads,
    )


def sampled_costs(arch: Architecture, workload: Workload, values: MappingABC[str, Array], n_samples: int) -> CostTable:
    """Costs with one design point per sample."""
    if not values:
        batch = np.full(n_samples, float(workload.scenario.batch))
        return cost_table(arch, workload.with_values({"scenario.batch": batch}))
    return cost_table(arch.with_values(values), workload)


def drawn_problem(problem: MappingProblem, score_spread: float, generator: np.random.Generator) -> MappingProblem:
    """The problem with drawn scores."""
    instance = problem.instance
    sigma = np.log1p(score_spread) / SIGMAS
    score = instance.score * np.exp(sigma * generator.standard_normal(len(instance.names)))[:, None]
    return dataclasses.replace(problem, instance=dataclasses.replace(instance, score=score))
