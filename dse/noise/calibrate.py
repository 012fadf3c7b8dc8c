"""Static converter ranges from training text, run through the digital model."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import partial

import torch
from torch import Tensor, nn

from dse.noise.convert import RangeKey, Ranges
from dse.noise.experts import expert_output
from dse.noise.metrics import device_of
from dse.noise.ranges import MatrixRange, RangePlan, RangeRecorder
from dse.noise.rebuild import rebuilt
from dse.noise.sites import Site, SiteKey, Untyped

MIN_VISITS = 64
"""Experts that fewer tokens visit are calibrated on all tokens of their layer instead."""

Activation = Callable[[Tensor], Tensor]
Recorders = dict[SiteKey, RangeRecorder]
Places = dict[str, Site]


def measure_ranges(model: nn.Module, tokens: Tensor, *, plans: Collection[RangePlan]) -> Ranges:
    """Ranges of the inputs and outputs of every slice of every matrix, in the digital model.

    One DAC range per input slice, one ADC range per input slice and output column (one converter per column,
    with its own digital scale). An expert that fewer than 64 tokens visit takes its ranges from all tokens.

    Args:
        model: a causal language model of ``transformers``.
        tokens: windows of training text [windows, context].
        plans: crossbar rows and rules of the ranges that are wanted (``plan_of`` a core).
    """
    table: dict[RangeKey, MatrixRange] = {}
    for plan in sorted(set(plans)):
        recorders: Recorders = {}
        places: Places = {}

        def record(
            site: Site, plan: RangePlan = plan, recorders: Recorders = recorders, places: Places = places
        ) -> nn.Module:
            places[site.block] = site
            recorders[site.key] = RangeRecorder(site.weight, site.bias, plan=plan)
            return recorders[site.key]

        recording = rebuilt(model, record)
        run(recording, tokens)
        rare = {block for (block, _), seen in recorders.items() if ".experts." in block and seen.tokens < MIN_VISITS}
        if rare:
            run(watched(model, recording, [places[block] for block in rare]), tokens)
        for key, recorder in recorders.items():
            table[(*key, plan)] = MatrixRange(*(values.float() for values in recorder.range))
    return table


def run(model: Untyped, tokens: Tensor, *, batch: int = 8) -> None:
    """Passes windows through the model and forgets the result."""
    with torch.inference_mode():
        for part in torch.split(tokens, batch):
            model(input_ids=part.to(device_of(model)), use_cache=False)


def watched(model: nn.Module, recording: Untyped, rare: Iterable[Site]) -> Untyped:
    """A copy of the digital model that shows every token of a layer to the recorders of some experts.

    Args:
        model: the digital model.
        recording: its copy with the recorders.
        rare: one site of each expert.
    """
    clone = rebuilt(model, lambda site: None)
    for site in rare:
        if site.kind == "linear":  # an expert that is a module of its own
            expert = site.module.rpartition(".")[0]
            layer = expert.rpartition(".experts.")[0]
            clone.get_submodule(layer).register_forward_pre_hook(shown_to(recording.get_submodule(expert)))
        else:
            own = partial(expert_output, recording.get_submodule(site.module), site.expert)
            clone.get_submodule(site.module).register_forward_pre_hook(shown_to(own))
    return clone


def shown_to(expert: Activation) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    """A hook that runs the inputs of a layer's experts through the recorders of one expert."""

    def show(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        expert(inputs[0])

    return show
