"""The OLMoE body as a compact PyTorch module that trains on one CPU core.

It computes what ``transformers``' OlmoeForCausalLM computes (a check in ``export.py`` compares the
logits), with the experts of a layer in two stacked tensors so that a step costs half as much.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# B sequences, S positions, T = B*S tokens, D d_model, H heads, E experts, K top_k, W d_expert


@dataclass(frozen=True, slots=True)
class Shape:
    """Hyper-parameters of the model."""

    vocab: int = 1024
    d_model: int = 128
    n_layers: int = 4
    n_heads: int = 4
    n_experts: int = 32
    top_k: int = 4
    d_expert: int = 64
    context: int = 256
    rope_theta: float = 10000.0
    norm_eps: float = 1e-5


class RMSNorm(nn.Module):
    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary position embedding, halves convention."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


class Attention(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        d = shape.d_model
        self.heads = shape.n_heads
        self.q_proj, self.k_proj, self.v_proj, self.o_proj = (nn.Linear(d, d, bias=False) for _ in range(4))
        self.q_norm, self.k_norm = RMSNorm(d, shape.norm_eps), RMSNorm(d, shape.norm_eps)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        b, s, d = x.shape
        q, k = self.q_norm(self.q_proj(x)), self.k_norm(self.k_proj(x))
        q, k, v = (t.view(b, s, self.heads, -1).transpose(1, 2) for t in (q, k, self.v_proj(x)))  # (B, H, S, D/H)
        y = F.scaled_dot_product_attention(rotate(q, cos, sin), rotate(k, cos, sin), v, is_causal=True)
        return self.o_proj(y.transpose(1, 2).reshape(b, s, d))


class Experts(nn.Module):
    """Router and gated experts; returns the output, the balance loss and the router z-loss."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        e, d, w = shape.n_experts, shape.d_model, shape.d_expert
        self.top_k = shape.top_k
        self.router = nn.Parameter(torch.empty(e, d))
        self.gate_up = nn.Parameter(torch.empty(e, 2 * w, d))
        self.down = nn.Parameter(torch.empty(e, d, w))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        n_experts = self.router.shape[0]
        flat = x.reshape(-1, x.shape[-1])  # (T, D)
        logits = flat @ self.router.T  # (T, E)
        probability = logits.softmax(-1)
        weight, chosen = probability.topk(self.top_k)  # (T, K)
        expert, order = chosen.reshape(-1).sort(stable=True)  # (T*K,)
        token = order // self.top_k
        counts = torch.bincount(expert, minlength=n_experts)
        parts = flat[token].split(counts.tolist())
        outputs = []
        for part, gate_up, down in zip(parts, self.gate_up.unbind(0), self.down.unbind(0), strict=True):
            gate, up = F.linear(part, gate_up).chunk(2, dim=-1)
            outputs.append(F.linear(F.silu(gate) * up, down))
        y = torch.cat(outputs) * weight.reshape(-1)[order, None]
        out = torch.zeros_like(flat).index_add(0, token, y)
        balance = n_experts * (counts / len(flat) * probability.mean(0)).sum()
        z = logits.logsumexp(-1).pow(2).mean()
        return out.view_as(x), 0.01 * balance + 0.001 * z


class Layer(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.input_norm = RMSNorm(shape.d_model, shape.norm_eps)
        self.attention = Attention(shape)
        self.post_norm = RMSNorm(shape.d_model, shape.norm_eps)
        self.experts = Experts(shape)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
        x = x + self.attention(self.input_norm(x), cos, sin)
        y, auxiliary = self.experts(self.post_norm(x))
        return x + y, auxiliary


class TinyMoE(nn.Module):
    """Decoder with mixture-of-experts layers; ``forward`` gives logits (B, S, vocab) and the auxiliary loss."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocab, shape.d_model)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.n_layers))
        self.norm = RMSNorm(shape.d_model, shape.norm_eps)
        self.head = nn.Linear(shape.d_model, shape.vocab, bias=False)
        for name, parameter in self.named_parameters():
            if "norm" not in name:
                nn.init.normal_(parameter, std=0.02 if "embedding" in name else parameter.shape[-1] ** -0.5 * 0.5)
        width = shape.d_model // shape.n_heads
        frequency = shape.rope_theta ** (-torch.arange(0, width, 2) / width)
        angle = torch.outer(torch.arange(shape.context), frequency).repeat(1, 2)  # (S, D/H)
        self.register_buffer("cos", angle.cos(), persistent=False)
        self.register_buffer("sin", angle.sin(), persistent=False)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        x = self.embedding(tokens)
        cos, sin = self.cos[: tokens.shape[1]], self.sin[: tokens.shape[1]]
        auxiliary = torch.zeros(())
        for layer in self.layers:
            x, term = layer(x, cos, sin)
            auxiliary = auxiliary + term / len(self.layers)
        return self.head(self.norm(x)), auxiliary
