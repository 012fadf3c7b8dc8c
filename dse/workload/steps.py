"""The steps that a workload is made of: what is evaluated one at a time, with how often each occurs."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from dse.spec.scenario import Scenario
from dse.units import Quantity
from dse.workload.build import Workload


class Span(NamedTuple):
    """Consecutive contexts over which what attention costs grows evenly: the first, and how many."""

    first: Quantity
    length: Quantity

    @property
    def mean(self) -> Quantity:
        """Mean context [tokens]."""
        return self.first + (self.length - 1) / 2


class Step(NamedTuple):
    """Decode or prefill steps of one kind."""

    name: str
    weight: Quantity
    """Steps of this kind per step of the run."""
    workload: Workload
    """One step; of a growing context the last one, which needs the most memory."""
    spans: tuple[Span, ...] = ()
    """Contexts of a growing context, in order; their counts add up to the weight within one request."""


def scenarios_of(workload: Workload) -> tuple[Step, ...]:
    """The scenarios of a workload with their shares of all steps: one, or those of its mix."""
    if not workload.mix:
        return (Step(workload.scenario.phase, 1.0, workload),)
    whole = sum(entry.weight for entry in workload.mix)
    return tuple(
        Step(entry.name, entry.weight / whole, dataclasses.replace(workload, scenario=entry, mix=()))
        for entry in workload.mix
    )


def phases_of(workload: Workload) -> tuple[Step, ...]:
    """The steps of one scenario: itself, or of a request its prefill and all its decode steps."""
    scenario = workload.scenario
    if scenario.phase != "generate":
        return (Step(scenario.phase, 1.0, workload),)
    prefill = dataclasses.replace(scenario, phase="prefill")
    last = at_context(workload, scenario.prompt_tokens + scenario.new_tokens - 1)
    return (
        Step("prefill", 1.0, dataclasses.replace(workload, scenario=prefill)),
        Step("decode", scenario.new_tokens, last, spans_of(workload, scenario)),
    )


def all_steps(workload: Workload) -> tuple[Step, ...]:
    """Every kind of step of a workload with how often it occurs per step of the run."""
    return tuple(
        phase._replace(name=f"{part.name} {phase.name}", weight=part.weight * phase.weight)
        for part in scenarios_of(workload)
        for phase in phases_of(part.workload)
    )


def at_context(workload: Workload, context_tokens: Quantity) -> Workload:
    """The decode step of a workload at a context."""
    scenario = dataclasses.replace(workload.scenario, phase="decode", context_tokens=context_tokens)
    return dataclasses.replace(workload, scenario=scenario)


def spans_of(workload: Workload, scenario: Scenario) -> tuple[Span, ...]:
    """Contexts of a request's decode steps, from the prompt on; in two where a window fills up on the way."""
    first, count = scenario.prompt_tokens, scenario.new_tokens
    if not workload.model.n_windowed_layers:
        return (Span(first, count),)
    before = np.clip(workload.model.window_tokens - np.asarray(first, np.float64), 0.0, count)
    return (Span(first, before), Span(first + before, count - before))


def scenario_facts(workload: Workload) -> dict[str, object]:
    """Phase, batch and lengths of the scenario under the keys of its file, or the scenarios of a mix."""
    if workload.mix:
        return {
            "phase": "mix",
            "scenarios": [
                {"name": entry.name, "weight": entry.weight, **scenario_facts(part.workload)}
                for entry, part in zip(workload.mix, scenarios_of(workload), strict=True)
            ],
        }
    scenario = workload.scenario
    used = {"decode": ("context_tokens",), "prefill": ("prompt_tokens",), "generate": ("prompt_tokens", "new_tokens")}
    lengths = {key: getattr(scenario, key) for key in used[scenario.phase]}
    return {"phase": scenario.phase, "batch": scenario.batch, **lengths}
