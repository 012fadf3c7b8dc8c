"""Networks, dies, wafers and programming against values that were counted or worked out apart from dse."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from dse.cost.link import distinct_dies
from dse.cost.network import mesh_paths, tree_paths
from dse.cost.package import die_yield_fraction, dies_per_wafer
from dse.cost.programming import crossbar_ns
from dse.spec.die import Packaging
from dse.validation.comparison import Claim, Comparison, Row
from dse.validation.files import read_json
from dse.validation.formulas import case_text

FILE: Final = "machine.json"


def poisson_yield_fraction(*, die_area_mm2: float, defects_per_cm2: float) -> Any:
    """Yield of a die by Poisson's model."""
    packaging = Packaging(defects_per_cm2=defects_per_cm2, yield_model="poisson")
    return die_yield_fraction(die_area_mm2=die_area_mm2, packaging=packaging)


def murphy_yield_fraction(*, die_area_mm2: float, defects_per_cm2: float) -> Any:
    """Yield of a die by Murphy's model."""
    return die_yield_fraction(die_area_mm2=die_area_mm2, packaging=Packaging(defects_per_cm2=defects_per_cm2))


FORMULAS: Final[Mapping[str, Callable[..., Any]]] = {
    "mesh_mean_hops": lambda **given: mesh_paths(**given).mean_hops,
    "mesh_worst_hops": lambda **given: mesh_paths(**given).worst_hops,
    "mesh_worst_load_fraction": lambda **given: mesh_paths(**given).worst_load_fraction,
    "tree_hops": lambda **given: tree_paths(**given).mean_hops,
    "tree_worst_load_fraction": lambda **given: tree_paths(**given).worst_load_fraction,
    "distinct_dies": distinct_dies,
    "dies_per_wafer": dies_per_wafer,
    "poisson_yield_fraction": poisson_yield_fraction,
    "murphy_yield_fraction": murphy_yield_fraction,
    "crossbar_ns": crossbar_ns,
}
"""Name in the data file → formula."""


def compare_machine() -> Comparison:
    """Networks, dies, wafers and programming against counting and plain arithmetic."""
    return Comparison(
        name="Networks, dies and programming",
        what="Hops and busiest link of meshes and trees, dies that a token's experts spread over, dies of a wafer, "
        "yield and time of programming against routes walked and placements enumerated one by one, else plain "
        "arithmetic.",
        truth="closed form",
        source="worked out apart from dse: per row",
        rows=tuple(
            Row(
                case=case_text(entry["arguments"]),
                quantity=entry["formula"],
                stated=entry["stated"],
                found=float(FORMULAS[entry["formula"]](**entry["arguments"])),
                source=entry["source"],
            )
            for entry in read_json(FILE)["rows"]
        ),
        claim=Claim(max_fraction=1e-6),
    )
