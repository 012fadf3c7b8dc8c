"""What a model does on text: loss, share of right next tokens, share of right choices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dse.noise.data import Item
from dse.noise.trace import Trace, watched_layers

# N windows, C context, V vocabulary, L longest sequence of a batch

BATCH_TOKENS = 2048
"""Tokens that run together; the same for every model, so that differences between models are differences of weights."""


class Continuation(NamedTuple):
    """A context and what may follow it, as tokens; neither is empty."""

    context: Sequence[int]
    following: Sequence[int]

    @property
    def length(self) -> int:
        """Tokens of both."""
        return len(self.context) + len(self.following)


class Score(NamedTuple):
    """How likely a continuation is."""

    log_probability: float
    """Summed over its tokens [nats]."""
    is_greedy: bool
    """Whether every token is the likeliest one."""


def evaluate_model(
    model: nn.Module, windows: Tensor, items: Sequence[Item] = (), *, trace: Trace | None = None
) -> dict[str, float]:
    """Metric → value: loss_nats, perplexity, top1_fraction and, with items, multiple_choice_fraction.

    Args:
        model: a causal language model of ``transformers``.
        windows: tokens (N, C + 1); each window predicts C tokens.
        items: multiple-choice items, answered by the largest summed log-probability of a choice.
        trace: filled with what the MoE layers do on the first batch.
    """
    with torch.inference_mode():
        metrics = text_metrics(model, windows.to(device_of(model)), trace)
        if items:
            metrics["multiple_choice_fraction"] = multiple_choice_fraction(model, items)
    return metrics


def device_of(model: nn.Module) -> torch.device:
    """Where the model takes its tokens: the device of its first parameter, the embedding."""
    return next(model.parameters()).device


def text_batches(windows: Tensor) -> Sequence[Tensor]:
    """Windows that run together."""
    return torch.split(windows, max(1, BATCH_TOKENS // (windows.shape[1] - 1)))


def text_metrics(model: nn.Module, windows: Tensor, trace: Trace | None) -> dict[str, float]:
    """Mean loss [nats/token] and its relatives over all predicted tokens."""
    loss, hits = 0.0, 0
    for number, part in enumerate(text_batches(windows)):
        with nullcontext() if trace is None or number else watched_layers(model, trace):
            logits = model(input_ids=part[:, :-1], use_cache=False).logits.flatten(0, 1)  # (n·C, V)
        target = part[:, 1:].flatten()
        loss += F.cross_entropy(logits.float(), target, reduction="none").double().sum().item()
        hits += int((logits.argmax(dim=-1) == target).sum())
    tokens = len(windows) * (windows.shape[1] - 1)
    return {"loss_nats": loss / tokens, "perplexity": math.exp(loss / tokens), "top1_fraction": hits / tokens}


def trace_of(model: nn.Module, windows: Tensor) -> Trace:
    """What the MoE layers of a model do on the first batch of a text."""
    trace: Trace = {}
    with torch.inference_mode(), watched_layers(model, trace):
        model(input_ids=text_batches(windows)[0][:, :-1].to(device_of(model)), use_cache=False)
    return trace


def multiple_choice_fraction(model: nn.Module, items: Sequence[Item]) -> float:
    """Share of items whose right choice has the largest summed log-probability after the context."""
    scores = iter(score_continuations(model, [Continuation(i.context, c) for i in items for c in i.choices]))
    right = 0
    for item in items:
        found = [next(scores).log_probability for _ in item.choices]
        right += max(range(len(found)), key=found.__getitem__) == item.answer
    return right / len(items)


def score_continuations(model: nn.Module, asked: Sequence[Continuation]) -> list[Score]:
    """The score of each continuation, in the order given; sequences of like length run together."""
    order = sorted(range(len(asked)), key=lambda i: asked[i].length)
    scores: dict[int, Score] = {}
    start = 0
    while start < len(order):
        stop = start + 1
        while stop < len(order) and (stop + 1 - start) * asked[order[stop]].length <= BATCH_TOKENS:
            stop += 1
        batch = order[start:stop]
        scores |= dict(zip(batch, score_batch(model, [asked[i] for i in batch]), strict=True))
        start = stop
    return [scores[i] for i in range(len(asked))]


def score_batch(model: nn.Module, batch: Sequence[Continuation]) -> list[Score]:
    """The scores of continuations that run together.

    Sequences are padded on the right, where a causal model's earlier positions do not see it.
    """
    longest = max(part.length for part in batch)
    tokens = torch.zeros(len(batch), longest, dtype=torch.long)  # (n, L)
    counted = torch.zeros(len(batch), longest - 1, dtype=torch.bool)
    for row, part in enumerate(batch):
        tokens[row, : part.length] = torch.tensor([*part.context, *part.following])
        counted[row, len(part.context) - 1 : part.length - 1] = True
    tokens, counted = tokens.to(device_of(model)), counted.to(device_of(model))
    logits = model(input_ids=tokens[:, :-1], use_cache=False).logits  # (n, L − 1, V)
    losses = F.cross_entropy(logits.float().flatten(0, 1), tokens[:, 1:].flatten(), reduction="none").view_as(counted)
    sums = (-losses.double() * counted).sum(dim=1).tolist()
    greedy = ((logits.argmax(dim=-1) == tokens[:, 1:]) | ~counted).all(dim=1).tolist()
    return [Score(*score) for score in zip(sums, greedy, strict=True)]
