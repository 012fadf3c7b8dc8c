"""Names and shapes of a model's matrices on disk, in every spelling that is read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from dse.spec.matrices import attention_shapes, ffn_shapes
from dse.spec.model import Model

ATTENTION_NAMES: Final = {"kv_a": "kv_a_proj_with_mqa"}
"""Matrix of an attention block → its name on disk where that is not NAME_proj."""
NUMBERED_NAMES: Final = {"gate": "w1", "up": "w3", "down": "w2"}
"""Matrix of an expert → its name on disk in the numbered spelling."""


@dataclass(frozen=True, slots=True)
class MatrixKey:
    """One matrix of one block, with the shape the model gives it."""

    block: str
    matrix: str
    kind: str
    n_out: int
    n_in: int
    layer: int | None = None
    expert: int | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """The part of a tensor that holds one matrix as [out, in]."""

    tensor: str
    index: int | None = None
    """Entry along the first axis of a tensor that holds all experts; None: a plain matrix."""
    first_row: int = 0
    """First row of the part."""
    parts: int = 1
    """Matrices of equal height that share the rows."""
    n_experts: int = 1
    """Length of the first axis of a tensor that holds all experts."""
    is_transposed: bool = False
    """Whether the tensor is [in, out], its matrices' outputs taking turns; otherwise they follow one another."""


def matrix_keys(model: Model) -> Iterator[MatrixKey]:
    """All matrices of a model but the embedding, in block order."""
    with_experts = set(model.expert_layers)
    for layer in range(model.n_layers):
        for shape in attention_shapes(model):
            yield MatrixKey(f"layers.{layer}.attention", shape.name, "attention", shape.n_out, shape.n_in, layer)
        if layer not in with_experts:
            yield from ffn_keys(model, f"layers.{layer}.ffn", model.d_dense_ffn, kind="ffn", layer=layer)
            continue
        if model.router == "linear":
            yield MatrixKey(f"layers.{layer}.router", "router", "router", model.n_experts, model.d_model, layer)
        for expert in range(model.n_experts):
            name = f"layers.{layer}.experts.{expert}"
            yield from ffn_keys(model, name, model.d_expert, kind="expert", layer=layer, expert=expert)
        if model.n_shared_experts:
            yield from ffn_keys(model, f"layers.{layer}.shared", model.d_shared_expert, kind="shared", layer=layer)
    yield MatrixKey("head", "head", "head", model.vocab_size, model.d_model)


def ffn_keys(
    model: Model, block: str, width: int, *, kind: str, layer: int, expert: int | None = None
) -> Iterator[MatrixKey]:
    """The matrices of an expert or a dense FFN of that inner width."""
    for shape in ffn_shapes(model, width):
        yield MatrixKey(block, shape.name, kind, shape.n_out, shape.n_in, layer, expert)


def tensor_places(key: MatrixKey, model: Model) -> tuple[Place, ...]:
    """Where a matrix may lie, the usual spelling first.

    Experts: one tensor each (Mixtral and Phi call them w1, w3, w2), or fused: ``experts.gate_up_proj`` [E, 2F, d] with
    the gate's rows first, and ``experts.down_proj`` [E, d, F]. Where experts have biases (gpt-oss) both are transposed,
    and the columns of gate and up take turns.
    """
    layer = f"model.layers.{key.layer}"
    match key.kind:
        case "head":
            return (Place("model.embed_tokens.weight" if model.tied_head else "lm_head.weight"),)
        case "attention":
            return (Place(f"{layer}.self_attn.{ATTENTION_NAMES.get(key.matrix, f'{key.matrix}_proj')}.weight"),)
        case "router":
            return tuple(
                Place(f"{layer}.{name}.weight") for name in ("mlp.gate", "block_sparse_moe.gate", "mlp.router")
            )
        case "ffn":
            return (Place(f"{layer}.mlp.{key.matrix}_proj.weight"),)
        case "shared":
            spellings = ("shared_experts", "shared_expert")
            return tuple(Place(f"{layer}.mlp.{name}.{key.matrix}_proj.weight") for name in spellings)
        case _:
            single = Place(f"{layer}.mlp.experts.{key.expert}.{key.matrix}_proj.weight")
            numbered = f"{layer}.block_sparse_moe.experts.{key.expert}.{NUMBERED_NAMES[key.matrix]}.weight"
            return single, Place(numbered), fused_place(f"{layer}.mlp.experts", key, model)


def fused_place(prefix: str, key: MatrixKey, model: Model) -> Place:
    """Where a matrix lies in a tensor that holds all experts of a layer."""
    in_turns = "expert" in model.biases
    if key.matrix == "down" or model.ffn == "two_matrix":
        return Place(f"{prefix}.{key.matrix}_proj", key.expert, n_experts=model.n_experts, is_transposed=in_turns)
    before = 1 if in_turns else model.d_expert
    first_row = 0 if key.matrix == "gate" else before
    return Place(f"{prefix}.gate_up_proj", key.expert, first_row, 2, model.n_experts, in_turns)
