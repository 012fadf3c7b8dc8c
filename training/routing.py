"""Counts which experts the shipped model chooses on its calibration text, and keeps a short trace of the choices.

python training/routing.py [--checkpoint workloads/tiny_moe]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from transformers import OlmoeForCausalLM

CONTEXT = 128
COUNTED_TOKENS = 32_768
TRACED_TOKENS = 256


def chosen_experts(folder: Path) -> np.ndarray:
    """(layers, tokens, top_k): experts of every token of the calibration text."""
    model = OlmoeForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokens = np.load(folder / "calibration.npy")[:COUNTED_TOKENS].astype(np.int64)
    windows = torch.from_numpy(tokens[: len(tokens) // CONTEXT * CONTEXT].reshape(-1, CONTEXT))
    found = []
    with torch.no_grad():
        for batch in windows.split(16):
            logits = model(batch, output_router_logits=True).router_logits
            found.append([layer.topk(model.config.num_experts_per_tok).indices.numpy() for layer in logits])
    return np.concatenate([np.stack(layers) for layers in found], axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, default=Path("workloads/tiny_moe"))
    folder = parser.parse_args().checkpoint
    chosen = chosen_experts(folder)
    n_layers, n_tokens, _ = chosen.shape
    n_experts = int(chosen.max()) + 1
    lines = [
        f"# measured: share of {n_tokens} tokens of calibration.npy (windows of {CONTEXT}) that chose the expert",
        "# made by: training/routing.py",
        "layer,expert,probability",
    ]
    for layer in range(n_layers):
        share = np.bincount(chosen[layer].ravel(), minlength=n_experts) / n_tokens
        lines += [f"{layer},{expert},{value:.6f}" for expert, value in enumerate(share)]
    (folder / "routing.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    lines = [
        f"# the first {TRACED_TOKENS} tokens of calibration.npy",
        "# made by: training/routing.py",
        "token,layer,expert",
    ]
    for token in range(TRACED_TOKENS):
        lines += [f"{token},{layer},{e}" for layer in range(n_layers) for e in sorted(chosen[layer, token].tolist())]
    (folder / "trace.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
