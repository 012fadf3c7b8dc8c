"""A PuLP model with the tables that lead from its variables and rows back to blocks and limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import pulp

from dse.mapping.instance import Instance
from dse.mapping.objective import Choice
from dse.mapping.pools import Pool, distribute, fixed_choice

Variable: TypeAlias = pulp.LpVariable
Terms = list[tuple[Variable, float]]

SENSES: Final = {"<=": pulp.LpConstraintLE, ">=": pulp.LpConstraintGE, "=": pulp.LpConstraintEQ}


class Meaning(NamedTuple):
    """What the row of a limit says in the user's unit: ``offset + factor · (left side) <= limit``."""

    limit: float
    unit: str
    factor: float = 1.0
    offset: float = 0.0


class MetricTerms(NamedTuple):
    """A metric of a placement: ``constant + scale · Σ terms`` in its unit."""

    terms: Terms
    scale: float
    constant: float


class Slack(NamedTuple):
    """By how much the row of a limit is missed, as a share of the limit."""

    name: str
    variable: Variable
    coefficient: float
    rhs: float
    meaning: Meaning

    def reached(self, missed: float) -> float:
        """Value of the limited quantity when the row is missed by that share [the user's unit]."""
        return self.meaning.offset + self.meaning.factor * (self.rhs - self.coefficient * missed)


@dataclass(slots=True, eq=False)
class Program:
    """A PuLP model with the tables that lead from its variables and rows back to blocks and limits."""

    instance: Instance
    pools: tuple[Pool, ...]
    count: dict[tuple[int, int], Variable] = field(default_factory=dict)
    """(pool, option) → blocks of the pool under the option."""
    take: dict[tuple[int, int], Variable] = field(default_factory=dict)
    """(block, option) → share of the block under the option, for the pools of ``named``; the share under the last
    option is what is left of 1."""
    named: set[int] = field(default_factory=set)
    """Pools whose blocks have shares of their own, because scores tell them apart."""
    use: dict[tuple[int, int, int], Variable] = field(default_factory=dict)
    """(stage, block class, option) → whether the option is in use there."""
    tied: set[tuple[int, int]] = field(default_factory=set)
    """(pool, option) whose count is tied to ``use``."""
    rows: dict[str, str] = field(default_factory=dict)
    """Name of a row in the model → what it stands for; the model's own names carry no meaning."""
    by_stage: dict[int, list[tuple[int, int, Variable]]] = field(default_factory=dict)
    """Stage → its counts, filled when first asked for."""
    slack: list[Slack] = field(default_factory=list)
    """By how much soft limits are missed."""
    soft: Callable[[str], bool] = field(default=lambda _: False)
    """Which limits and capacities, by name, may be missed at a price."""
    stage_of: dict[str, int] = field(default_factory=dict)
    """Variable of a time → its stage."""
    metrics: dict[str, MetricTerms] = field(default_factory=dict)
    """Metrics that have been asked for."""
    stage_groups: dict[tuple[int, int], list[tuple[Terms, float]]] = field(default_factory=dict)
    """(step, stage) → time of each group, as terms and a constant, where they have been asked for."""
    stage_totals: dict[tuple[int, int], Variable] = field(default_factory=dict)
    """(step, stage) → time of the stage, where it has been asked for."""
    model: pulp.LpProblem = field(default_factory=lambda: pulp.LpProblem("mapping", pulp.LpMinimize))
    scale: float = 1.0
    """Value of the objective = scale · (value in the model)."""

    def first_block(self, p: int) -> int:
        """First member of a pool."""
        return int(self.pools[p].members[0])

    def entries(self, stage: int) -> list[tuple[int, int, Variable]]:
        """(pool, option, count) of the pools of one stage."""
        if not self.by_stage:
            for (p, o), variable in self.count.items():
                self.by_stage.setdefault(int(self.instance.stage[self.first_block(p)]), []).append((p, o, variable))
        return self.by_stage.get(stage, [])

    def add_variable(
        self, name: str, low: float = 0.0, high: float | None = None, *, is_integer: bool = False
    ) -> Variable:
        """A new variable of the model."""
        kind = pulp.LpInteger if is_integer else pulp.LpContinuous
        variable: Variable = self.model.add_variable(name, low, high, kind)
        return variable

    def add_time(self, name: str, stage: int, low: float = 0.0) -> Variable:
        """A new variable for a time in a stage."""
        variable = self.add_variable(name, low)
        self.stage_of[variable.name] = stage
        return variable

    def minimise(self, terms: Terms, *, scale: float = 1.0, constant: float = 0.0) -> None:
        """Sets the objective: terms and constant, in the model divided by the scale.

        The constant is a variable fixed at 1, so that the solver's relative gap is that of the whole objective.
        """
        self.scale = scale
        whole = [*terms, (self.add_variable("one", 1.0, 1.0), constant / scale)] if constant else terms
        self.model.setObjective(linear(whole))

    def parts(self) -> dict[str, int]:
        """Variable → its stage, for those of one stage; empty where no stage has a time of its own."""
        if not self.stage_totals:
            return {}
        found = {v.name: int(self.instance.stage[self.first_block(p)]) for (p, _), v in self.count.items()}
        found |= {v.name: int(self.instance.stage[b]) for (b, _), v in self.take.items()}
        found |= {v.name: stage for (stage, _, _), v in self.use.items()}
        return found | self.stage_of

    def sums(self) -> list[list[str]]:
        """Counts of alike blocks of one class under one option, of which a limit often sees no more than their sum."""
        found: dict[tuple[int, int], list[str]] = {}
        for (p, o), variable in self.count.items():
            if self.pools[p].size > 1 and o != int(self.pools[p].options[-1]):
                found.setdefault((int(self.instance.block_class[self.first_block(p)]), o), []).append(variable.name)
        return [names for names in found.values() if len(names) > 1]

    def write(self, file: Path) -> None:
        """Writes the model as an MPS file."""
        self.model.writeMPS(str(file))

    def add_limit(self, name: str, terms: Terms, sense: str, rhs: float, *, meaning: Meaning, shared: str = "") -> None:
        """Adds the row of a limit; a soft one may be missed at a price, by as much as all rows of a shared prefix."""
        signs = {"<=": (-1.0,), ">=": (1.0,), "=": (-1.0, 1.0)}[sense]
        for sign in signs if self.soft(name) else ():
            size = max(abs(meaning.limit / meaning.factor), 1.0)
            known = next((slack for slack in self.slack if shared and slack.name.startswith(shared)), None)
            if known is None:
                known = Slack(name, self.add_variable(f"s{len(self.slack)}"), sign * size, rhs, meaning)
                self.slack.append(known)
            terms = [*terms, (known.variable, sign * size)]
        self.add_row(name, terms, sense, rhs)

    def add_row(self, name: str, terms: Terms, sense: str, rhs: float) -> None:
        """Adds one row."""
        key = f"r{len(self.rows)}"
        self.rows[key] = name
        row = pulp.LpConstraint(linear(terms), SENSES[sense], key, rhs)
        self.model.addConstraint(row)

    def bound(self, model_bound: float) -> float:
        """A bound of the model in the unit of the objective."""
        return self.scale * model_bound

    def choice(self, values: dict[str, float]) -> Choice:
        """(N,): option of every block, from the values of the model's variables by name."""
        choice = fixed_choice(self.instance)
        for index, pool in enumerate(self.pools):
            counts = np.array([round(values.get(self.count[index, o].name, 0.0)) for o in pool.options.tolist()])
            choice[pool.members] = distribute(self.instance, pool, counts)
        return choice

    def start(self, choice: Choice) -> dict[str, float]:
        """Values of counts, shares and uses that say the same as a placement."""
        values: dict[str, float] = {}
        for index, pool in enumerate(self.pools):
            for option in pool.options.tolist():
                found = pool.members[choice[pool.members] == option]
                values[self.count[index, option].name] = float(len(found))
                for block in pool.members.tolist() if (int(pool.members[0]), option) in self.take else ():
                    values[self.take[block, option].name] = float(choice[block] == option)
                key = stage_class_option(self.instance, pool, option)
                if key in self.use:
                    name = self.use[key].name
                    values[name] = max(values.get(name, 0.0), float(len(found) > 0))
        return values


def linear(terms: Terms) -> pulp.LpAffineExpression:
    """The sum of the terms; PuLP itself would keep only the last factor of a variable that is named twice."""
    factors: dict[Variable, float] = {}
    for variable, value in terms:
        factors[variable] = factors.get(variable, 0.0) + value
    return pulp.LpAffineExpression(factors)


def stage_class_option(instance: Instance, pool: Pool, option: int) -> tuple[int, int, int]:
    """Key of the variable that says whether an option is in use."""
    first = pool.members[0]
    return int(instance.stage[first]), int(instance.block_class[first]), option
