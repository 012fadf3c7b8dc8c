"""Tiny random models of every supported class of ``transformers``, and mappings for them."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from dse.cost.option import Option
from dse.mapping.model import Mapping
from dse.noise.sites import sites

VOCABULARY, CONTEXT, WIDTH, INNER = 48, 12, 16, 8
SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 32,
    "num_experts_per_tok": 2,
    "pad_token_id": None,
    "bos_token_id": None,
    "eos_token_id": 0,
}
MLA = {
    "num_key_value_heads": 4,
    "kv_lora_rank": 6,
    "q_lora_rank": 10,
    "qk_nope_head_dim": 4,
    "qk_rope_head_dim": 2,
    "v_head_dim": 3,
    "head_dim": 2,
    "n_routed_experts": 4,
    "n_group": 2,
    "topk_group": 1,
    "n_shared_experts": 1,
    "first_k_dense_replace": 1,
    "intermediate_size": 20,
    "moe_intermediate_size": INNER,
}
SMALL = {"num_local_experts": 4, "intermediate_size": INNER}
QWEN = {"num_experts": 4, "moe_intermediate_size": INNER, "intermediate_size": 20, "head_dim": 6}
FAMILIES: dict[str, dict[str, Any]] = {
    "olmoe": {"num_experts": 4, "intermediate_size": INNER},
    "mixtral": SMALL,
    "qwen3_moe": QWEN | {"mlp_only_layers": [0], "norm_topk_prob": True},
    "deepseek_v2": MLA | {"topk_method": "group_limited_greedy", "routed_scaling_factor": 1.5},
    "deepseek_v3": MLA,
    "gpt_oss": SMALL | {
        "head_dim": 6, "sliding_window": 4, "layer_types": ["sliding_attention", "full_attention"],
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e4},
    },
    "qwen2_moe": QWEN | {"shared_expert_intermediate_size": INNER},
    "phimoe": SMALL | {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4}},
    "glm4_moe": QWEN | {"n_routed_experts": 4, "n_group": 1, "topk_group": 1, "n_shared_experts": 1,
                        "first_k_dense_replace": 1},
}  # fmt: skip
"""model_type → what its tiny instance needs besides SIZES."""
NAMED = ("olmoe", "mixtral", "qwen3_moe", "deepseek_v2", "deepseek_v3", "gpt_oss")


def make(family: str, seed: int = 0, **changes: Any) -> Any:
    """A tiny model with random weights, biases too."""
    config = AutoConfig.for_model(family, **SIZES | FAMILIES[family] | changes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(config, experts_implementation="eager")
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1 or "bias" in name or "sinks" in name:
                parameter.data.normal_(std=0.3)
    return model.eval().requires_grad_(False)


def mapping_of(model: Any, analog: Callable[[str], bool] | Iterable[str], digital: Option | None = None) -> Mapping:
    """The blocks named or chosen are analog, all others digital."""
    chosen = analog if callable(analog) else set(analog).__contains__
    blocks = dict.fromkeys(site.block for site in sites(model))
    other = digital or Option("npu", "fp16")
    placement = {block: Option("pcm", "analog") if chosen(block) else other for block in blocks}
    return Mapping(placement=placement, objective="test", value=0, bound=0, status="rule")


def logits(model: Any, text: torch.Tensor) -> torch.Tensor:
    """What the model says after every token."""
    with torch.inference_mode():
        found: torch.Tensor = model(input_ids=text, use_cache=False).logits
    return found
