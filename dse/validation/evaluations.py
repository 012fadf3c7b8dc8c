"""Whole evaluations against runs of another program and against published tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from dse.cost.tile import LUMPED
from dse.evaluation.points import evaluate_points
from dse.evaluation.result import Evaluation
from dse.mapping.baseline import rule_mapping
from dse.sensitivity.score import score_blocks
from dse.spec.load import load_architecture
from dse.units import PJ_PER_J
from dse.validation.comparison import Claim, Comparison, Row
from dse.validation.files import read_json, validation_file
from dse.workload.build import load_workload

FILE = "evaluations.json"
SIMULATOR_ADDITION_PJ: Final = 10_000.0
"""Energy of one vector addition in IBM's 3D-CiM simulator (0bef55f), whatever its length: 0.1 W for 100 ns [pJ]."""


def products(steps: Sequence[Evaluation]) -> float:
    """Crossbar products of a run."""
    return sum(float(step.counts.products) for step in steps)


def additions(steps: Sequence[Evaluation]) -> float:
    """Digital additions of a run."""
    return sum(float(step.counts.additions) for step in steps)


def active_energy_pj(steps: Sequence[Evaluation]) -> float:
    """Energy of the crossbar products, and of the additions at the price of the simulator [pJ]."""
    return products_pj(steps) + SIMULATOR_ADDITION_PJ * additions(steps)


def products_pj(steps: Sequence[Evaluation]) -> float:
    """Energy of the crossbar products of a run [pJ]."""
    return sum(float(v[0]) for s in steps for part, v in s.energy_parts_pj.items() if part.component == LUMPED)


def tokens_per_j_analog(steps: Sequence[Evaluation]) -> float:
    """Tokens of a run over the energy of its crossbar products."""
    return PJ_PER_J * sum(float(s.tokens_per_step[0]) for s in steps) / products_pj(steps)


QUANTITIES: Final[Mapping[str, Callable[[Sequence[Evaluation]], float]]] = {
    "products": products,
    "additions": additions,
    "active_energy_pj": active_energy_pj,
    "tokens_per_j_analog": tokens_per_j_analog,
}
"""Name in the data file → figure of a run of some steps."""


def compare_evaluations(group: str) -> Comparison:
    """The figures of a group of the data file."""
    said = read_json(FILE)["groups"][group]
    rows = [
        Row(case=figure["case"], quantity=name, stated=stated, found=QUANTITIES[name](steps))
        for figure in said["figures"]
        for steps in (run_of(figure),)
        for name, stated in figure["stated"].items()
    ]
    return Comparison(
        name=said["name"],
        what=said["what"],
        truth=said["truth"],
        source=said["source"],
        rows=tuple(rows),
        claim=Claim(**said["claim"]),
        notes=tuple(said.get("notes", ())),
    )


def run_of(figure: Mapping[str, Any]) -> list[Evaluation]:
    """The evaluations of the steps of a run, every routed expert on crossbars."""
    arch = load_architecture(figure["architecture"], figure.get("set", {}))
    name = figure["workload"]
    workloads = [
        load_workload(validation_file(name) if name.endswith(".yaml") else name, step) for step in figure["steps"]
    ]
    return [
        evaluate_points(
            arch,
            workload,
            rule_mapping(arch, workload, score_blocks(workload), rule="all_analog", pins=figure.get("pins", {})),
        )
        for workload in workloads
    ]
