"""What simpler models make of the same held-out text, in bits per byte."""

from __future__ import annotations

import gzip
import lzma

import numpy as np
from tokenizers import Tokenizer


class WittenBell:
    """Interpolated n-gram model of order 1 to 3 over tokens (Witten and Bell, IEEE Trans. Inf. Theory 37, 1991)."""

    def __init__(self, train: np.ndarray, vocabulary: int) -> None:
        self.v = vocabulary
        t = train.astype(np.int64)
        self.unigram = (np.bincount(t, minlength=vocabulary) + 1) / (len(t) + vocabulary)
        self.pairs = self.table(t[:-1] * vocabulary + t[1:])
        self.triples = self.table((t[:-2] * vocabulary + t[1:-1]) * vocabulary + t[2:])

    def table(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Sorted n-grams with counts, and their histories with totals and numbers of distinct continuations."""
        grams, counts = np.unique(keys, return_counts=True)
        histories, first = np.unique(grams // self.v, return_index=True)
        totals = np.add.reduceat(counts, first)
        kinds = np.diff(np.append(first, len(grams)))
        return grams, counts, histories, totals, kinds

    def mix(
        self, table: tuple[np.ndarray, ...], history: np.ndarray, word: np.ndarray, lower: np.ndarray
    ) -> np.ndarray:
        grams, counts, histories, totals, kinds = table
        at = np.minimum(np.searchsorted(histories, history), len(histories) - 1)
        known = histories[at] == history
        total, kind = np.where(known, totals[at], 0), np.where(known, kinds[at], 1)
        key = history * self.v + word
        place = np.minimum(np.searchsorted(grams, key), len(grams) - 1)
        count = np.where(grams[place] == key, counts[place], 0)
        return np.where(known, (count + kind * lower) / (total + kind), lower)

    def bits(self, tokens: np.ndarray, order: int) -> float:
        """Mean bits per token from the third token on."""
        t = tokens.astype(np.int64)
        word, previous, before = t[2:], t[1:-1], t[:-2]
        p = self.unigram[word]
        if order > 1:
            p = self.mix(self.pairs, previous, word, p)
        if order > 2:
            p = self.mix(self.triples, before * self.v + previous, word, p)
        return float(-np.log2(p).mean())


def bits_per_byte_table(
    train: np.ndarray, heldout: np.ndarray, tokenizer: Tokenizer, model_loss_nats: float, vocabulary: int
) -> dict[str, float]:
    """Bits per byte on the shipped held-out text; the compressors see all of it and adapt as they go."""
    text = tokenizer.decode(heldout.tolist(), skip_special_tokens=True).encode()
    tokens_per_byte = len(heldout) / len(text)
    ngram = WittenBell(train, vocabulary)
    orders = enumerate(("unigram", "bigram", "trigram"), 1)
    table = {name: ngram.bits(heldout, order) * tokens_per_byte for order, name in orders}
    table["gzip -9"] = 8 * len(gzip.compress(text, 9)) / len(text)
    table["xz -9e"] = 8 * len(lzma.compress(text, preset=9 | lzma.PRESET_EXTREME)) / len(text)
    table["model"] = model_loss_nats / np.log(2) * tokens_per_byte
    table["heldout_bytes"] = len(text)
    return table
