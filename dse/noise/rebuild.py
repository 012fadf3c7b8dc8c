"""A second model around the same parameters, with chosen weight matrices replaced; the first stays as it is."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.models.olmoe.modeling_olmoe import OlmoeForCausalLM, OlmoeTopKRouter

from dse.errors import SpecError
from dse.noise.experts import IMPLEMENTATION, ExpertMatrices

ATTENTION = ("q", "k", "v", "o")


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """One stored weight of a model: one matrix of a block, or several stacked along the output."""

    block: str
    matrices: tuple[str, ...]
    weight: Tensor
    """[outputs, inputs]; the matrices take equal shares of the outputs."""
    bias: Tensor | None = None

    @property
    def key(self) -> tuple[str, tuple[str, ...]]:
        """Name of the site within its model."""
        return self.block, self.matrices

    def parts(self) -> Iterator[tuple[str, Tensor]]:
        """The matrices and their weights."""
        yield from zip(self.matrices, self.weight.chunk(len(self.matrices)), strict=True)


Untyped = Any
"""A module of ``transformers``: the library declares no types for its attributes."""

Replace = Callable[[Site], nn.Module | None]
"""Gives the module that stands in for a weight matrix, or None to keep the stored one."""


class ReplacedRouter(OlmoeTopKRouter):
    """The library's router with another module in place of its product."""

    def __init__(self, router: Untyped, linear: nn.Module) -> None:
        nn.Module.__init__(self)
        self.linear = linear
        self.top_k, self.norm_topk_prob, self.hidden_dim = router.top_k, router.norm_topk_prob, router.hidden_dim

    def forward(self, hidden_states: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits (T, E), weights (T, K) and indices (T, K) of the chosen experts."""
        logits = self.linear(hidden_states.reshape(-1, self.hidden_dim))  # (T, E)
        weights, indices = F.softmax(logits, dtype=torch.float, dim=-1).topk(self.top_k, dim=-1)  # (T, K)
        if self.norm_topk_prob:
            weights = weights / weights.sum(dim=-1, keepdim=True)
        return logits, weights.to(logits.dtype), indices


def require_supported(model: Untyped) -> None:
    """Refuses models whose structure is not known.

    Raises:
        SpecError: the class is not one of those supported, or the weights are not float32.
    """
    if type(model) is not OlmoeForCausalLM:
        raise SpecError(f"model of class {type(model).__name__}: only OlmoeForCausalLM is supported by this version")
    if model.dtype != torch.float32:
        raise SpecError(f"model of {model.dtype}: noise is simulated in float32; convert it with model.float()")


def sites(model: Untyped) -> Iterator[Site]:
    """Every weight matrix that can be placed on a core, in the order of execution."""
    require_supported(model)
    if any(isinstance(module, ReplacedRouter | ExpertMatrices) for module in model.modules()):
        raise SpecError("the model is a noisy copy already; give the digital model it was made from")
    for number, layer in enumerate(model.model.layers):
        for name in ATTENTION:
            linear = getattr(layer.self_attn, f"{name}_proj")
            yield Site(f"layers.{number}.attention", (name,), linear.weight, linear.bias)
        yield Site(f"layers.{number}.router", ("router",), layer.mlp.gate.weight)
        experts = layer.mlp.experts
        pairs = zip(experts.gate_up_proj.unbind(0), experts.down_proj.unbind(0), strict=True)
        for expert, (gate_up, down) in enumerate(pairs):
            yield Site(f"layers.{number}.experts.{expert}", ("gate", "up"), gate_up)
            yield Site(f"layers.{number}.experts.{expert}", ("down",), down)
    yield Site("head", ("head",), model.lm_head.weight, model.lm_head.bias)


def rebuilt(model: Untyped, replace: Replace) -> Untyped:
    """A copy of the model that shares every parameter, with the matrices that ``replace`` names replaced.

    The routed experts run in the sorted loop of ``experts.py``, equal bit for bit to the library's eager one.

    Raises:
        SpecError: the model's class is not supported.
    """
    with torch.no_grad():
        modules = {site.key: module for site in sites(model) if (module := replace(site)) is not None}
    clone = shared_copy(model)
    for number, layer in enumerate(clone.model.layers):
        for name in ATTENTION:
            if module := modules.get((f"layers.{number}.attention", (name,))):
                setattr(layer.self_attn, f"{name}_proj", module)
        if module := modules.get((f"layers.{number}.router", ("router",))):
            layer.mlp.gate = ReplacedRouter(layer.mlp.gate, module)
        replace_experts(layer.mlp.experts, number, modules)
    if module := modules.get(("head", ("head",))):
        clone.lm_head = module
    return clone


def replace_experts(experts: Untyped, layer: int, modules: dict[tuple[str, tuple[str, ...]], nn.Module]) -> None:
    """Switches one layer's experts (of a shared copy) to the sorted loop and hands it the replaced matrices."""
    experts.config = copy.copy(experts.config)
    experts.config._experts_implementation = IMPLEMENTATION
    experts.replaced = nn.ModuleDict()
    for expert in range(experts.num_experts):
        block = f"layers.{layer}.experts.{expert}"
        gate_up, down = modules.get((block, ("gate", "up"))), modules.get((block, ("down",)))
        if gate_up is not None and down is not None:
            experts.replaced[str(expert)] = ExpertMatrices(gate_up, down)


def shared_copy(module: nn.Module) -> Untyped:
    """The same tree of modules around the same parameters and buffers; changes to the copy's tree stay there."""
    clone = module.__new__(type(module))
    clone.__dict__ = {
        name: value.copy() if isinstance(value, dict) else value for name, value in module.__dict__.items()
    }
    clone._modules = {name: child and shared_copy(child) for name, child in module._modules.items()}
    return clone
