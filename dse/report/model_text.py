"""A model's shape, parameters and crossbars as aligned text."""

from __future__ import annotations

import textwrap

from dse.report.tables import align
from dse.spec.matrices import attention_shapes
from dse.spec.model import Model
from dse.workload.parameters import CrossbarCounts, ParameterCounts


def model_text(model: Model, counts: ParameterCounts, crossbars: CrossbarCounts | None) -> str:
    """The result of ``dse import hf``: counts to the last parameter."""
    lines = [*shape_lines(model, counts), "", parameter_table(model, counts)]
    if crossbars is not None:
        lines += ["", crossbar_table(crossbars)]
    return "\n".join(lines)


def shape_lines(model: Model, counts: ParameterCounts) -> list[str]:
    """The shape in sentences."""
    experts = f"{model.n_experts} experts of width {model.d_expert}, top-{model.top_k}"
    if model.n_shared_experts:
        experts += f", {model.n_shared_experts} shared of width {model.d_shared_expert} together"
    layers = f"{model.n_layers} layers of width {model.d_model}, {counts.n_moe_layers} with experts"
    if counts.n_dense_layers:
        layers += f", {counts.n_dense_layers} dense of width {model.d_dense_ffn}"
    heads = f"{model.n_heads} heads"
    if model.attention == "gqa":
        heads += f" of width {model.head_dim}, {model.n_kv_heads} for keys and values"
    else:
        heads += f", keys and values compressed to {model.kv_lora_rank} + {model.qk_rope_head_dim}"
    matrices = ", ".join(f"{s.name} {s.n_in}x{s.n_out}" for s in attention_shapes(model))
    attention = f"{model.attention}, {heads}; {matrices}"
    if model.n_windowed_layers:
        attention += f"; {model.n_windowed_layers} layers see {model.window_tokens} tokens only"
    rows = {"layers": layers, "experts": experts, "attention": attention}
    return [f"{model.name}", *(folded(f"  {label:<10} {text}", 13) for label, text in rows.items())]


def parameter_table(model: Model, counts: ParameterCounts) -> str:
    """Parameters of the model and of its parts."""
    shared_note = "shared with the embedding" if model.tied_head else ""
    header = ("parameters", "", "")
    rows = [
        ["total", grouped(counts.total), "embedding, layers, head"],
        ["active: layers only", grouped(counts.active_without_embedding_and_head), "what a token meets"],
        ["active: with head", grouped(counts.active_with_head), "what a token multiplies with"],
        ["active: with both", grouped(counts.active_with_embedding_and_head), "head and embedding table"],
        ["attention, a layer", grouped(counts.attention_per_layer), "with norms, biases"],
        ["router, an MoE layer", grouped(counts.router_per_moe_layer), ""],
        ["shared, an MoE layer", grouped(counts.shared_per_moe_layer), ""],
        ["one routed expert", grouped(counts.one_expert), ""],
        ["all routed experts", grouped(counts.routed_experts_all), share(counts.routed_experts_all, counts.total)],
        ["dense FFN, a layer", grouped(counts.dense_ffn_per_dense_layer), f"{counts.n_dense_layers} layers"],
        ["LM head", grouped(counts.lm_head), shared_note],
        [
            "KV cache numbers, a token",
            grouped(counts.kv_cache_elements_per_token),
            "all layers, no window full",
        ],
    ]
    return align(rows, header, right={1})


def crossbar_table(counts: CrossbarCounts) -> str:
    """Crossbars of the parts."""
    header = (f"crossbars of {counts.array}x{counts.array} weights", "", "")
    rows = [
        ["one routed expert", grouped(counts.one_expert), ""],
        ["all routed experts", grouped(counts.all_routed_experts), ""],
        ["attention, a layer", grouped(counts.attention_per_layer), ""],
        ["router, an MoE layer", grouped(counts.router_per_moe_layer), ""],
        ["shared, an MoE layer", grouped(counts.shared_per_moe_layer), ""],
        ["dense FFN, a layer", grouped(counts.dense_ffn_per_dense_layer), ""],
        ["LM head", grouped(counts.lm_head), ""],
        ["products per token", grouped(counts.active_per_token), "without LM head"],
    ]
    return align(rows, header, right={1})


def grouped(number: int) -> str:
    """A whole number in groups of three digits.

    >>> grouped(6919161856)
    '6 919 161 856'
    """
    return f"{number:,}".replace(",", " ")


def share(part: int, total: int) -> str:
    """A share of all parameters."""
    return f"{100 * part / total:.2f} % of all"


def folded(text: str, indent: int) -> str:
    """A line in 80 columns."""
    return textwrap.fill(text, 80, subsequent_indent=" " * indent)
