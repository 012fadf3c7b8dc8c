"""What a model is made of: its parameters, and the crossbars that its matrices fill."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dse.spec.model import Model
from dse.workload.blocks import Matrix, attention_matrices, ffn_matrices


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterCounts:
    """Parameters of the main model: no prediction module, no buffers such as routing biases."""

    total: int
    """Embedding, layers and head; a table that embedding and head share counts once."""
    active_without_embedding_and_head: int
    """What one token meets in the layers: attention, norms, router, shared and dense FFNs, top-k experts, last norm."""
    active_with_head: int
    """The same and the LM head."""
    active_with_embedding_and_head: int
    """The same and the whole embedding table; one that the head shares counts once."""
    embedding: int
    lm_head: int
    """The LM head with its bias, whether or not it shares the embedding's weights."""
    attention_per_layer: int
    """Projections with biases, norms on queries and keys, sinks."""
    router_per_moe_layer: int
    shared_per_moe_layer: int
    """Shared experts with their gate."""
    one_expert: int
    """One routed expert with its biases."""
    routed_experts_all: int
    dense_ffn_per_dense_layer: int
    n_moe_layers: int
    n_dense_layers: int
    kv_cache_elements_per_token: int
    """Numbers kept per token over all layers at full context; windows are not deducted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossbarCounts:
    """Crossbars of array x array weights, each matrix on its own; biases, norms and gates take none."""

    array: int
    one_expert: int
    shared_per_moe_layer: int
    attention_per_layer: int
    router_per_moe_layer: int
    dense_ffn_per_dense_layer: int
    all_routed_experts: int
    active_per_token: int
    """Crossbar products of one token in the layers, without the LM head."""
    lm_head: int


def parameter_counts(model: Model) -> ParameterCounts:
    """Parameters of a model and of its parts, exact."""
    d, n_moe = model.d_model, model.n_moe_layers
    n_dense = model.n_layers - n_moe
    norm = d * (2 if model.norm == "layer_norm" else 1)
    attention = attention_parameters(model)
    router = 0 if model.router == "none" else d * model.n_experts + ("router" in model.biases) * model.n_experts
    expert = ffn_parameters(model, "expert", model.d_expert)
    shared = ffn_parameters(model, "shared", model.d_shared_expert) + model.shared_expert_gate * d
    shared = shared if model.n_shared_experts else 0
    dense = ffn_parameters(model, "ffn", model.d_dense_ffn) if n_dense else 0
    head = d * model.vocab_size + ("head" in model.biases) * model.vocab_size
    embedding = d * model.vocab_size
    own_embedding = 0 if model.tied_head else embedding
    always = model.n_layers * (attention + 2 * norm) + n_dense * dense + n_moe * (router + shared) + norm
    active = always + n_moe * model.top_k * expert
    return ParameterCounts(
        total=always + n_moe * model.n_experts * expert + head + own_embedding,
        active_without_embedding_and_head=active,
        active_with_head=active + head,
        active_with_embedding_and_head=active + head + own_embedding,
        embedding=embedding,
        lm_head=head,
        attention_per_layer=attention,
        router_per_moe_layer=router,
        shared_per_moe_layer=shared,
        one_expert=expert,
        routed_experts_all=n_moe * model.n_experts * expert,
        dense_ffn_per_dense_layer=dense,
        n_moe_layers=n_moe,
        n_dense_layers=n_dense,
        kv_cache_elements_per_token=model.n_layers * model.kv_elements_per_layer,
    )


def attention_parameters(model: Model) -> int:
    """Parameters of the attention of one layer: projections, biases, norms inside it, sinks."""
    matrices = attention_matrices(model)
    biases = sum(matrix.n_out for matrix in matrices if matrix.name in model.biases)
    latent_norms = model.q_lora_rank + model.kv_lora_rank
    sinks = model.n_heads if model.attention_sinks else 0
    return n_weights(matrices) + biases + latent_norms + model.qk_norm_parameters_per_layer + sinks


def ffn_parameters(model: Model, kind: str, width: int) -> int:
    """Parameters of one FFN of that inner width, with biases where its kind of block has them."""
    matrices = ffn_matrices(model, width)
    return n_weights(matrices) + (sum(matrix.n_out for matrix in matrices) if kind in model.biases else 0)


def n_parameters(model: Model) -> int:
    """All parameters of a model."""
    return parameter_counts(model).total


def n_weights(matrices: Sequence[Matrix]) -> int:
    """Weights of several matrices."""
    return sum(matrix.n_weights for matrix in matrices)


def crossbar_counts(model: Model, array: int) -> CrossbarCounts:
    """Crossbars that the blocks of a model fill."""
    n_moe = model.n_moe_layers
    n_dense = model.n_layers - n_moe
    attention = n_crossbars(attention_matrices(model), array)
    router = 0 if model.router == "none" else n_crossbars([Matrix("router", model.d_model, model.n_experts, 0)], array)
    expert = n_crossbars(ffn_matrices(model, model.d_expert), array)
    shared = n_crossbars(ffn_matrices(model, model.d_shared_expert), array) if model.n_shared_experts else 0
    dense = n_crossbars(ffn_matrices(model, model.d_dense_ffn), array) if n_dense else 0
    return CrossbarCounts(
        array=array,
        one_expert=expert,
        shared_per_moe_layer=shared,
        attention_per_layer=attention,
        router_per_moe_layer=router,
        dense_ffn_per_dense_layer=dense,
        all_routed_experts=n_moe * model.n_experts * expert,
        active_per_token=model.n_layers * attention
        + n_moe * (router + shared + model.top_k * expert)
        + n_dense * dense,
        lm_head=n_crossbars([Matrix("head", model.d_model, model.vocab_size, 0)], array),
    )


def n_crossbars(matrices: Sequence[Matrix], array: int) -> int:
    """Crossbars of array x array weights that several matrices fill."""
    return sum(int(matrix.n_slices(rows=array, cols=array)) for matrix in matrices)
