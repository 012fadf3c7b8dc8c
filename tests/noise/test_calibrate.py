import pytest
import torch

from dse.noise import calibrate
from dse.noise.calibrate import measure_ranges
from dse.noise.convert import noisy_model
from dse.noise.metrics import evaluate_model
from dse.noise.ranges import RangePlan

from .small import (
    EXPERTS,
    INNER,
    VOCABULARY,
    WIDTH,
    make_architecture,
    make_core,
    make_device,
    make_mapping,
    make_model,
)


def captured(module, model, tokens):
    """What a module is given and gives on these tokens, flattened to rows."""
    seen = []
    handle = module.register_forward_hook(lambda _, inputs, output: seen.append((inputs[0], output)))
    with torch.inference_mode():
        model(input_ids=tokens, use_cache=False)
    handle.remove()
    return tuple(torch.cat([call[k].reshape(-1, call[k].shape[-1]) for call in seen]) for k in (0, 1))


def test_ranges_are_the_largest_values_that_pass_each_slice(model, text):
    tokens = text[:, :-1]
    found = measure_ranges(model, tokens, plans=[RangePlan(WIDTH), RangePlan(16)])
    x, y = captured(model.lm_head, model, tokens)
    whole = found["head", ("head",), RangePlan(WIDTH)]
    assert whole.input.item() == x.abs().max()
    torch.testing.assert_close(whole.output[0], y.abs().amax(0))
    halves = found["head", ("head",), RangePlan(16)]  # 24 inputs on 16 rows: 12 + 12
    assert halves.input.tolist() == [x[:, :12].abs().max(), x[:, 12:].abs().max()]
    torch.testing.assert_close(halves.output[1], (x[:, 12:] @ model.lm_head.weight[:, 12:].T).abs().amax(0))
    assert halves.output.shape == (2, VOCABULARY)


def test_every_matrix_has_ranges_and_gate_and_up_share_their_inputs(model, text):
    found = measure_ranges(model, text[:, :-1], plans=[RangePlan(512)])
    assert len(found) == 2 * (4 + 1 + 2 * EXPERTS) + 1
    assert found["layers.0.experts.1", ("gate", "up"), RangePlan(512)].output.shape == (1, 2 * INNER)
    assert all((r.input > 0).all() and (r.output > 0).all() for r in found.values())


def test_measuring_leaves_the_model_alone(text):
    model = make_model()
    before = repr(model)
    measure_ranges(model, text[:, :-1], plans=[RangePlan(512)])
    assert repr(model) == before
    assert not model.model.layers[0].mlp.experts._forward_pre_hooks


def test_experts_that_calibration_rarely_visits_are_calibrated_on_all_tokens(model, text, monkeypatch):
    tokens, experts = text[:, :-1], model.model.layers[1].mlp.experts
    chosen = []
    handle = model.model.layers[1].mlp.gate.register_forward_hook(lambda *args: chosen.append(args[2][2]))
    x, _ = captured(experts, model, tokens)
    handle.remove()
    products = (x @ experts.gate_up_proj[3].T).abs()
    visited = (chosen[0] == 3).any(dim=1)
    expected = {0: products[visited], 10**9: products}  # fewest visits -> tokens that count
    for fewest, counted in expected.items():
        monkeypatch.setattr(calibrate, "MIN_VISITS", fewest)
        found = measure_ranges(model, tokens, plans=[RangePlan(512)])[
            "layers.1.experts.3", ("gate", "up"), RangePlan(512)
        ]
        torch.testing.assert_close(found.output[0], counted.amax(0))
    assert found.input.item() == x.abs().max()


def test_fine_converters_leave_the_loss_and_coarse_ones_raise_the_error(model, text):
    digital = evaluate_model(model, text)["loss_nats"]
    ranges = measure_ranges(model, text[:, :-1], plans=[RangePlan(512)])
    errors = []
    for bits in (16, 8, 4):
        arch = make_architecture(make_core(make_device(noise=0.0), bits=bits))
        chip = noisy_model(model, make_mapping(lambda block: True), arch, seed=0, ranges=ranges)
        errors.append(abs(evaluate_model(chip, text)["loss_nats"] - digital))
    assert errors[0] == pytest.approx(0, abs=1e-3)
    assert errors[0] < errors[1] < errors[2]
