"""Routed experts for the experts interface of ``transformers``: eager's arithmetic, sorted by expert.

Every operation has the operands of the library's eager loop in the same order, so results are equal bit for
bit, while each layer sorts its tokens once instead of searching them for every expert.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.integrations.moe import ALL_EXPERTS_FUNCTIONS

# T tokens, K top_k, E experts, D d_model, W d_expert

IMPLEMENTATION = "dse_sorted"


class ExpertMatrices(nn.Module):
    """What stands in for the two stored tensors of one expert."""

    def __init__(self, gate_up: nn.Module, down: nn.Module) -> None:
        super().__init__()
        self.gate_up, self.down = gate_up, down


def sorted_experts(experts: Any, hidden: Tensor, top_k_index: Tensor, top_k_weights: Tensor) -> Tensor:
    """Output of the routed experts of one layer.

    Experts named in ``experts.replaced`` (index as text) use those matrices, all others the stored tensors.

    Args:
        experts: the library's module, with ``gate_up_proj`` (E, 2W, D), ``down_proj`` (E, D, W) and ``act_fn``
            (typed Any, since it declares no attribute types).
        hidden: inputs (T, D).
        top_k_index: chosen experts (T, K).
        top_k_weights: their weights (T, K).
    """
    n_tokens, top_k = top_k_index.shape
    expert, visit = top_k_index.T.reshape(-1).sort(stable=True)  # (K·T,) by expert, then rank, then token
    token = visit % n_tokens
    factor = top_k_weights.T.reshape(-1)[visit, None]  # (K·T, 1)
    counts = torch.bincount(expert, minlength=experts.gate_up_proj.shape[0]).tolist()
    outputs = [
        expert_output(experts, e, hidden.index_select(0, tokens)) * weights
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


def expert_output(experts: Any, e: int, x: Tensor) -> Tensor:
    """Unweighted output of expert e for its tokens (…, D) → (…, D)."""
    name = str(e)
    replaced = experts.replaced[name] if name in experts.replaced else None  # noqa: SIM401 (a ModuleDict)
    gate_up = F.linear(x, experts.gate_up_proj[e]) if replaced is None else replaced.gate_up(x)
    gate, up = gate_up.chunk(2, dim=-1)
    inner = experts.act_fn(gate) * up
    down: Tensor = F.linear(inner, experts.down_proj[e]) if replaced is None else replaced.down(inner)
    return down


ALL_EXPERTS_FUNCTIONS.register(IMPLEMENTATION, sorted_experts)
