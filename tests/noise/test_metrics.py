import math

import pytest
import torch

from dse.noise import metrics
from dse.noise.data import Item, read_items
from dse.noise.metrics import evaluate_model

from .small import CONTEXT, VOCABULARY, write_items


def test_loss_is_that_of_the_library(model, text):
    found = evaluate_model(model, text)
    with torch.inference_mode():
        # other program: the loss of transformers over the same windows, which counts C - 1 of C given tokens
        expected = model(input_ids=text, labels=text).loss.item()
        logits = model(input_ids=text[:, :-1]).logits
    assert found["loss_nats"] == pytest.approx(expected, rel=1e-5)
    assert found["perplexity"] == pytest.approx(math.exp(expected), rel=1e-5)
    assert found["top1_fraction"] == (logits.argmax(-1) == text[:, 1:]).float().mean().item()
    assert "multiple_choice_fraction" not in found


def test_batches_do_not_change_the_metrics(model, text, monkeypatch):
    whole = evaluate_model(model, text)
    monkeypatch.setattr(metrics, "BATCH_TOKENS", 3 * CONTEXT)
    assert evaluate_model(model, text) == pytest.approx(whole, rel=1e-6)


@pytest.mark.parametrize("batch_tokens", [1, 40, 2048])
def test_choices_are_scored_by_their_summed_log_probability(model, text, tmp_path, monkeypatch, batch_tokens):
    monkeypatch.setattr(metrics, "BATCH_TOKENS", batch_tokens)
    items = read_items(write_items(tmp_path, 20), vocab_size=VOCABULARY, context=CONTEXT, n_items=None)

    def score(context, choice):  # brute force: one sequence at a time
        logits = model(input_ids=torch.tensor([[*context, *choice]])).logits[0].log_softmax(-1)
        return sum(logits[len(context) - 1 + i, token].item() for i, token in enumerate(choice))

    with torch.inference_mode():
        best = [max(range(4), key=lambda c, item=item: score(item.context, item.choices[c])) for item in items]
    expected = sum(b == item.answer for b, item in zip(best, items, strict=True)) / 20
    assert evaluate_model(model, text[:1], items)["multiple_choice_fraction"] == expected


def test_an_item_whose_answer_the_model_predicts_counts_as_right(model, text):
    with torch.inference_mode():
        likely = model(input_ids=torch.tensor([[1, 2, 3]])).logits[0, -1].argmax().item()
    choices = tuple((token,) for token in ((likely + 1) % VOCABULARY, likely, (likely + 2) % VOCABULARY))
    for answer, expected in ((1, 1.0), (0, 0.0)):
        item = Item((1, 2, 3), choices, answer)
        assert evaluate_model(model, text[:1], [item])["multiple_choice_fraction"] == expected
