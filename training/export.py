"""Writes the trained model as a Hugging Face OLMoE checkpoint with its data files and model card.

python training/export.py --work DIR --out workloads/tiny_moe
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import torch
from baselines import bits_per_byte_table
from model import Shape, TinyMoE
from multiple_choice import make_items
from safetensors.torch import save_file
from tokenizers import Tokenizer

HELDOUT_TOKENS = 131_072
CALIBRATION_TOKENS = 32_768
LICENCE = "PSF-2.0 (Python standard library), BSD-3-Clause (numpy, scipy, pandas, networkx, sympy, torch); see NOTICE"


def checkpoint_tensors(model: TinyMoE) -> dict[str, torch.Tensor]:
    """The weights under the names of a released OLMoE checkpoint, fp16."""
    tensors = {
        "model.embed_tokens.weight": model.embedding.weight,
        "model.norm.weight": model.norm.weight,
        "lm_head.weight": model.head.weight,
    }
    for index, layer in enumerate(model.layers):
        prefix = f"model.layers.{index}."
        tensors |= {
            prefix + "input_layernorm.weight": layer.input_norm.weight,
            prefix + "post_attention_layernorm.weight": layer.post_norm.weight,
            prefix + "mlp.gate.weight": layer.experts.router,
        }
        for name in ("q_proj", "k_proj", "v_proj", "o_proj", "q_norm", "k_norm"):
            tensors[f"{prefix}self_attn.{name}.weight"] = getattr(layer.attention, name).weight
        for expert in range(model.shape.n_experts):
            gate, up = layer.experts.gate_up[expert].chunk(2, dim=0)
            tensors[f"{prefix}mlp.experts.{expert}.gate_proj.weight"] = gate
            tensors[f"{prefix}mlp.experts.{expert}.up_proj.weight"] = up
            tensors[f"{prefix}mlp.experts.{expert}.down_proj.weight"] = layer.experts.down[expert]
    return {name: tensor.detach().to(torch.float16).contiguous().clone() for name, tensor in tensors.items()}


def write_config(shape: Shape, out: Path) -> None:
    config = {
        "architectures": ["OlmoeForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "clip_qkv": None,
        "eos_token_id": 0,
        "bos_token_id": None,
        "pad_token_id": None,
        "hidden_act": "silu",
        "hidden_size": shape.d_model,
        "intermediate_size": shape.d_expert,
        "max_position_embeddings": shape.context,
        "model_type": "olmoe",
        "norm_topk_prob": False,
        "num_attention_heads": shape.n_heads,
        "num_experts": shape.n_experts,
        "num_experts_per_tok": shape.top_k,
        "num_hidden_layers": shape.n_layers,
        "num_key_value_heads": shape.n_heads,
        "rms_norm_eps": shape.norm_eps,
        "rope_theta": shape.rope_theta,
        "tie_word_embeddings": False,
        "torch_dtype": "float16",
        "use_cache": False,
        "vocab_size": shape.vocab,
    }
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def write_tokens(tokens: np.ndarray, name: str, purpose: str, work: Path, out: Path) -> None:
    """A token file and its sidecar."""
    np.save(out / f"{name}.npy", tokens)
    sidecar = {
        "tokenizer_sha256": hashlib.sha256((out / "tokenizer.json").read_bytes()).hexdigest(),
        "tokens": len(tokens),
        "purpose": purpose,
        "source": "Python source text, see README.md; corpus sha256 "
        + json.loads((work / "corpus.json").read_text())["sha256"],
        "licence": LICENCE,
    }
    (out / f"{name}.json").write_text(json.dumps(sidecar, indent=2) + "\n")


@torch.no_grad()
def windows_loss(model: TinyMoE, tokens: np.ndarray) -> tuple[float, float]:
    """Loss [nats/token] and top-1 share over consecutive windows of the context length."""
    context = model.shape.context
    n = (len(tokens) - 1) // context
    x = torch.from_numpy(tokens[: n * context + 1].astype(np.int64))
    losses, hits = [], []
    for start in range(0, n, 16):
        inputs = torch.stack([x[i * context : (i + 1) * context] for i in range(start, min(n, start + 16))])
        targets = torch.stack([x[i * context + 1 : (i + 1) * context + 1] for i in range(start, min(n, start + 16))])
        logits, _ = model(inputs)
        losses.append(torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none"))
        hits.append((logits.argmax(-1) == targets).flatten().float())
    return torch.cat(losses).mean().item(), torch.cat(hits).mean().item()


@torch.no_grad()
def check_equal_logits(model: TinyMoE, out: Path, tokens: np.ndarray) -> float:
    """Largest difference to what ``transformers`` computes from the written checkpoint."""
    from transformers import AutoModelForCausalLM

    library = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32, local_files_only=True).eval()
    x = torch.from_numpy(tokens[: 4 * 256].astype(np.int64)).view(4, 256)
    difference = (library(x).logits - model(x)[0]).abs().max().item()
    if difference > 1e-3:
        raise SystemExit(f"logits differ by {difference}")
    return difference


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    work, out = arguments.work, arguments.out
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    state = torch.load(work / "checkpoint.pt", weights_only=True)
    model = TinyMoE(Shape())
    model.load_state_dict({name: tensor.half().float() for name, tensor in state["model"].items()})
    model.eval()
    shutil.copy(work / "tokenizer.json", out / "tokenizer.json")
    (out / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|endoftext|>"}, indent=2) + "\n"
    )
    write_config(model.shape, out)
    save_file(checkpoint_tensors(model), out / "model.safetensors", metadata={"format": "pt"})
    train, heldout = np.load(work / "train.npy"), np.load(work / "heldout.npy")
    shipped = heldout[:HELDOUT_TOKENS]
    write_tokens(shipped, "heldout", "held-out text for accuracy", work, out)
    write_tokens(train[-CALIBRATION_TOKENS:], "calibration", "training text for converter ranges", work, out)
    tokenizer = Tokenizer.from_file(str(out / "tokenizer.json"))
    documents = json.loads((work / "heldout_documents.json").read_text())
    n_items = make_items(heldout, documents, tokenizer, out / "multiple_choice.jsonl")
    loss, top1 = windows_loss(model, shipped)
    facts = {
        "steps": state["step"],
        "parameters": sum(p.numel() for p in model.parameters()),
        "logit_difference": check_equal_logits(model, out, shipped),
        "heldout_loss_nats": loss,
        "heldout_top1_fraction": top1,
        "multiple_choice_items": n_items,
        "bits_per_byte": bits_per_byte_table(train, shipped, tokenizer, loss, model.shape.vocab),
        "log": [json.loads(line) for line in (work / "train.jsonl").read_text().splitlines()],
    }
    (work / "facts.json").write_text(json.dumps(facts, indent=1))
    print(json.dumps({k: v for k, v in facts.items() if k != "log"}, indent=1))


if __name__ == "__main__":
    main()
