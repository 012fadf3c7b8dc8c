"""The shape of a transformer with mixture-of-experts layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Strict

from dse.spec.quantity import CONFIG, Number

Size = Annotated[int, Number(gt=0, integer=True)]
SizeOrZero = Annotated[int, Number(ge=0, integer=True)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """Hyper-parameters that decide sizes and operation counts; the same for every design point."""

    __pydantic_config__ = CONFIG

    name: str
    """Name shown in reports."""
    d_model: Size
    """Width of the residual stream."""
    n_layers: Size
    """Layers."""
    n_heads: Size
    """Query heads."""
    n_kv_heads: Size
    """Key/value heads."""
    head_dim: Size
    """Width of one head."""
    vocab_size: Size
    """Entries of the vocabulary."""
    n_experts: Size
    """Routed experts of an MoE layer (1 with ``router: none``: a dense model)."""
    top_k: Size
    """Routed experts that a token visits."""
    d_expert: Size
    """Inner width of one routed expert."""
    n_shared_experts: SizeOrZero = 0
    """Experts that every token visits."""
    d_shared_expert: SizeOrZero = 0
    """Inner width of all shared experts of a layer together."""
    n_dense_layers: SizeOrZero = 0
    """First layers that hold one dense FFN instead of experts."""
    d_dense_ffn: SizeOrZero = 0
    """Inner width of that dense FFN."""
    ffn: Literal["gated", "two_matrix"] = "gated"
    """``gated``: gate, up, down; ``two_matrix``: up, down."""
    router: Literal["linear", "none"] = "linear"
    """``none``: no router (a dense model)."""
    tied_head: Annotated[bool, Strict()] = False
    """Whether the LM head shares the embedding's weights."""
    qk_norm_parameters_per_layer: SizeOrZero = 0
    """Parameters of the norms on queries and keys of one layer."""
