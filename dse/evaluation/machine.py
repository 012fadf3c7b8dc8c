"""The machine behind one evaluated design: links, programming, dies, packages, wafers, and remarks."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dse.cost.package import DieCount, die_counts, n_packages
from dse.cost.table import CostTable
from dse.cost.warnings import pair_warnings
from dse.evaluation.hand_off import DieSpread, die_spreads
from dse.evaluation.links import LinkUse, link_uses
from dse.evaluation.programming import GroupProgramming, group_programming
from dse.evaluation.warnings import boundary_warnings, power_density_warnings
from dse.mapping.model import Mapping
from dse.spec.architecture import Architecture
from dse.units import at_point
from dse.workload.build import Workload

if TYPE_CHECKING:
    from dse.evaluation.result import Evaluation


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Machine:
    """What one design takes besides energy, time and area."""

    links: tuple[LinkUse, ...]
    """Links in use, the busiest first."""
    spreads: tuple[DieSpread, ...]
    """Dies that the experts of a token spread over, by analog group."""
    programming: tuple[GroupProgramming, ...]
    """Programming of the analog groups that say how they are written."""
    dies: tuple[DieCount, ...]
    """Dies by kind."""
    packages: float
    """Packages of all dies."""
    warnings: tuple[str, ...]
    """Remarks on what is missing or cannot be built."""

    @property
    def worst_link(self) -> LinkUse | None:
        """The busiest link; None where nothing crosses any."""
        return self.links[0] if self.links else None

    @property
    def wafers(self) -> float:
        """Wafers of all dies."""
        return sum(at_point(die.wafers) for die in self.dies)

    def to_dict(self) -> dict[str, Any]:
        """Its part of the JSON document."""
        dies = [
            {f.name: at_point(getattr(die, f.name)) for f in dataclasses.fields(die) if f.name != "name"}
            | {"name": die.name, "wafers": at_point(die.wafers)}
            for die in self.dies
        ]
        worst = self.worst_link
        return {
            "worst_link": None if worst is None else dataclasses.asdict(worst),
            "links": [dataclasses.asdict(link) for link in self.links],
            "dies_per_token": [spread_document(spread) for spread in self.spreads],
            "programming": [dataclasses.asdict(group) for group in self.programming],
            "package": {"dies": dies, "packages": self.packages, "wafers": self.wafers},
            "warnings": list(self.warnings),
        }


def spread_document(spread: DieSpread) -> dict[str, Any]:
    """The spread over dies of one group as a JSON object."""
    return {
        "group": spread.group,
        "n_dies": at_point(spread.n_dies),
        "experts_per_token": spread.experts_per_token,
        "at_random": at_point(spread.at_random),
        "packed": spread.packed,
    }


def machine(
    arch: Architecture, workload: Workload, mapping: Mapping, evaluation: Evaluation, costs: CostTable
) -> Machine:
    """The machine behind an evaluated design (first design point)."""
    step_ns = at_point(evaluation.latency_ns)
    used = [(stage.multiplicity, entry) for stage in evaluation.stages for entry in stage.entries]
    spreads = die_spreads(arch, workload, mapping, costs, used)
    return Machine(
        links=link_uses(arch, workload, costs, evaluation.stages, mapping, spreads=spreads, step_ns=step_ns),
        spreads=spreads,
        programming=group_programming(arch, evaluation.units_needed),
        dies=die_counts(arch),
        packages=at_point(n_packages(arch)),
        warnings=(
            *pair_warnings(arch, workload),
            *boundary_warnings(arch, evaluation.energy_parts_pj),
            *power_density_warnings(arch, evaluation.energy_parts_pj, step_ns=step_ns),
        ),
    )
