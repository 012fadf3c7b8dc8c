"""Single formulas against published regressions and against figures that other programs print."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from dse.cost.converter import (
    capacitive_driver_pj,
    sar_column_ns,
    sar_column_pj,
    survey_adc_mm2,
    survey_adc_pj,
)
from dse.cost.technology import logic_area_factor, logic_energy_factor
from dse.validation.comparison import Claim, Comparison, Row
from dse.validation.files import read_json
from dse.workload.batch import distinct_active_experts

FILE = "formulas.json"


def distinct_uniform_experts(*, n_experts: int, top_k: int, tokens: float) -> float:
    """Expected distinct experts of a step under uniform routing."""
    return distinct_active_experts(np.full(n_experts, top_k / n_experts), tokens)


FORMULAS: Final[Mapping[str, Callable[..., Any]]] = {
    "capacitive_driver_pj": capacitive_driver_pj,
    "distinct_uniform_experts": distinct_uniform_experts,
    "logic_area_factor": logic_area_factor,
    "logic_energy_factor": logic_energy_factor,
    "sar_column_ns": sar_column_ns,
    "sar_column_pj": sar_column_pj,
    "survey_adc_mm2": survey_adc_mm2,
    "survey_adc_pj": survey_adc_pj,
}
"""Name in the data file → formula."""


def compare_regressions() -> Comparison:
    """Formulas taken from other programs against the published coefficients, worked out apart from dse."""
    return Comparison(
        name="Published regressions",
        what="Converters, drivers, scaling between nodes and the distinct experts of a batch against values worked out "
        "apart from dse, from the published coefficients.",
        truth="closed form",
        source="Accelergy, NeuroSim, zigzag-imc, Stillmaker & Baas: per row",
        rows=formula_rows("regressions"),
        claim=Claim(max_fraction=1e-6),
    )


def compare_printed() -> Comparison:
    """Formulas against figures printed by the programs they were taken from, with few digits."""
    return Comparison(
        name="Figures printed by other programs",
        what="The same formulas against figures that the programs print; errors count beyond half a unit of the last "
        "printed digit.",
        truth="other program",
        source="Accelergy's ADC plug-in and the scaling of hwcomponents, run",
        rows=formula_rows("printed"),
        claim=Claim(max_fraction=0.0),
    )


def compare_areas() -> Comparison:
    """Area of logic between nodes against a table with two digits."""
    return Comparison(
        name="Area of logic between nodes",
        what="The area factor of one step between nodes against the factors that another program prints.",
        truth="other program",
        source="scaling of hwcomponents, run",
        rows=formula_rows("areas"),
        notes=(
            "Nothing is claimed: the published table holds two digits relative to 45 nm, so a step over another node "
            "differs from the direct one by up to about 10 %, and interpolation adds to that.",
        ),
    )


def formula_rows(part: str) -> tuple[Row, ...]:
    """One row per figure of a part of the file."""
    return tuple(
        Row(
            case=case_text(entry["arguments"]),
            quantity=entry["formula"],
            stated=entry["stated"],
            found=float(FORMULAS[entry["formula"]](**entry["arguments"])),
            rounding=entry.get("rounding", 0.0),
            source=entry["source"],
        )
        for entry in read_json(FILE)[part]
    )


def case_text(arguments: Mapping[str, Any]) -> str:
    """The arguments of a formula in a few words."""
    return ", ".join(f"{name} {value:g}" for name, value in arguments.items() if not isinstance(value, bool))
