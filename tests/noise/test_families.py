import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dse.cost.option import Option
from dse.errors import SpecError
from dse.noise.calibrate import measure_ranges
from dse.noise.convert import noisy_model
from dse.noise.digital import WeightFormat, rounded_weight
from dse.noise.drawn import AveragedCopies, DrawnOnUse
from dse.noise.ranges import RangePlan, plan_of
from dse.noise.sites import sites
from dse.noise.trace import watched_layers
from dse.noise.weight import noisy_weight
from dse.spec.converter_range import OutputNoise

from .families import CONTEXT, FAMILIES, NAMED, VOCABULARY, WIDTH, logits, make, mapping_of
from .small import make_architecture, make_core, make_device

LAST = "layers.1"


@pytest.fixture(scope="module")
def text():
    return torch.randint(0, VOCABULARY, (6, CONTEXT), generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module", params=FAMILIES)
def model(request):
    return make(request.param)


def keyed(target, block, matrix, *, seed=0, **more):
    core = make_core()
    return noisy_weight(target, core.device, core, seed=seed, block=block, matrix=matrix, **more)


def all_blocks(block):
    return True


def test_an_all_digital_mapping_equals_the_plain_model_bit_for_bit(model, text):
    digital = noisy_model(model, mapping_of(model, ()), make_architecture(), seed=0)
    assert torch.equal(logits(digital, text), logits(model, text))


@pytest.mark.parametrize("family", FAMILIES)
def test_outputs_of_four_experts_are_summed_in_the_order_of_the_plain_model(family, text):
    # the sum of two terms does not depend on their order, that of four does
    model = make(family, num_experts_per_tok=4)
    digital = noisy_model(model, mapping_of(model, ()), make_architecture(), seed=0)
    assert torch.equal(logits(digital, text), logits(model, text))


def test_weights_without_any_effect_leave_the_logits_bit_for_bit(model, text):
    silent = make_architecture(make_core(make_device(noise=0.0)))
    chip = noisy_model(model, mapping_of(model, all_blocks), silent, seed=0)
    # the same products but for transposed storage, whose matrix product may add in another order
    torch.testing.assert_close(logits(chip, text), logits(model, text), atol=1e-5, rtol=1e-5)


def test_fine_converters_leave_the_logits_to_their_step(model, text):
    fine = make_architecture(make_core(make_device(noise=0.0), bits=20))
    ranges = measure_ranges(model, text, plans=[RangePlan(512)])
    chip = noisy_model(model, mapping_of(model, all_blocks), fine, seed=0, ranges=ranges)
    # a step is 2e-6 of a range, and about ten converters follow one another
    torch.testing.assert_close(logits(chip, text), logits(model, text), atol=1e-3, rtol=1e-3)


def test_the_given_model_is_left_as_it_was(model, text):
    before, structure, state = logits(model, text), repr(model), copy.deepcopy(model.state_dict())
    logits(noisy_model(model, mapping_of(model, all_blocks), make_architecture(), seed=0), text)
    assert repr(model) == structure
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in state.items())
    assert torch.equal(logits(model, text), before)


def test_an_analog_expert_changes_only_the_tokens_that_visit_it(model, text):
    expert = 1
    chip = noisy_model(model, mapping_of(model, [f"{LAST}.experts.{expert}"]), make_architecture(), seed=0)
    trace = {}
    with watched_layers(model, trace):
        wanted = logits(model, text)
    changed = (logits(chip, text) != wanted).any(dim=-1).flatten()
    visited = (trace[1].chosen == expert).any(dim=-1)
    assert 0 < visited.sum() < len(visited)
    assert torch.equal(changed, visited)


def test_every_block_can_be_analog_by_itself(model, text):
    wanted = logits(model, text)
    for block in dict.fromkeys(site.block for site in sites(model) if ".experts." not in site.block):
        found = logits(noisy_model(model, mapping_of(model, [block]), make_architecture(), seed=0), text)
        assert found.isfinite().all()
        assert not torch.equal(found, wanted), block


def test_every_weight_carries_the_noise_of_its_block_and_matrix_whatever_the_mapping(model):
    block = f"{LAST}.experts.2"
    few, many = (
        noisy_model(model, mapping_of(model, blocks), make_architecture(), seed=1) for blocks in ([block], all_blocks)
    )
    own = [site for site in sites(model) if site.block == block]
    for chip in (few, many):
        replaced = chip.get_submodule(own[0].module).replaced["2"]
        for site, layer in zip(own, (replaced.gate_up, replaced.down), strict=True):
            for (name, target), found in zip(site.parts(), site.split(layer.weight), strict=True):
                assert torch.equal(found, keyed(target, block, name, seed=1))


def test_every_stored_matrix_belongs_to_one_site(model):
    placed = sum(site.weight.numel() for site in sites(model))
    outside = ("embed_tokens", "shared_expert_gate")
    assert placed == sum(
        p.numel()
        for name, p in model.named_parameters()
        if p.ndim > 1 and not name.endswith("bias") and not any(part in name for part in outside)
    )


def expert_by_hand(model, x, weights, biases=(0.0, 0.0, 0.0)):
    """Output of a gated expert, from the formula of its model card and not from any module."""
    gate, up = (F.linear(x, w) + b for w, b in zip(weights[:2], biases[:2], strict=True))
    if model.config.model_type == "gpt_oss":  # GPT-OSS model card, §2.2: clamped SwiGLU with a residual on the up part
        gate, up = gate.clamp(max=7.0), up.clamp(-7.0, 7.0)
        inner = gate * torch.sigmoid(1.702 * gate) * (up + 1)
    else:
        inner = gate * torch.sigmoid(gate) * up
    return F.linear(inner, weights[2]) + biases[2]


@pytest.mark.parametrize("family", NAMED)
def test_a_noisy_expert_computes_what_its_formula_says(family):
    model, number = make(family), 3
    block, path = f"{LAST}.experts.{number}", "model.layers.1.mlp.experts"
    experts = model.get_submodule(path)
    if family == "gpt_oss":  # stored as [inputs, outputs], gate and up in turn
        stored = experts.gate_up_proj[number].T, experts.down_proj[number].T
        targets = (stored[0][0::2], stored[0][1::2], stored[1])
        bias = experts.gate_up_proj_bias[number]
        biases = (bias[0::2], bias[1::2], experts.down_proj_bias[number])
    else:
        targets = (*experts.gate_up_proj[number].chunk(2), experts.down_proj[number])
        biases = (0.0, 0.0, 0.0)
    noisy = [keyed(w, block, name, seed=5) for name, w in zip(("gate", "up", "down"), targets, strict=True)]
    chip = noisy_model(model, mapping_of(model, [block]), make_architecture(), seed=5)
    x = 3 * torch.randn(7, WIDTH, generator=torch.Generator().manual_seed(2))
    chosen, factor = torch.full((7, 1), number), torch.linspace(0.1, 1, 7)[:, None]
    found = chip.get_submodule(path)(x, chosen, factor)
    torch.testing.assert_close(found, factor * expert_by_hand(model, x, noisy, biases), atol=1e-5, rtol=1e-5)
    assert (found - factor * expert_by_hand(model, x, targets, biases)).abs().max() > 0.01


@pytest.mark.parametrize("family", FAMILIES)
def test_an_analog_router_chooses_by_the_rule_of_its_class(family):
    model = make(family)
    site = next(site for site in sites(model) if site.block == f"{LAST}.router")
    chip = noisy_model(model, mapping_of(model, [site.block]), make_architecture(), seed=0)
    other = copy.deepcopy(model.get_submodule(site.module))  # the library's own router around the noisy weights
    other.weight.data = keyed(site.weight, site.block, "router")
    x = torch.randn(50, WIDTH, generator=torch.Generator().manual_seed(3))
    found, wanted = chip.get_submodule(site.module)(x), other(x)
    assert torch.equal(found[2], wanted[2])
    torch.testing.assert_close(found[:2], wanted[:2], atol=1e-6, rtol=1e-6)
    assert not torch.equal(found[0], model.get_submodule(site.module)(x)[0])


def test_every_projection_of_latent_attention_is_placed():
    names = [site.matrices[0] for site in sites(make("deepseek_v3")) if site.block == "layers.0.attention"]
    assert names == ["q_a", "q_b", "kv_a", "kv_b", "o"]
    names = [site.matrices[0] for site in sites(make("deepseek_v2", q_lora_rank=None))]
    assert names[:4] == ["q", "kv_a", "kv_b", "o"]


@pytest.mark.parametrize("family", ["mixtral", "gpt_oss"])
def test_copies_of_a_block_average_their_draws(family):
    model, block = make(family), f"{LAST}.experts.0"
    mapping = mapping_of(model, [block, "head"])
    for name in (block, "head"):
        mapping.placement[name] = Option("pcm", "analog", copies=3)
    chip = noisy_model(model, mapping, make_architecture(), seed=0)
    draws = [keyed(model.lm_head.weight, "head", "head", copy=n) for n in range(3)]
    torch.testing.assert_close(chip.lm_head.weight, torch.stack(draws).mean(dim=0))
    assert not torch.equal(draws[0], draws[1])


def test_copies_behind_converters_average_their_outputs(text):
    model = make("mixtral")
    ranges = measure_ranges(model, text, plans=[RangePlan(512)])
    mapping = mapping_of(model, ["head"])
    single = noisy_model(model, mapping, make_architecture(), seed=0, ranges=ranges)
    mapping.placement["head"] = Option("pcm", "analog", copies=2)
    double = noisy_model(model, mapping, make_architecture(), seed=0, ranges=ranges)
    x = torch.randn(5, WIDTH)
    assert isinstance(double.lm_head, AveragedCopies)
    first, second = (layer(x) for layer in double.lm_head.copies)
    assert torch.equal(first, single.lm_head(x))
    assert torch.equal(double.lm_head(x), (first + second) / 2)


def test_digital_blocks_of_few_bits_have_rounded_weights(model):
    mapping = mapping_of(model, [f"{LAST}.experts.0"], Option("npu", "int4"))
    mapping.placement["head"] = Option("npu", "int8")
    chip = noisy_model(model, mapping, make_architecture(), seed=0)
    assert torch.equal(chip.lm_head.weight, rounded_weight(model.lm_head.weight, WeightFormat(8)))
    site = next(site for site in sites(model) if site.key == (f"{LAST}.experts.1", ("down",)))
    found = chip.get_submodule(site.module).replaced["1"].down.weight
    assert torch.equal(found, rounded_weight(site.weight, WeightFormat(4)))
    assert chip.conversion.analog == (f"{LAST}.experts.0",)
    assert "head" in chip.conversion.rounded
    assert not chip.conversion.digital


def test_weights_drawn_on_use_are_those_of_a_resident_chip(model, text):
    mapping = mapping_of(model, lambda block: "experts" in block or block == "head", Option("npu", "int8"))
    resident, drawn = (
        noisy_model(model, mapping, make_architecture(), seed=4, is_resident=is_resident)
        for is_resident in (True, False)
    )
    assert torch.equal(logits(drawn, text), logits(resident, text))
    assert isinstance(drawn.lm_head, DrawnOnUse)
    stored = {p.untyped_storage().data_ptr() for p in model.parameters()}
    held = [*drawn.parameters(), *drawn.buffers()]
    added = [t for t in held if t.ndim > 1 and t.untyped_storage().data_ptr() not in stored]
    assert all(torch.equal(t, torch.eye(4)) for t in added)  # the routers' exact products


def test_noise_of_single_products_goes_on_from_use_to_use(text):
    model, core = make("gpt_oss"), make_core(output_noise=OutputNoise(std_fraction=0.1))
    ranges = measure_ranges(model, text, plans=[plan_of(core)])
    mapping = mapping_of(model, lambda block: ".experts." in block)
    mapping.placement["head"] = Option("pcm", "analog", copies=2)
    resident, drawn = (
        noisy_model(model, mapping, make_architecture(core), seed=4, ranges=ranges, is_resident=is_resident)
        for is_resident in (True, False)
    )
    first, second = logits(resident, text), logits(resident, text)
    assert not torch.equal(first, second)
    assert torch.equal(logits(drawn, text), first)
    assert torch.equal(logits(drawn, text), second)


def test_tiles_of_interleaved_experts_carry_each_matrix_in_its_rows(text):
    model, block = make("gpt_oss"), f"{LAST}.experts.1"
    core = make_core(make_device(noise=0.0), bits=16, output_noise=OutputNoise(std_fraction=1e-9))
    ranges = measure_ranges(model, text, plans=[plan_of(core)])
    chip = noisy_model(model, mapping_of(model, [block]), make_architecture(core), seed=0, ranges=ranges)
    # only the converters of one expert, at 16 bits, are between the two
    torch.testing.assert_close(logits(chip, text), logits(model, text), atol=2e-3, rtol=2e-3)


def test_what_no_mapping_moves_is_listed(text):
    chip = noisy_model((model := make("qwen2_moe")), mapping_of(model, ["head"]), make_architecture(), seed=0)
    gates = [f"model.layers.{n}.mlp.shared_expert_gate.weight" for n in range(2)]
    assert chip.conversion.unplaced == ("model.embed_tokens.weight", *gates)
    assert chip.conversion.analog == ("head",)
    assert chip.conversion.digital[0] == "layers.0.attention"


@pytest.mark.parametrize("family", ["olmoe", "deepseek_v3", "gpt_oss"])
@pytest.mark.parametrize("with_converters", [False, True])
def test_models_of_16_bits_keep_their_format(family, text, with_converters):
    model = make(family).bfloat16()
    if family == "deepseek_v3":
        model.model.layers[1].mlp.gate.float()  # as the library keeps it
    arch = make_architecture()
    digital = noisy_model(model, mapping_of(model, ()), arch, seed=0)
    assert torch.equal(logits(digital, text), logits(model, text))
    ranges = measure_ranges(model, text, plans=[RangePlan(512)]) if with_converters else None
    chip = noisy_model(model, mapping_of(model, all_blocks), arch, seed=0, ranges=ranges)
    found = logits(chip, text)
    assert found.dtype == torch.bfloat16
    assert found.isfinite().all()
    assert not torch.equal(found, logits(model, text))


class OneExpert(nn.Module):
    """An expert of its own, as custom code still writes it."""

    def __init__(self):
        super().__init__()
        self.w1, self.w3 = nn.Linear(WIDTH, 8, bias=False), nn.Linear(WIDTH, 8, bias=False)
        self.w2 = nn.Linear(8, WIDTH, bias=False)

    def forward(self, x):
        return self.w2(F.silu(self.w1(x)) * self.w3(x))


class ListOfExperts(nn.Module):
    """An MoE layer whose experts are modules."""

    def __init__(self):
        super().__init__()
        self.gate = nn.Linear(WIDTH, 3, bias=False)
        self.experts = nn.ModuleList(OneExpert() for _ in range(3))

    def forward(self, x):
        weights = self.gate(x).softmax(dim=-1)
        return sum(weights[..., n, None] * expert(x) for n, expert in enumerate(self.experts))


def with_module(family, path, module):
    model = make(family)
    model.set_submodule(path, module)
    return model.requires_grad_(False)


def test_experts_that_are_modules_carry_the_same_noise_as_fused_ones(text):
    model = with_module("mixtral", "model.layers.1.mlp", ListOfExperts())
    assert torch.equal(
        logits(noisy_model(model, mapping_of(model, ()), make_architecture(), seed=0), text), logits(model, text)
    )
    chip = noisy_model(model, mapping_of(model, [f"{LAST}.experts.1"]), make_architecture(), seed=0)
    expert = model.model.layers[1].mlp.experts[1]
    for name, stored in (("gate", "w1"), ("up", "w3"), ("down", "w2")):
        found = chip.get_submodule(f"model.layers.1.mlp.experts.1.{stored}").weight
        assert torch.equal(found, keyed(getattr(expert, stored).weight, f"{LAST}.experts.1", name))
    ranges = measure_ranges(model, text[:1], plans=[RangePlan(512)])
    assert (ranges[f"{LAST}.experts.1", ("down",), RangePlan(512)].output > 0).all()


class SecondRule(nn.Module):
    """A router that looks at its input besides its product."""

    def __init__(self):
        super().__init__()
        self.weight, self.hidden_dim = nn.Parameter(torch.ones(4, WIDTH)), WIDTH

    def forward(self, x):
        scores = F.linear(x, self.weight) + x[:, :1]
        return scores, *scores.topk(2, dim=-1)


def test_a_router_that_does_not_choose_by_its_product_is_refused_by_name(text):
    model = with_module("mixtral", "model.layers.1.mlp.gate", SecondRule())
    digital = noisy_model(model, mapping_of(model, ()), make_architecture(), seed=0)
    assert torch.equal(logits(digital, text), logits(model, text))
    with pytest.raises(SpecError, match=r"layers\.1\.router: router of class SecondRule cannot be analog"):
        noisy_model(model, mapping_of(model, [f"{LAST}.router"]), make_architecture(), seed=0)


def test_experts_of_another_form_are_refused_by_name():
    model = with_module("mixtral", "model.layers.1.mlp.experts", nn.Linear(WIDTH, WIDTH))
    with pytest.raises(SpecError, match="experts of class Linear: expected gated experts"):
        list(sites(model))


def test_experts_with_another_loop_are_refused_by_name():
    model = make("mixtral")

    class Doubled(type(model.model.layers[1].mlp.experts)):
        def _apply_gate(self, gate_up):
            return 2 * super()._apply_gate(gate_up)

    model.model.layers[1].mlp.experts.__class__ = Doubled
    with pytest.raises(SpecError, match="experts of class Doubled: their eager loop computes otherwise"):
        noisy_model(model, mapping_of(model, ()), make_architecture(), seed=0)
