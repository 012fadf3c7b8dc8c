"""Names and shapes of the matrices that a model is made of."""

from __future__ import annotations

from typing import NamedTuple

from dse.spec.model import Model


class MatrixShape(NamedTuple):
    """One weight matrix; matrices of equal ``depth`` work side by side, the next depth after them."""

    name: str
    n_in: int
    n_out: int
    depth: int


def attention_shapes(model: Model) -> tuple[MatrixShape, ...]:
    """Projections of one attention layer.

    ``mla``: queries are compressed by q_a and expanded by q_b (or made by q at once), keys and values are compressed
    by kv_a, with the rotary key beside them, and expanded by kv_b.
    """
    d, heads = model.d_model, model.n_heads
    if model.attention == "gqa":
        query, key = heads * model.head_dim, model.n_kv_heads * model.head_dim
        return (
            MatrixShape("q", d, query, 0),
            MatrixShape("k", d, key, 0),
            MatrixShape("v", d, key, 0),
            MatrixShape("o", query, d, 1),
        )
    rank, nope, rope, value = model.kv_lora_rank, model.qk_nope_head_dim, model.qk_rope_head_dim, model.v_head_dim
    query = heads * (nope + rope)
    compressed = (MatrixShape("q_a", d, model.q_lora_rank, 0), MatrixShape("q_b", model.q_lora_rank, query, 1))
    return (
        *(compressed if model.q_lora_rank else (MatrixShape("q", d, query, 0),)),
        MatrixShape("kv_a", d, rank + rope, 0),
        MatrixShape("kv_b", rank, heads * (nope + value), 1),
        MatrixShape("o", heads * value, d, 2),
    )


def ffn_shapes(model: Model, width: int) -> tuple[MatrixShape, ...]:
    """Matrices of an expert or a dense FFN of that inner width."""
    inner = ("gate", "up") if model.ffn == "gated" else ("up",)
    return (
        *(MatrixShape(name, model.d_model, width, 0) for name in inner),
        MatrixShape("down", width, model.d_model, 1),
    )
