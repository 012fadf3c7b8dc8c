"""Scores that say how much each expert suffers from analog noise, by a rule or from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pandas as pd

from dse.errors import Problem, SpecError
from dse.sensitivity import max_neuron_norm, random, router_norm
from dse.sensitivity.scores_file import read_scores
from dse.sensitivity.table import score_table
from dse.spec.suggest import did_you_mean
from dse.workload.build import Workload

RULES: Final[dict[str, tuple[str, ...]]] = {
    "max_neuron_norm": ("neuron_axis",), "router_norm": (), "random": ("seed", "sigma"),
}  # fmt: skip
"""Rule → its options."""


def score_blocks(workload: Workload, rule: str | None = None, **options: str | float) -> pd.DataFrame:
    """Scores of the experts, one row each: block, layer, kind, expert, score; in block order.

    ``attrs``: rule, unit, additive (whether the rule's scores are meant to be summed), options, status
    (``from_weights``, ``from_file``, or ``score_only`` where no weights stand behind them).

    Args:
        workload: names the rule or the scores file that is used when ``rule`` is None.
        rule: ``max_neuron_norm``, ``router_norm`` or ``random``.
        options: of the rule: ``neuron_axis`` (``output`` or ``intermediate``); ``seed``, ``sigma``.

    Raises:
        SpecError: unknown rule or option, a rule that needs weights and no checkpoint, a faulty scores file.
    """
    if rule is None and workload.scores_file is not None:
        if options:
            raise SpecError(f"options {', '.join(options)} belong to a rule; scores come from {workload.scores_file}")
        return read_scores(workload.scores_file, workload)
    name = rule or workload.sensitivity.rule or "random"
    check_rule(name, options)
    experts = tuple(block for block in workload.blocks if block.kind == "expert")
    if name == "random":
        seed = whole(options.get("seed", workload.sensitivity.seed), "seed")
        sigma = float(options.get("sigma", random.SIGMA))
        return score_table(
            experts,
            random.expert_scores(experts, seed=seed, sigma=sigma),
            rule=name,
            unit=random.UNIT,
            additive=random.ADDITIVE,
            status="score_only",
            options={"seed": seed, "sigma": sigma},
        )
    if name == "router_norm":
        return score_table(
            experts,
            router_norm.expert_scores(checkpoint_of(workload, name), workload.model),
            rule=name,
            unit=router_norm.UNIT,
            additive=router_norm.ADDITIVE,
            status="from_weights",
            options={},
        )
    axis = str(options.get("neuron_axis", "output"))
    return score_table(
        experts,
        max_neuron_norm.expert_scores(checkpoint_of(workload, name), workload.model, neuron_axis=axis),
        rule=name,
        unit=max_neuron_norm.UNIT,
        additive=max_neuron_norm.ADDITIVE,
        status="from_weights",
        options={"neuron_axis": axis},
    )


def check_rule(rule: str, options: dict[str, str | float]) -> None:
    """Refuses unknown rules and options."""
    if rule not in RULES:
        available = ", ".join(RULES)
        hint = did_you_mean(rule, RULES).split(";")[0]
        raise SpecError(
            [
                Problem(
                    f"unknown rule {rule!r}{hint} (available: {available}; or a scores file)",
                    "sensitivity.rule",
                )
            ]
        )
    unknown = [name for name in options if name not in RULES[rule]]
    if unknown:
        raise SpecError(
            [Problem(f"{rule} has no option {n!r}{did_you_mean(n, RULES[rule])}", "sensitivity") for n in unknown]
        )


def whole(value: str | float, name: str) -> int:
    """A whole number ≥ 0 given as an option."""
    try:
        number = int(value)
    except ValueError:
        number = -1
    if number < 0 or number != float(value):
        raise SpecError([Problem(f"expected a whole number >= 0 (got {value!r})", f"sensitivity.{name}")])
    return number


def checkpoint_of(workload: Workload, rule: str) -> Path:
    """The checkpoint that a rule reads weights from."""
    if workload.checkpoint is None:
        message = (
            f"rule {rule} reads weights and workload {workload.name} names none: give `checkpoint: FOLDER`, "
            "or `sensitivity: {file: scores.csv}`, or `sensitivity: {rule: random}`"
        )
        raise SpecError([Problem(message, "checkpoint")])
    return workload.checkpoint
