"""What a model does on text: loss, share of right next tokens, share of right choices."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dse.noise.data import Item

# N windows, C context, V vocabulary, L longest sequence of a batch

BATCH_TOKENS = 2048
"""Tokens that run together; the same for every model, so that differences between models are differences of weights."""


def evaluate_model(model: nn.Module, windows: Tensor, items: Sequence[Item] = ()) -> dict[str, float]:
    """Metric → value: loss_nats, perplexity, top1_fraction and, with items, multiple_choice_fraction.

    Args:
        model: a causal language model of ``transformers``.
        windows: tokens (N, C + 1); each window predicts C tokens.
        items: multiple-choice items, answered by the largest summed log-probability of a choice.
    """
    with torch.inference_mode():
        metrics = text_metrics(model, windows)
        if items:
            metrics["multiple_choice_fraction"] = multiple_choice_fraction(model, items)
    return metrics


def text_metrics(model: nn.Module, windows: Tensor) -> dict[str, float]:
    """Mean loss [nats/token] and its relatives over all predicted tokens."""
    loss, hits = 0.0, 0
    context = windows.shape[1] - 1
    for part in torch.split(windows, max(1, BATCH_TOKENS // context)):
        logits = model(input_ids=part[:, :-1], use_cache=False).logits.flatten(0, 1)  # (n·C, V)
        target = part[:, 1:].flatten()
        loss += F.cross_entropy(logits, target, reduction="none").double().sum().item()
        hits += int((logits.argmax(dim=-1) == target).sum())
    tokens = len(windows) * context
    return {"loss_nats": loss / tokens, "perplexity": math.exp(loss / tokens), "top1_fraction": hits / tokens}


def multiple_choice_fraction(model: nn.Module, items: Sequence[Item]) -> float:
    """Share of items whose right choice has the largest summed log-probability after the context."""
    candidates = [(i, c) for i, item in enumerate(items) for c in range(len(item.choices))]

    def length(candidate: tuple[int, int]) -> int:
        item = items[candidate[0]]
        return len(item.context) + len(item.choices[candidate[1]])

    candidates.sort(key=length)
    scores = [[-math.inf] * len(item.choices) for item in items]
    start = 0
    while start < len(candidates):
        stop = start + 1
        while stop < len(candidates) and (stop + 1 - start) * length(candidates[stop]) <= BATCH_TOKENS:
            stop += 1
        batch = candidates[start:stop]
        pairs = [(items[i].context, items[i].choices[c]) for i, c in batch]
        for (i, c), score in zip(batch, continuation_scores(model, pairs), strict=True):
            scores[i][c] = score
        start = stop
    right = sum(
        max(range(len(row)), key=row.__getitem__) == item.answer for row, item in zip(scores, items, strict=True)
    )
    return right / len(items)


def continuation_scores(model: nn.Module, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[float]:
    """Summed log-probability [nats] of each continuation after its context.

    Sequences are padded on the right, where a causal model's earlier positions do not see it.
    """
    longest = max(len(context) + len(choice) for context, choice in pairs)
    tokens = torch.zeros(len(pairs), longest, dtype=torch.long)  # (n, L)
    counted = torch.zeros(len(pairs), longest - 1, dtype=torch.bool)
    for row, (context, choice) in enumerate(pairs):
        tokens[row, : len(context) + len(choice)] = torch.tensor([*context, *choice])
        counted[row, len(context) - 1 : len(context) + len(choice) - 1] = True
    logits = model(input_ids=tokens[:, :-1], use_cache=False).logits  # (n, L − 1, V)
    losses = F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten(), reduction="none").view_as(counted)
    scores: list[float] = (-losses.double() * counted).sum(dim=1).tolist()
    return scores
