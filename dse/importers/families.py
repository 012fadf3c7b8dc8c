"""What the fields of a ``config.json`` mean in each family of models, and which models are not supported."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Final, Literal

from dse.spec.model import BiasName

QKVO: Final[tuple[BiasName, ...]] = ("q", "k", "v", "o")


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """How one family of models is written and built."""

    model_types: tuple[str, ...]
    classes: tuple[str, ...]
    """Names under ``architectures``."""
    expert_width: tuple[str, ...]
    """Spellings of the inner width of a routed expert."""
    layers: Literal["all", "after_first", "every", "listed"] = "all"
    """Which layers hold experts: all; those from first_k_dense_replace on; every decoder_sparse_step-th but
    mlp_only_layers; those of moe_layers, else every interleave_moe_layer_step-th."""
    dense_width: str | None = None
    """Key of the inner width of a dense layer."""
    shared: Literal["none", "counted", "width", "one"] = "none"
    """Shared experts: none; n_shared_experts of the width of a routed one; one of a width of its own, with a gate;
    always one of the width of a routed one."""
    attention: Literal["gqa", "mla"] = "gqa"
    head_dim_needed: bool = False
    """Whether heads are not hidden_size / num_attention_heads wide, so that the width must be given."""
    qk_norm: Literal["none", "projection", "head", "head_if_flag"] = "none"
    """Norms with weights on queries and keys: over the whole projection, or one head wide, always or by
    use_qk_norm."""
    biased: tuple[BiasName, ...] = ()
    """Attention matrices that have a bias where the flag says so."""
    bias_flag: str = "attention_bias"
    bias_default: bool | None = False
    """What a missing flag means; None: it must be given."""
    always_biased: tuple[BiasName, ...] = ()
    has_head_bias_flag: bool = False
    """Whether lm_head_bias says if the head has a bias."""
    sinks: bool = False
    layer_norm: bool = False
    window: Literal["none", "all", "optional", "alternating", "chunked"] = "none"
    """Windowed layers: none; all where sliding_window is given; those of layer_types where use_sliding_window says
    so; those of layer_types, else every second from the first; the chunked ones of layer_types, else those with
    rotary positions."""


_DEEPSEEK: Final[tuple[str, ...]] = ("moe_intermediate_size",)
_PLAIN: Final[tuple[str, ...]] = ("intermediate_size", "moe_intermediate_size")

FAMILIES: Final[tuple[Family, ...]] = (
    Family(
        model_types=("olmoe",),
        classes=("OlmoeForCausalLM",),
        expert_width=_PLAIN,
        qk_norm="projection",
        biased=QKVO,
    ),
    Family(
        model_types=("deepseek",),
        classes=("DeepseekForCausalLM",),
        expert_width=_DEEPSEEK,
        layers="after_first",
        dense_width="intermediate_size",
        shared="counted",
        biased=QKVO,
    ),
    Family(
        model_types=("deepseek_v2", "deepseek_v3", "kimi_k2"),
        classes=("DeepseekV2ForCausalLM", "DeepseekV3ForCausalLM"),
        expert_width=_DEEPSEEK,
        layers="after_first",
        dense_width="intermediate_size",
        shared="counted",
        attention="mla",
        biased=("q_a", "kv_a", "o"),
    ),
    Family(model_types=("mixtral",), classes=("MixtralForCausalLM",), expert_width=_PLAIN, window="all"),
    Family(
        model_types=("phimoe",),
        classes=("PhiMoEForCausalLM", "PhimoeForCausalLM"),
        expert_width=_PLAIN,
        biased=QKVO,
        bias_default=None,
        has_head_bias_flag=True,
        layer_norm=True,
        window="all",
    ),
    Family(
        model_types=("qwen2_moe",),
        classes=("Qwen2MoeForCausalLM",),
        expert_width=("moe_intermediate_size",),
        layers="every",
        dense_width="intermediate_size",
        shared="width",
        biased=("q", "k", "v"),
        bias_flag="qkv_bias",
        bias_default=True,
        window="optional",
    ),
    Family(
        model_types=("qwen3_moe",),
        classes=("Qwen3MoeForCausalLM",),
        expert_width=("moe_intermediate_size",),
        layers="every",
        dense_width="intermediate_size",
        head_dim_needed=True,
        qk_norm="head",
        biased=QKVO,
        window="optional",
    ),
    Family(
        model_types=("gpt_oss",),
        classes=("GptOssForCausalLM",),
        expert_width=_PLAIN,
        head_dim_needed=True,
        biased=QKVO,
        bias_default=None,
        always_biased=("router", "expert"),
        sinks=True,
        window="alternating",
    ),
    Family(
        model_types=("llama4_text",),
        classes=("Llama4ForCausalLM", "Llama4ForConditionalGeneration"),
        expert_width=_PLAIN,
        layers="listed",
        dense_width="intermediate_size_mlp",
        shared="one",
        head_dim_needed=True,
        biased=QKVO,
        window="chunked",
    ),
    Family(
        model_types=("glm4_moe",),
        classes=("Glm4MoeForCausalLM",),
        expert_width=_DEEPSEEK,
        layers="after_first",
        dense_width="intermediate_size",
        shared="counted",
        head_dim_needed=True,
        qk_norm="head_if_flag",
        biased=("q", "k", "v"),
    ),
)
"""Every family that is read."""

LANGUAGE_PART: Final = "text_config"
"""Key of the language model in a configuration of several parts."""
WRAPPED: Final[dict[str, str]] = {"llama4": "llama4_text", "kimi_k25": "kimi_k2"}
"""Model types of several parts → what their language model is where the part does not say."""
SUPPORTED: Final[tuple[str, ...]] = (*(kind for family in FAMILIES for kind in family.model_types), *WRAPPED)
"""Every ``model_type`` that is read."""

_MIXED_LAYERS: Final = "has layers that are not attention and FFN, which this version does not model"
_INDEXER: Final = "has a sparse-attention indexer, whose weights and work this version does not model"
REFUSED: Final[dict[str, str]] = {
    **dict.fromkeys(("qwen3_next", "qwen3_5_moe", "kimi_linear", "jamba", "granitemoehybrid"), _MIXED_LAYERS),
    **dict.fromkeys(("deepseek_v32", "deepseek_v4", "glm_moe_dsa"), _INDEXER),
}
"""Model types with parts that are not modelled → why."""
_NEAREST: Final[dict[str, str]] = {
    "qwen3_next": "qwen3_moe", "qwen3_5_moe": "qwen3_moe", "kimi_linear": "kimi_k2", "jamba": "mixtral",
    "granitemoehybrid": "mixtral", "deepseek_v32": "deepseek_v3", "deepseek_v4": "deepseek_v3",
    "glm_moe_dsa": "glm4_moe", "llama": "llama4_text", "qwen3": "qwen3_moe", "qwen2": "qwen2_moe",
    "mistral": "mixtral", "glm4_moe_lite": "deepseek_v3",
}  # fmt: skip
"""Model types that are known → the supported one that is built most alike."""


def family_of(model_type: object) -> Family | None:
    """The family of a ``model_type``, or None."""
    return next((family for family in FAMILIES if model_type in family.model_types), None)


def family_of_class(name: object) -> Family | None:
    """The family of a class named under ``architectures``, or None (a class of several parts has none of its own)."""
    return next((family for family in FAMILIES if name in family.classes), None)


def unsupported(model_type: str) -> str:
    """Why a ``model_type`` is refused, and the supported one next to it."""
    why = REFUSED.get(model_type, "is not supported by this version")
    near = _NEAREST.get(model_type) or next(iter(difflib.get_close_matches(model_type, SUPPORTED, 1, 0.0)))
    return (
        f"model_type {model_type!r} {why}; nearest supported: {near} (supported: {', '.join(SUPPORTED)}); "
        "its shape can be given under `model:` in a workload file instead"
    )
