"""Multiple-choice items from held-out text: which of four continuations follows the context."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

N_ITEMS = 1200
CONTEXT_TOKENS = 48
CONTINUATION_TOKENS = 12
N_CHOICES = 4


def make_items(tokens: np.ndarray, documents: list[dict], tokenizer: Tokenizer, path: Path) -> int:
    """Writes the items; distractors are continuations of other held-out places of the same package."""
    generator = np.random.default_rng(20260)
    length = CONTEXT_TOKENS + CONTINUATION_TOKENS
    places: dict[str, list[int]] = {}
    for document in documents:
        start, end = document["start"], document["start"] + document["tokens"] - 1
        places.setdefault(document["source"], []).extend(range(start, end - length, length))
    all_places = [(source, place) for source, starts in places.items() for place in starts]
    chosen = generator.permutation(len(all_places))[:N_ITEMS]
    lines = []
    for index in chosen:
        source, place = all_places[index]
        others = [p for p in places[source] if abs(p - place) > 4 * length]
        starts = [place, *generator.choice(others, N_CHOICES - 1, replace=False)]
        endings = [tokens[s + CONTEXT_TOKENS : s + length].tolist() for s in starts]
        order = generator.permutation(N_CHOICES)
        context = tokens[place : place + CONTEXT_TOKENS].tolist()
        choices = [endings[i] for i in order]
        item = {
            "context_tokens": context,
            "choices_tokens": choices,
            "answer": int(np.argmin(order)),
            "source": source,
            "context": tokenizer.decode(context),
            "choices": [tokenizer.decode(choice) for choice in choices],
        }
        lines.append(json.dumps(item))
    path.write_text("\n".join(lines) + "\n")
    return len(lines)
