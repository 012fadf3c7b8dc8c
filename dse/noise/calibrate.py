"""Static converter ranges from training text, run through the digital model."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

import torch
from torch import Tensor, nn

from dse.noise.convert import RangeKey, Ranges
from dse.noise.ranges import MatrixRange, RangePlan, RangeRecorder
from dse.noise.rebuild import Site, Untyped, rebuilt

MIN_VISITS = 64
"""Experts that fewer tokens visit are calibrated on all tokens of their layer instead."""

Activation = Callable[[Tensor], Tensor]
Recorders = dict[tuple[str, tuple[str, ...]], RangeRecorder]


def measure_ranges(model: nn.Module, tokens: Tensor, *, plans: Collection[RangePlan]) -> Ranges:
    """Ranges of the inputs and outputs of every slice of every matrix, in the digital model.

    One DAC range per input slice, one ADC range per input slice and output column (one converter per column,
    with its own digital scale). An expert that fewer than 64 tokens visit takes its ranges from all tokens.

    Args:
        model: a ``transformers`` OlmoeForCausalLM.
        tokens: windows of training text [windows, context].
        plans: crossbar rows and rules of the ranges that are wanted (``plan_of`` a core).
    """
    table: dict[RangeKey, MatrixRange] = {}
    for plan in sorted(set(plans)):
        recorders: Recorders = {}

        def record(site: Site, plan: RangePlan = plan, recorders: Recorders = recorders) -> nn.Module:
            recorders[site.key] = RangeRecorder(site.weight, site.bias, plan=plan)
            return recorders[site.key]

        recording = rebuilt(model, record)
        run(recording, tokens)
        rare = {block for (block, _), seen in recorders.items() if ".experts." in block and seen.tokens < MIN_VISITS}
        if rare:
            run(watched(model, recording, rare), tokens)
        table |= {(*key, plan): recorder.range for key, recorder in recorders.items()}
    return table


def run(model: Untyped, tokens: Tensor, *, batch: int = 8) -> None:
    """Passes windows through the model and forgets the result."""
    with torch.inference_mode():
        for part in torch.split(tokens, batch):
            model(input_ids=part, use_cache=False)


def watched(model: nn.Module, recording: Untyped, blocks: Iterable[str]) -> Untyped:
    """A copy of the digital model that shows every token of a layer to the recorders of the named experts."""
    clone = rebuilt(model, lambda site: None)
    for block in blocks:
        _, layer, _, expert = block.split(".")
        recorders = recording.model.layers[int(layer)].mlp.experts.replaced[expert]
        experts: Untyped = clone.model.layers[int(layer)].mlp.experts
        experts.register_forward_pre_hook(shown_to(recorders, experts.act_fn))
    return clone


def shown_to(recorders: Untyped, act_fn: Activation) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    """A hook that runs the inputs of a layer's experts through one expert's recorders."""

    def show(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        gate, up = recorders.gate_up(inputs[0]).chunk(2, dim=-1)
        recorders.down(act_fn(gate) * up)

    return show
