"""How much of a mapping's accuracy is measured, and what is asked of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from dse.errors import Problem, SpecError
from dse.noise.refusals import scale_problems
from dse.noise.task_plan import NO_TASKS, TaskPlan
from dse.noise.torch_device import device_problems
from dse.workload.build import Workload

MAX_DRAWS: Final = 400
"""Most chips of a study that goes on until its interval is narrow enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Settings of one study; every study of equal settings draws the same chips."""

    draws: int = 12
    """Chips of the first stage, in antithetic pairs."""
    seed: int = 0
    time_s: float | None = None
    """Age of the programmed weights [s]; None: that of the workload's scenario."""
    scale: float = 1.0
    n_tokens: int = 8192
    n_items: int | None = 0
    half_width_nats: float | None = None
    """Wanted half-width of the 95 % interval of the loss increase; None: the first stage is all."""
    max_draws: int = MAX_DRAWS
    """Most chips with a wanted half-width."""
    yield_limit_nats: float | None = None
    margin_nats: float | None = None
    tasks: TaskPlan = NO_TASKS
    torch_device: str = "cpu"
    """Where models compute: cpu, cuda or cuda:N."""

    def require_possible(self, workload: Workload) -> None:
        """Refuses settings that no measurement can have.

        Raises:
            SpecError: every such setting.
        """
        problems = [*scale_problems(self.scale), *self.draw_problems()]
        if self.time_s is not None and not 0 <= self.time_s < float("inf"):
            problems.append(Problem(f"expected a finite number >= 0 (got {self.time_s:g})", "time_s"))
        if self.n_tokens < 1:
            problems.append(Problem(f"expected a number > 0 (got {self.n_tokens})", "n_tokens"))
        if self.n_items is not None and self.n_items < 0:
            problems.append(Problem(f"expected a number >= 0, or None for all (got {self.n_items})", "n_items"))
        if self.time_s is None and len(ages_of(workload)) > 1:
            told = f"accuracy is measured at one age, here are {', '.join(f'{a:g}' for a in ages_of(workload))}"
            problems.append(Problem(f"{told}; give time_s", "scenario.time_since_programming_s"))
        problems += [*self.tasks.problems(), *device_problems(self.torch_device)]
        if problems:
            raise SpecError(problems)

    def age_s(self, workload: Workload) -> float:
        """Age of the programmed weights [s]: the plan's own, else that of the workload's scenario."""
        return ages_of(workload)[0] if self.time_s is None else self.time_s

    def draw_problems(self) -> list[Problem]:
        """What is wrong with the number of chips and with what is asked of them."""
        found = []
        for name, value in (("draws", self.draws), ("max_draws", self.max_draws)):
            if value < 4 or value % 2:
                told = f"chips come in antithetic pairs: expected an even number >= 4 (got {value})"
                found.append(Problem(told, name))
        if self.half_width_nats is not None and self.max_draws < self.draws:
            found.append(Problem(f"is below draws, the first stage ({self.max_draws} < {self.draws})", "max_draws"))
        for name in ("half_width_nats", "margin_nats"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                found.append(Problem(f"expected a finite number > 0 (got {value:g})", name))
        limit = self.yield_limit_nats
        if limit is not None and not abs(limit) < float("inf"):
            found.append(Problem(f"expected a finite number (got {limit:g})", "yield_limit_nats"))
        return found


def ages_of(workload: Workload) -> list[float]:
    """Every age of the weights that the scenarios of a workload name [s], ascending."""
    scenarios = workload.mix or (workload.scenario,)
    return sorted({float(age) for s in scenarios for age in np.atleast_1d(s.time_since_programming_s)})
