"""Design-space exploration of analog-digital accelerators for Mixture-of-Experts language models."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dse.cost.datasheet import core_datasheet
    from dse.cost.table import CostTable, cost_table
    from dse.errors import DseError, InfeasibleError, MissingExtraError, SpecError
    from dse.evaluation.result import Evaluation
    from dse.evaluation.run import evaluate
    from dse.exploration.compare import compare
    from dse.exploration.design import Design, design
    from dse.exploration.pareto import pareto_mask
    from dse.exploration.run import explore
    from dse.exploration.space import AccuracyPlan, Space
    from dse.exploration.study import Study
    from dse.mapping.baseline import rule_mapping
    from dse.mapping.model import Mapping, load_mapping
    from dse.mapping.solve import solve_mapping
    from dse.noise.check import check_accuracy
    from dse.noise.result import AccuracyReport
    from dse.report.html import write_report
    from dse.sensitivity.options import option_scores
    from dse.sensitivity.score import score_blocks
    from dse.spec.architecture import Architecture
    from dse.spec.device import Device
    from dse.spec.load import load_architecture, load_device
    from dse.workload.build import Workload, load_workload

_HOMES = {
    "AccuracyPlan": "exploration.space",
    "AccuracyReport": "noise.result",
    "Architecture": "spec.architecture",
    "CostTable": "cost.table",
    "Design": "exploration.design",
    "Device": "spec.device",
    "DseError": "errors",
    "Evaluation": "evaluation.result",
    "InfeasibleError": "errors",
    "Mapping": "mapping.model",
    "MissingExtraError": "errors",
    "Space": "exploration.space",
    "SpecError": "errors",
    "Study": "exploration.study",
    "Workload": "workload.build",
    "check_accuracy": "noise",
    "compare": "exploration.compare",
    "core_datasheet": "cost.datasheet",
    "cost_table": "cost.table",
    "design": "exploration.design",
    "evaluate": "evaluation.run",
    "explain": "evaluation.explain",
    "explore": "exploration.run",
    "load_architecture": "spec.load",
    "load_device": "spec.load",
    "load_mapping": "mapping.model",
    "load_workload": "workload.build",
    "option_scores": "sensitivity.options",
    "pareto_mask": "exploration.pareto",
    "rule_mapping": "mapping.baseline",
    "score_blocks": "sensitivity.score",
    "solve_mapping": "mapping.solve",
    "uncertainty": "evaluation.uncertainty",
    "write_report": "report.html",
}

__all__ = [
    "AccuracyPlan",
    "AccuracyReport",
    "Architecture",
    "CostTable",
    "Design",
    "Device",
    "DseError",
    "Evaluation",
    "InfeasibleError",
    "Mapping",
    "MissingExtraError",
    "Space",
    "SpecError",
    "Study",
    "Workload",
    "check_accuracy",
    "compare",
    "core_datasheet",
    "cost_table",
    "design",
    "evaluate",
    "explain",
    "explore",
    "load_architecture",
    "load_device",
    "load_mapping",
    "load_workload",
    "option_scores",
    "pareto_mask",
    "rule_mapping",
    "score_blocks",
    "solve_mapping",
    "uncertainty",
    "write_report",
]


def __getattr__(name: str) -> object:
    """Loads a public name, or the package ``noise``, when it is first used."""
    if name == "noise":
        return importlib.import_module("dse.noise")
    if name not in _HOMES:
        raise AttributeError(f"module 'dse' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"dse.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
