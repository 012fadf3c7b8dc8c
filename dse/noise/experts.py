"""Routed experts for the experts interface of ``transformers``: eager's arithmetic, sorted by expert.

Every operation has the operands of the library's eager loop in the same order, so results are equal bit for
bit, while each layer sorts its tokens once instead of searching them for every expert.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.integrations.moe import ALL_EXPERTS_FUNCTIONS

from dse.errors import SpecError
from dse.noise.sites import Untyped

# T tokens, K top_k, E experts, D d_model, W d_expert

IMPLEMENTATION = "dse_sorted"
PROBES = 3
"""Tokens that two implementations are compared on."""


class ExpertMatrices(nn.Module):
    """What stands in for the two stored tensors of one expert, biases included."""

    def __init__(self, gate_up: nn.Module, down: nn.Module) -> None:
        super().__init__()
        self.gate_up, self.down = gate_up, down


def sorted_experts(experts: Untyped, hidden: Tensor, top_k_index: Tensor, top_k_weights: Tensor) -> Tensor:
    """Output of the routed experts of one layer.

    Experts named in ``experts.replaced`` (index as text) use those matrices, all others the stored tensors.

    Args:
        experts: a module of the library's experts interface.
        hidden: inputs (T, D).
        top_k_index: chosen experts (T, K).
        top_k_weights: their weights (T, K).
    """
    n_tokens, top_k = top_k_index.shape
    expert, visit = top_k_index.T.reshape(-1).sort(stable=True)  # (K·T,) by expert, then rank, then token
    token = visit % n_tokens
    factor = top_k_weights.T.reshape(-1)[visit, None]  # (K·T, 1)
    counts = torch.bincount(expert, minlength=experts.num_experts).tolist()
    outputs = [
        (expert_output(experts, e, hidden.index_select(0, tokens)) * weights).to(hidden.dtype)
        for e, (tokens, weights) in enumerate(zip(torch.split(token, counts), torch.split(factor, counts), strict=True))
        if len(tokens)
    ]
    y = torch.cat(outputs)  # (K·T, D)
    place = torch.empty_like(visit)
    place[visit] = torch.arange(len(visit), device=visit.device)
    places = place.view(top_k, n_tokens).sort(dim=0).values  # (K, T): a token's visits in the order of experts
    total = y.index_select(0, places[0])
    for row in places[1:]:
        total += y.index_select(0, row)
    return total


def expert_output(experts: Untyped, e: int, x: Tensor) -> Tensor:
    """Unweighted output of expert e for its tokens (…, D) → (…, D)."""
    name = str(e)
    if name in experts.replaced:
        own = experts.replaced[name]
        replaced: Tensor = own.down(experts._apply_gate(own.gate_up(x)))
        return replaced
    return stored_product(experts, "down_proj", e, experts._apply_gate(stored_product(experts, "gate_up_proj", e, x)))


def stored_product(experts: Untyped, name: str, e: int, x: Tensor) -> Tensor:
    """The product with one expert's part of a stored tensor, by the operations of the library's loop."""
    weight: Tensor = getattr(experts, name)[e]
    y = x @ weight if experts.is_transposed else F.linear(x, weight)
    return y + getattr(experts, f"{name}_bias")[e] if experts.has_bias else y


def in_sorted_loop(experts: Untyped, replaced: dict[int, ExpertMatrices], *, implementation: str) -> None:
    """Switches the experts of one layer, in a copy of the model, to an implementation, with these matrices."""
    experts.config = copy.copy(experts.config)
    experts.config._experts_implementation = implementation
    experts.replaced = nn.ModuleDict({str(number): matrices for number, matrices in replaced.items()})


def require_eager_arithmetic(experts: Untyped, sorted_copy: Untyped, eager_copy: Untyped) -> None:
    """Refuses a class of experts whose eager loop does not compute what the sorted loop does, bit for bit.

    Raises:
        SpecError: names the class.
    """
    weight = experts.down_proj
    width = experts.gate_up_proj.shape[1 if experts.is_transposed else 2]
    numbers = torch.arange(PROBES * width, device=weight.device).view(PROBES, width)
    x = torch.sin(numbers.float()).to(weight.dtype)
    top_k = min(2, experts.num_experts)
    chosen = (torch.arange(PROBES * top_k, device=weight.device) % experts.num_experts).view(PROBES, top_k)
    factors = torch.full((PROBES, top_k), 0.375, dtype=weight.dtype, device=weight.device)
    with torch.no_grad():
        if not torch.equal(sorted_copy(x, chosen, factors), eager_copy(x, chosen, factors)):
            told = "their eager loop computes otherwise than the classes that this version knows"
            raise SpecError(f"experts of class {type(experts).__name__}: {told}")


ALL_EXPERTS_FUNCTIONS.register(IMPLEMENTATION, sorted_experts)
