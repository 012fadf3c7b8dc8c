import copy
import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from dse.errors import SpecError
from dse.mapping.model import Mapping
from dse.noise.calibrate import measure_ranges
from dse.noise.convert import noisy_model
from dse.noise.linear import AnalogLinear
from dse.noise.ranges import RangePlan
from dse.noise.rebuild import rebuilt
from dse.noise.sites import sites
from dse.noise.weight import noisy_weight
from dse.spec.analog_core import Read
from dse.spec.converter_range import ShortTermNoise

from .small import EXPERTS, LAYERS, block_names, make_architecture, make_core, make_device, make_mapping, make_model


def logits(model, text):
    with torch.inference_mode():
        return model(input_ids=text[:, :-1], use_cache=False).logits


def chosen_experts(model, text, layer):
    """Experts of every token in one layer: (tokens, top_k)."""
    found = []
    handle = model.model.layers[layer].mlp.gate.register_forward_hook(lambda *args: found.append(args[2][2]))
    logits(model, text)
    handle.remove()
    return found[0]


@pytest.mark.parametrize(
    "changes",
    [{}, {"norm_topk_prob": True}, {"num_key_value_heads": 1, "hidden_size": 20}, {"num_experts_per_tok": 1}],
    ids=["plain", "normalised", "grouped heads", "top-1"],
)
def test_an_all_digital_mapping_equals_the_plain_model_bit_for_bit(text, changes):
    model = make_model(**changes)
    digital = noisy_model(model, make_mapping(()), make_architecture(), seed=0)
    assert torch.equal(logits(digital, text), logits(model, text))


def test_digital_blocks_share_the_very_same_parameters(model):
    chip = noisy_model(model, make_mapping(["layers.0.attention", "head"]), make_architecture(), seed=0)
    own = {name: parameter.data_ptr() for name, parameter in model.named_parameters()}
    shared = {name: parameter.data_ptr() for name, parameter in chip.named_parameters()}
    assert shared.items() <= own.items()
    replaced = {f"model.layers.0.self_attn.{m}_proj.weight" for m in "qkvo"} | {"lm_head.weight"}
    assert own.keys() - shared.keys() == replaced


def test_the_given_model_is_left_as_it_was(text):
    model = make_model()
    before, structure, state = logits(model, text), repr(model), copy.deepcopy(model.state_dict())
    implementation = model.config._experts_implementation
    chip = noisy_model(model, make_mapping(lambda block: True), make_architecture(), seed=0)
    logits(chip, text)
    assert repr(model) == structure
    assert model.config._experts_implementation == implementation
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in state.items())
    assert torch.equal(logits(model, text), before)


def test_folded_weights_without_noise_leave_the_logits(model, text):
    silent = make_architecture(make_core(make_device(noise=0.0)))
    chip = noisy_model(model, make_mapping(lambda block: True), silent, seed=0)
    torch.testing.assert_close(logits(chip, text), logits(model, text), atol=1e-5, rtol=1e-5)


def test_an_analog_expert_changes_only_the_tokens_that_visit_it(model, text):
    block, last = 2, LAYERS - 1
    chip = noisy_model(model, make_mapping([f"layers.{last}.experts.{block}"]), make_architecture(), seed=0)
    changed = (logits(chip, text) != logits(model, text)).any(dim=-1).flatten()
    visited = (chosen_experts(model, text, last) == block).any(dim=-1)
    assert torch.equal(changed, visited)
    assert 0 < visited.sum() < len(visited)


@pytest.mark.parametrize("block", ["layers.0.attention", "layers.1.router", "layers.0.experts.3", "head"])
@pytest.mark.parametrize("with_converters", [False, True])
def test_every_kind_of_block_can_be_analog(model, text, block, with_converters):
    ranges = measure_ranges(model, text[:, :-1], plans=[RangePlan(512)]) if with_converters else None
    chip = noisy_model(model, make_mapping([block]), make_architecture(), seed=0, ranges=ranges)
    found = logits(chip, text)
    assert not torch.equal(found, logits(model, text))
    assert found.isfinite().all()


def test_weights_of_a_chip_carry_the_keyed_noise_of_each_matrix(model):
    arch = make_architecture(make_core(rows=10, cols=7))
    core = arch.analog_cores[0]
    chip = noisy_model(model, make_mapping(lambda block: True), arch, seed=3, sign=-1, scale=2.0)
    experts = model.model.layers[1].mlp.experts
    gate, up = experts.gate_up_proj[2].chunk(2)
    keyed = {"seed": 3, "sign": -1, "scale": 2.0, "block": "layers.1.experts.2"}
    expected = [
        noisy_weight(weight, core.device, core, matrix=name, **keyed)
        for name, weight in (("gate", gate), ("up", up), ("down", experts.down_proj[2]))
    ]
    found = chip.model.layers[1].mlp.experts.replaced["2"]
    assert torch.equal(found.gate_up.weight, torch.cat(expected[:2]))
    assert torch.equal(found.down.weight, expected[2])


def test_a_block_has_the_same_noise_in_every_mapping(model):
    few, many = (
        noisy_model(model, make_mapping(blocks), make_architecture(), seed=1)
        for blocks in (["layers.1.experts.0"], block_names())
    )
    weights = [chip.model.layers[1].mlp.experts.replaced["0"].down.weight for chip in (few, many)]
    assert torch.equal(*weights)


def test_each_block_gets_the_device_of_its_group(model):
    silent, loud = make_core(make_device(noise=0.0), name="silent"), make_core(make_device(noise=5.0), name="loud")
    arch = make_architecture(silent, loud)
    placement = dict(make_mapping(lambda block: True, group="silent").placement)
    placement["head"] = make_mapping(["head"], group="loud").placement["head"]
    chip = noisy_model(model, dataclasses.replace(make_mapping(()), placement=placement), arch, seed=0)
    assert torch.equal(chip.model.layers[0].self_attn.q_proj.weight, model.model.layers[0].self_attn.q_proj.weight)
    assert not torch.equal(chip.lm_head.weight, model.lm_head.weight)


def test_a_tied_head_gets_noise_while_the_embedding_keeps_its_weights(text):
    model = make_model(tie_word_embeddings=True)
    chip = noisy_model(model, make_mapping(["head"]), make_architecture(), seed=0)
    assert chip.model.embed_tokens.weight.data_ptr() == model.lm_head.weight.data_ptr()
    assert isinstance(chip.lm_head, AnalogLinear)


def test_biases_are_added_digitally(text):
    model = make_model(attention_bias=True)
    for name in "qkvo":
        getattr(model.model.layers[0].self_attn, f"{name}_proj").bias.fill_(0.3)
    silent = make_architecture(make_core(make_device(noise=0.0), bits=24))
    ranges = measure_ranges(model, text[:, :-1], plans=[RangePlan(512)])
    chip = noisy_model(model, make_mapping(lambda block: True), silent, seed=0, ranges=ranges)
    torch.testing.assert_close(logits(chip, text), logits(model, text), atol=1e-4, rtol=1e-4)


def test_router_logits_can_still_be_recorded(model, text):
    chip = noisy_model(model, make_mapping(["layers.0.router"]), make_architecture(), seed=0)
    with torch.inference_mode():
        found = chip(input_ids=text[:, :-1], output_router_logits=True).router_logits
    assert [layer.shape[-1] for layer in found] == [EXPERTS] * LAYERS


def test_sites_are_the_matrices_of_every_block(model):
    assert list(dict.fromkeys(site.block for site in sites(model))) == block_names()
    assert sum(site.weight.numel() for site in sites(model)) == sum(
        p.numel() for name, p in model.named_parameters() if p.dim() > 1 and "embed" not in name
    )


def test_other_model_classes_are_refused_by_name():
    with pytest.raises(SpecError, match="model of class Linear: expected a causal language model of transformers"):
        noisy_model(nn.Linear(2, 2), make_mapping(()), make_architecture(), seed=0)


def test_formats_of_other_than_16_or_32_bits_are_refused():
    with pytest.raises(SpecError, match=r"model of torch\.float64: this version takes float32, bfloat16, float16"):
        noisy_model(make_model().double(), make_mapping(()), make_architecture(), seed=0)


def test_a_noisy_copy_is_not_noised_again(model):
    chip = noisy_model(model, make_mapping(["layers.0.router"]), make_architecture(), seed=0)
    with pytest.raises(SpecError, match="noisy copy already"):
        rebuilt(chip, lambda site: None)


def changed_mapping(**options):
    placement = dict(make_mapping(lambda block: True).placement)
    for name, option in options.items():
        placement[name.replace("_", ".")] = option
    return Mapping(placement=placement, objective="test", value=0, bound=0, status="rule")


def test_a_mapping_of_another_model_is_refused_with_every_block(model):
    mapping = changed_mapping()
    placement = {b.replace("layers.1", "layers.7"): o for b, o in mapping.placement.items()}
    with pytest.raises(SpecError) as caught:
        noisy_model(model, dataclasses.replace(mapping, placement=placement), make_architecture(), seed=0)
    text = str(caught.value)
    assert "layers.1.router: not in the mapping" in text
    assert "layers.7.router: not a block of this model" in text


def test_unknown_groups_are_refused(model):
    option = make_mapping(["head"]).placement["head"]
    with pytest.raises(SpecError, match="head: on analog group 'reram', which 'test' does not have"):
        noisy_model(model, changed_mapping(head=option._replace(group="reram")), make_architecture(), seed=0)


def test_swept_cores_are_refused_by_path(model):
    swept = np.array([0.1, 0.2])
    read = Read(phases=1, pulse_ns=swept, noise=ShortTermNoise(model="additive", std_fraction=swept))
    device = make_device(g_max_usiemens=np.array([20.0, 25.0]))
    core = make_core(device, rows=np.array([256.0, 512.0]), read=read)
    with pytest.raises(SpecError) as caught:
        noisy_model(model, make_mapping(lambda block: True), make_architecture(core), seed=0)
    assert [p.path for p in caught.value.problems] == [
        "analog_cores.pcm.rows",
        "analog_cores.pcm.device.g_max_usiemens",
        "analog_cores.pcm.read.noise.std_fraction",
    ]
