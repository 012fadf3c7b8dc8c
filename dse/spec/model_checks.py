"""Rules of a model's shape that no single field can state."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from dse.spec.matrices import attention_shapes
from dse.spec.model import Model


class Contradiction(NamedTuple):
    """A rule that is broken: the field at fault and what is wrong."""

    field: str
    message: str


def model_contradictions(model: Model) -> Iterator[Contradiction]:
    """Every broken rule of a model."""
    if model.top_k > model.n_experts:
        yield Contradiction("top_k", f"exceeds n_experts = {model.n_experts} (got {model.top_k})")
    if model.n_shared_experts and not model.d_shared_expert:
        yield Contradiction("d_shared_expert", "missing; give the inner width of all shared experts together")
    if model.d_shared_expert and not model.n_shared_experts:
        yield Contradiction("d_shared_expert", "has no meaning with n_shared_experts: 0")
    yield from _layers(model)
    yield from _attention(model)
    yield from _windows(model)


def _layers(model: Model) -> Iterator[Contradiction]:
    if model.moe_layers is None:
        if model.n_dense_layers >= model.n_layers:
            yield Contradiction("n_dense_layers", f"must be less than n_layers = {model.n_layers}: not an MoE")
    else:
        if model.n_dense_layers:
            yield Contradiction("n_dense_layers", "give either n_dense_layers or moe_layers")
        if not model.moe_layers:
            yield Contradiction("moe_layers", "needs at least one layer")
        if any(later <= earlier for earlier, later in pairwise(model.moe_layers)):
            yield Contradiction("moe_layers", "must ascend, without repeats")
        if any(layer >= model.n_layers for layer in model.moe_layers):
            yield Contradiction("moe_layers", f"must be less than n_layers = {model.n_layers}; layers count from 0")
    if len(model.expert_layers) < model.n_layers and not model.d_dense_ffn:
        yield Contradiction("d_dense_ffn", "missing; some layers are dense")


def _attention(model: Model) -> Iterator[Contradiction]:
    latent = ("kv_lora_rank", "qk_nope_head_dim", "v_head_dim")
    if model.attention == "gqa":
        if model.n_heads % model.n_kv_heads:
            yield Contradiction("n_kv_heads", f"must divide n_heads = {model.n_heads} (got {model.n_kv_heads})")
        for field in (*latent, "qk_rope_head_dim", "q_lora_rank"):
            if getattr(model, field):
                yield Contradiction(field, "has no meaning with attention: gqa; write attention: mla")
        return
    for field in latent:
        if not getattr(model, field):
            yield Contradiction(field, "missing, but required with attention: mla")
    head = model.qk_nope_head_dim + model.qk_rope_head_dim
    if model.head_dim != head:
        message = f"must be qk_nope_head_dim + qk_rope_head_dim = {head} with attention: mla (got {model.head_dim})"
        yield Contradiction("head_dim", message)


def _windows(model: Model) -> Iterator[Contradiction]:
    if (model.n_windowed_layers > 0) != (model.window_tokens > 0):
        yield Contradiction("window_tokens", "give both n_windowed_layers and window_tokens, or neither")
    if model.n_windowed_layers > model.n_layers:
        yield Contradiction("n_windowed_layers", f"must be at most n_layers = {model.n_layers}")
    projections = {shape.name for shape in attention_shapes(model)}
    blocks = {"router", "expert", "shared", "ffn", "head"}
    for name in model.biases:
        if name not in projections | blocks:
            yield Contradiction("biases", f"attention: {model.attention} has no matrix {name!r}")
