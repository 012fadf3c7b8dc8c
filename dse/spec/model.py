"""The shape of a transformer with mixture-of-experts layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import Strict

from dse.spec.quantity import CONFIG, Number

Size = Annotated[int, Number(gt=0, integer=True)]
SizeOrZero = Annotated[int, Number(ge=0, integer=True)]
Flag = Annotated[bool, Strict()]
MAX_LAYERS: Final = 100_000
"""Layers beyond which a number is a slip, not a model."""
BiasName = Literal[
    "q", "k", "v", "o", "q_a", "q_b", "kv_a", "kv_b", "router", "expert", "shared", "ffn", "head",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """Hyper-parameters that decide sizes and operation counts; the same for every design point."""

    __pydantic_config__ = CONFIG

    name: str
    """Name shown in reports."""
    d_model: Size
    """Width of the residual stream."""
    n_layers: Annotated[int, Number(gt=0, le=MAX_LAYERS, integer=True)]
    """Layers."""
    n_heads: Size
    """Query heads."""
    n_kv_heads: Size
    """Key/value heads (no meaning with ``attention: mla``)."""
    head_dim: Size
    """Width of one query/key head; with ``attention: mla`` qk_nope_head_dim + qk_rope_head_dim."""
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
    """First layers that hold one dense FFN instead of experts; short for ``moe_layers``."""
    moe_layers: tuple[SizeOrZero, ...] | None = None
    """Numbers of the layers that hold experts, ascending from 0, where dense layers are not just the first ones."""
    d_dense_ffn: SizeOrZero = 0
    """Inner width of the FFN of a dense layer."""
    ffn: Literal["gated", "two_matrix"] = "gated"
    """``gated``: gate, up, down; ``two_matrix``: up, down."""
    router: Literal["linear", "none"] = "linear"
    """``none``: no router (a dense model)."""
    attention: Literal["gqa", "mla"] = "gqa"
    """``gqa``: q, k, v, o with shared key/value heads (or none shared); ``mla``: multi-head latent attention."""
    q_lora_rank: SizeOrZero = 0
    """Width of the compressed queries (``mla``); 0: queries are not compressed."""
    kv_lora_rank: SizeOrZero = 0
    """Width of the compressed keys and values, which the cache keeps (``mla``)."""
    qk_nope_head_dim: SizeOrZero = 0
    """Part of a query/key head without rotary position (``mla``)."""
    qk_rope_head_dim: SizeOrZero = 0
    """Part of a query/key head with rotary position, one key for all heads, kept in the cache (``mla``)."""
    v_head_dim: SizeOrZero = 0
    """Width of one value head (``mla``)."""
    n_windowed_layers: SizeOrZero = 0
    """Layers whose attention sees only the last ``window_tokens`` tokens."""
    window_tokens: SizeOrZero = 0
    """Tokens that a windowed layer sees and keeps [tokens]."""
    tied_head: Flag = False
    """Whether the LM head shares the embedding's weights."""
    norm: Literal["rms_norm", "layer_norm"] = "rms_norm"
    """Norms before attention, before the FFN and before the head; ``layer_norm`` has a bias too."""
    qk_norm_parameters_per_layer: SizeOrZero = 0
    """Parameters of the norms on queries and keys of one layer (those on compressed ones are counted by width)."""
    biases: tuple[BiasName, ...] = ()
    """What has biases: matrices of the attention by name, all matrices of a kind of block."""
    attention_sinks: Flag = False
    """Whether each query head has one learned sink."""
    shared_expert_gate: Flag = False
    """Whether a gate of width ``d_model`` scales what the shared experts give."""

    @property
    def expert_layers(self) -> tuple[int, ...]:
        """Numbers of the layers that hold experts."""
        return tuple(range(self.n_dense_layers, self.n_layers)) if self.moe_layers is None else self.moe_layers

    @property
    def n_moe_layers(self) -> int:
        """Layers that hold experts."""
        return len(self.expert_layers)

    @property
    def kv_elements_per_layer(self) -> int:
        """Numbers that one layer keeps per token: keys and values, or the compressed ones and the rotary key."""
        if self.attention == "mla":
            return self.kv_lora_rank + self.qk_rope_head_dim
        return 2 * self.n_kv_heads * self.head_dim
