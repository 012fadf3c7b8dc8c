"""Accuracy under device noise; importing this package needs neither torch nor transformers."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from dse.errors import MissingExtraError
from dse.noise.result import AccuracyInterrupted, AccuracyReport

if TYPE_CHECKING:
    from dse.noise.calibrate import measure_ranges
    from dse.noise.check import check_accuracy, require_measurable, study_digest
    from dse.noise.convert import noisy_model
    from dse.noise.drawn import freeze
    from dse.noise.layer import analog_linear
    from dse.noise.linear import AnalogLinear
    from dse.noise.plan import Plan
    from dse.noise.simulate import simulate_linear
    from dse.noise.task_plan import TaskPlan
    from dse.noise.tasks import TaskSuite, evaluate_tasks, load_tokenizer
    from dse.noise.tiles import TiledLinear
    from dse.noise.weight import noisy_slices, noisy_weight

_HOMES = {
    "AnalogLinear": "linear",
    "Plan": "plan",
    "TaskPlan": "task_plan",
    "TaskSuite": "tasks",
    "TiledLinear": "tiles",
    "analog_linear": "layer",
    "check_accuracy": "check",
    "evaluate_tasks": "tasks",
    "freeze": "drawn",
    "load_tokenizer": "tasks",
    "measure_ranges": "calibrate",
    "noisy_model": "convert",
    "noisy_slices": "weight",
    "noisy_weight": "weight",
    "require_measurable": "check",
    "simulate_linear": "simulate",
    "study_digest": "check",
}
_EXTRAS = {"torch": "noise", "transformers": "hf", "lm_eval": "tasks"}

__all__ = [
    "AccuracyInterrupted",
    "AccuracyReport",
    "AnalogLinear",
    "Plan",
    "TaskPlan",
    "TaskSuite",
    "TiledLinear",
    "analog_linear",
    "check_accuracy",
    "evaluate_tasks",
    "freeze",
    "load_tokenizer",
    "measure_ranges",
    "noisy_model",
    "noisy_slices",
    "noisy_weight",
    "require_measurable",
    "simulate_linear",
    "study_digest",
]


def __getattr__(name: str) -> object:
    """Loads a public name when it is first used.

    Raises:
        MissingExtraError: torch, transformers or lm_eval is not installed; names the command that installs it.
    """
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        if extra == "tasks":
            raise MissingExtraError("real tasks", extra) from None
        needs_models = _HOMES[name] in {"calibrate", "check", "convert", "plan", "tasks", "task_plan"}
        raise MissingExtraError("dse accuracy" if needs_models else name, "hf" if needs_models else extra) from None


def __dir__() -> list[str]:
    return __all__
