"""What the MoE layers of a model do on a piece of text: chosen experts and outputs, watched through hooks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

# T tokens, K top_k, D d_model, E experts


@dataclass(slots=True, eq=False)
class LayerTrace:
    """One MoE layer on one piece of text."""

    n_experts: int
    chosen: Tensor
    """Experts of every token, sorted, (T, K)."""
    output: Tensor = field(default_factory=lambda: torch.empty(0))
    """Output of the layer (T, D)."""

    @property
    def load(self) -> Tensor:
        """Share of tokens that choose each expert (E,)."""
        counts = torch.bincount(self.chosen.flatten(), minlength=self.n_experts)
        return counts.double() / len(self.chosen)


Trace = dict[int, LayerTrace]
"""Number of the layer → what it did."""


@contextmanager
def watched_layers(model: nn.Module, trace: Trace) -> Iterator[None]:
    """Fills a trace while the model runs.

    Watched is every module of routed experts with the experts interface of ``transformers`` (called with inputs,
    chosen experts and weights) and the MoE layer that holds it, shared experts included.
    """
    hooks = []
    for name, module in model.named_modules():
        if not name.endswith(".experts") or not hasattr(module, "num_experts"):
            continue
        layer = next(int(part) for part in name.split(".") if part.isdigit())
        whole = model.get_submodule(name.rpartition(".")[0])
        hooks.append(module.register_forward_pre_hook(notes_choice(trace, layer), with_kwargs=True))
        hooks.append(whole.register_forward_hook(notes_output(trace, layer)))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def notes_choice(trace: Trace, layer: int) -> Any:
    """A hook that writes down which experts the tokens are sent to."""

    def note(module: Any, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        chosen: Tensor = [*inputs, *named.values()][1]
        trace[layer] = LayerTrace(int(module.num_experts), chosen.sort(dim=-1).values)

    return note


def notes_output(trace: Trace, layer: int) -> Any:
    """A hook that writes down the output of a layer."""

    def note(module: nn.Module, inputs: object, output: Tensor | tuple[Tensor, ...]) -> None:
        y = output if isinstance(output, Tensor) else output[0]
        trace[layer].output = y.reshape(-1, y.shape[-1])

    return note


def layer_record(layer: int, digital: LayerTrace, chip: LayerTrace) -> dict[str, Any]:
    """How a layer of a chip differs from the digital model on the same text, errors of earlier layers included.

    ``routing_changed_fraction``: share of tokens whose set of experts is another one; ``snr_db``:
    ``10 log₁₀(Σ y² / Σ (y' − y)²)`` of the layer's output; ``load``: share of tokens that choose each expert.
    """
    changed = (digital.chosen != chip.chosen).any(dim=-1).double().mean()
    signal = digital.output.double().square().sum().item()
    error = (chip.output - digital.output).double().square().sum().item()
    return {
        "layer": layer,
        "routing_changed_fraction": changed.item(),
        "snr_db": 10 * math.log10(signal / error) if error > 0 and signal > 0 else math.inf,
        "load": chip.load.tolist(),
    }
