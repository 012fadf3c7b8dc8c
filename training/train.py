"""Trains the tiny model on the token arrays of ``corpus.py``; resumes from its own checkpoint.

One pinned thread; a stop loses at most 250 steps::

    OMP_NUM_THREADS=1 python training/train.py --work DIR --steps 8000
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from model import Shape, TinyMoE

BATCH = 8
PEAK_RATE = 3e-3
FINAL_RATE_FRACTION = 0.05
WARM_UP_STEPS = 200
SEED = 0


def learning_rate(step: int, steps: int) -> float:
    """Linear warm-up, then cosine."""
    if step < WARM_UP_STEPS:
        return PEAK_RATE * (step + 1) / WARM_UP_STEPS
    progress = (step - WARM_UP_STEPS) / max(1, steps - WARM_UP_STEPS)
    return PEAK_RATE * (FINAL_RATE_FRACTION + (1 - FINAL_RATE_FRACTION) * 0.5 * (1 + math.cos(math.pi * progress)))


def batch(tokens: np.ndarray, step: int, context: int) -> torch.Tensor:
    """Windows (B, context + 1) at positions that depend on the seed and the step only."""
    starts = np.random.default_rng([SEED, step]).integers(0, len(tokens) - context - 1, BATCH)
    return torch.from_numpy(np.stack([tokens[s : s + context + 1] for s in starts]).astype(np.int64))


@torch.no_grad()
def validation_loss(model: TinyMoE, tokens: np.ndarray, windows: int = 64) -> float:
    """Mean loss [nats/token] over evenly spaced windows."""
    context = model.shape.context
    starts = np.linspace(0, len(tokens) - context - 1, windows).astype(int)
    x = torch.from_numpy(np.stack([tokens[s : s + context + 1] for s in starts]).astype(np.int64))
    logits, _ = model(x[:, :-1])
    return F.cross_entropy(logits.flatten(0, 1), x[:, 1:].flatten()).item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=8000)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    torch.use_deterministic_algorithms(True)
    model = TinyMoE(Shape())
    decayed = [p for p in model.parameters() if p.dim() > 1]
    plain = [p for p in model.parameters() if p.dim() <= 1]
    optimiser = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.1}, {"params": plain, "weight_decay": 0.0}],
        lr=PEAK_RATE, betas=(0.9, 0.95), fused=True,
    )  # fmt: skip
    train, valid = (np.load(arguments.work / f"{name}.npy", mmap_mode="r") for name in ("train", "valid"))
    checkpoint = arguments.work / "checkpoint.pt"
    first = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        first = state["step"]
    started, log = time.time(), (arguments.work / "train.jsonl").open("a")
    for step in range(first, arguments.steps):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, arguments.steps)
        x = batch(train, step, model.shape.context)
        logits, auxiliary = model(x[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1), x[:, 1:].flatten())
        optimiser.zero_grad(set_to_none=True)
        (loss + auxiliary).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        if (step + 1) % 250 == 0 or step + 1 == arguments.steps:
            entry = {"step": step + 1, "loss": loss.item(), "valid": validation_loss(model, valid)}
            entry["seconds"] = time.time() - started
            log.write(json.dumps(entry) + "\n")
            log.flush()
            partial = checkpoint.with_suffix(".part")
            torch.save({"model": model.state_dict(), "optimiser": optimiser.state_dict(), "step": step + 1}, partial)
            partial.replace(checkpoint)


if __name__ == "__main__":
    main()
