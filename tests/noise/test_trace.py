import math

import pytest
import torch

from dse.noise.metrics import evaluate_model, trace_of
from dse.noise.trace import layer_record

from .small import CONTEXT, EXPERTS, LAYERS, TOP_K, WIDTH, make_model


def records(model, other, text):
    digital, chip = trace_of(model, text), trace_of(other, text)
    return [layer_record(layer, digital[layer], chip[layer]) for layer in digital]


def test_a_trace_holds_choice_and_output_of_every_moe_layer(model, text):
    trace = trace_of(model, text)
    assert list(trace) == list(range(LAYERS))
    for layer in trace.values():
        assert layer.chosen.shape == (8 * CONTEXT, TOP_K)
        assert layer.output.shape == (8 * CONTEXT, WIDTH)
        assert layer.load.sum().item() == pytest.approx(TOP_K)  # every token chooses top_k experts
        assert len(layer.load) == EXPERTS


def test_a_model_does_not_differ_from_itself(model, text):
    for record in records(model, model, text):
        assert record["routing_changed_fraction"] == 0.0
        assert record["snr_db"] == math.inf


def test_an_output_that_is_a_tenth_too_large_has_20_db(model, text):
    louder = make_model()
    with torch.no_grad():
        louder.model.layers[1].mlp.experts.down_proj *= 1.1
    before, changed = records(model, louder, text)
    assert before["snr_db"] == math.inf
    assert changed["snr_db"] == pytest.approx(20.0, abs=1e-3)  # closed form: 20 log10(1 / 0.1)
    assert changed["routing_changed_fraction"] == 0.0


def test_other_routers_send_tokens_elsewhere(model, text):
    turned = make_model()
    with torch.no_grad():
        turned.model.layers[0].mlp.gate.weight *= -1
    first = records(model, turned, text)[0]
    assert first["routing_changed_fraction"] == 1.0  # brute force: the least likely two of four are chosen instead
    assert first["load"] != trace_of(model, text)[0].load.tolist()


def test_watching_changes_no_metric_and_leaves_no_hook(model, text):
    trace = {}
    assert evaluate_model(model, text, trace=trace) == evaluate_model(model, text)
    assert sorted(trace) == list(range(LAYERS))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
