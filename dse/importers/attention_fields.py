"""Reads the attention of a ``config.json``: heads, latent widths, norms, biases, windows."""

from __future__ import annotations

from typing import Final, NamedTuple, TypedDict

from dse.importers.config_file import ConfigFile
from dse.importers.families import Family
from dse.spec.model import BiasName

LAYER_TYPES: Final = ("full_attention", "sliding_attention", "chunked_attention")
ROPE_INTERVAL: Final = 4
"""Llama 4: every fourth layer is without rotary positions and sees everything, where no list says so."""


class AttentionSizes(TypedDict):
    """Fields of Model that say how large the attention is."""

    n_heads: int
    n_kv_heads: int
    head_dim: int
    q_lora_rank: int
    kv_lora_rank: int
    qk_nope_head_dim: int
    qk_rope_head_dim: int
    v_head_dim: int
    qk_norm_parameters_per_layer: int


class AttentionFields(NamedTuple):
    """Sizes, and matrices with a bias."""

    sizes: AttentionSizes
    biases: tuple[BiasName, ...]


class WindowFields(TypedDict):
    """Fields of Model about windowed layers."""

    n_windowed_layers: int
    window_tokens: int


def read_attention(config: ConfigFile, family: Family, d_model: int) -> AttentionFields:
    """The attention of a layer."""
    sizes = latent_sizes(config) if family.attention == "mla" else head_sizes(config, family, d_model)
    biases = family.biased if family.biased and config.flag(family.bias_flag, default=family.bias_default) else ()
    if family.attention == "mla" and not sizes["q_lora_rank"]:
        biases = tuple(name for name in biases if name != "q_a")
    return AttentionFields(sizes, biases)


def head_sizes(config: ConfigFile, family: Family, d_model: int) -> AttentionSizes:
    """Heads of plain or grouped attention."""
    n_heads = config.count("num_attention_heads")
    n_kv_heads = config.count("num_key_value_heads", null=n_heads)
    if family.head_dim_needed or config.values.get("head_dim") is not None:
        head_dim = config.count("head_dim")
    else:
        head_dim = d_model // max(n_heads, 1)
        if n_heads and d_model % n_heads:
            config.fail("hidden_size", f"{d_model} is not a multiple of num_attention_heads = {n_heads}; give head_dim")
    norms = {"none": 0, "projection": (n_heads + n_kv_heads) * head_dim, "head": 2 * head_dim, "head_if_flag": 0}
    norm = norms[family.qk_norm]
    if family.qk_norm == "head_if_flag" and config.flag("use_qk_norm", default=False):
        norm = norms["head"]
    return AttentionSizes(
        n_heads=n_heads,
        n_kv_heads=n_kv_heads,
        head_dim=head_dim,
        q_lora_rank=0,
        kv_lora_rank=0,
        qk_nope_head_dim=0,
        qk_rope_head_dim=0,
        v_head_dim=0,
        qk_norm_parameters_per_layer=norm,
    )


def latent_sizes(config: ConfigFile) -> AttentionSizes:
    """Widths of multi-head latent attention; ``head_dim``, where a file gives it, is only the rotary part."""
    n_heads = config.count("num_attention_heads")
    nope, rope = config.count("qk_nope_head_dim"), config.count("qk_rope_head_dim")
    said = config.values.get("qk_head_dim")
    if said is not None and said != nope + rope and nope and rope:
        config.contradict("qk_nope_head_dim + qk_rope_head_dim", nope + rope, "qk_head_dim", said)
    return AttentionSizes(
        n_heads=n_heads,
        n_kv_heads=n_heads,
        head_dim=nope + rope,
        q_lora_rank=config.count("q_lora_rank", null=0),
        kv_lora_rank=config.count("kv_lora_rank"),
        qk_nope_head_dim=nope,
        qk_rope_head_dim=rope,
        v_head_dim=config.count("v_head_dim"),
        qk_norm_parameters_per_layer=0,
    )


def read_window(config: ConfigFile, family: Family, n_layers: int) -> WindowFields:
    """How many layers see a window only, and its length."""
    size_key = "attention_chunk_size" if family.window == "chunked" else "sliding_window"
    kinds = config.choices_by_layer("layer_types", n_layers, LAYER_TYPES)
    size = config.values.get(size_key)
    if kinds is not None:
        n_windowed = sum(kind != "full_attention" for kind in kinds)
    elif family.window == "optional" and config.values.get("use_sliding_window"):
        config.fail("use_sliding_window", "true, but layer_types does not say which layers have a window; add it")
        n_windowed = 0
    else:
        n_windowed = default_windows(config, family, n_layers) if size else 0
    if not n_windowed:
        return WindowFields(n_windowed_layers=0, window_tokens=0)
    if family.window == "chunked":
        config.notes.append("chunked attention is taken as a window of the same length: an upper end of its work")
    return WindowFields(n_windowed_layers=n_windowed, window_tokens=config.count(size_key))


def default_windows(config: ConfigFile, family: Family, n_layers: int) -> int:
    """Windowed layers where no list names them."""
    match family.window:
        case "all":
            return n_layers
        case "alternating":
            return (n_layers + 1) // 2
        case "chunked":
            return rotary_layers(config, n_layers)
        case _:
            return 0


def rotary_layers(config: ConfigFile, n_layers: int) -> int:
    """Layers with rotary positions: those marked in ``no_rope_layers``, else all but every n-th."""
    marks = config.whole_numbers("no_rope_layers")
    if marks:
        if len(marks) < n_layers:
            message = f"expected one entry per layer, {n_layers} (got {len(marks)} entries)"
            config.fail("no_rope_layers", message)
        return sum(mark > 0 for mark in marks[:n_layers])
    key = "no_rope_layer_interval"
    interval = ROPE_INTERVAL if config.values.get(key) is None else config.count(key)
    return n_layers - n_layers // max(interval, 1)
