import weakref

import pytest
import torch

from dse.cost.option import Option
from dse.noise import check_accuracy, torch_device
from dse.noise.bench import load_bench
from dse.noise.calibrate import measure_ranges
from dse.noise.convert import noisy_model
from dse.noise.ranges import RangePlan
from dse.noise.torch_device import layer_by_layer, moved_copy, stored_bytes

from .families import CONTEXT, FAMILIES, VOCABULARY, logits, make, mapping_of
from .small import make_architecture, make_mapping, make_workload

CPU = torch.device("cpu")


@pytest.fixture
def text():
    return torch.randint(0, VOCABULARY, (4, CONTEXT), generator=torch.Generator().manual_seed(1))


@pytest.fixture
def card(monkeypatch):
    """A device with a memory of its own: everything that is brought there is a copy, and the most bytes are noted."""
    live, most = {}, [0]

    def bring(tensor, device):
        there = tensor.detach().clone()
        if isinstance(tensor, torch.nn.Parameter):
            there = torch.nn.Parameter(there, requires_grad=False)
        live[id(there)] = there.untyped_storage().nbytes()
        weakref.finalize(there, live.pop, id(there))
        most[0] = max(most[0], sum(live.values()))
        return there

    monkeypatch.setattr(torch_device, "on_device", bring)
    return most


@pytest.mark.parametrize("family", FAMILIES)
def test_layer_by_layer_computes_the_same_in_the_memory_of_one_layer(family, text, card):
    model = make(family)
    wanted = logits(model, text)
    layers = [stored_bytes(layer) for layer in model.model.layers]
    streamed = layer_by_layer(model, CPU)
    outside = card[0]
    assert torch.equal(logits(streamed, text), wanted)
    assert torch.equal(logits(streamed, text), wanted)
    assert 0 < outside <= stored_bytes(model) - sum(layers)
    assert card[0] == outside + max(layers)
    assert torch.equal(logits(model, text), wanted)


def test_a_streamed_chip_draws_what_a_resident_one_does(text, card):
    model = make("gpt_oss")
    mapping = mapping_of(model, lambda block: block != "layers.0.attention", Option("npu", "int8"))
    ranges = measure_ranges(model, text, plans=[RangePlan(512)])
    resident, drawn = (
        noisy_model(model, mapping, make_architecture(), seed=0, ranges=ranges, is_resident=is_resident)
        for is_resident in (True, False)
    )
    assert torch.equal(logits(layer_by_layer(drawn, CPU), text), logits(resident, text))


def test_a_moved_copy_keeps_tied_weights_tied(card):
    model = make("olmoe", tie_word_embeddings=True)
    moved = moved_copy(model, CPU)
    assert moved.lm_head.weight is moved.model.embed_tokens.weight
    assert moved.lm_head.weight.data_ptr() != model.lm_head.weight.data_ptr()
    assert stored_bytes(moved) == stored_bytes(model)


needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("has_room", [True, False])
def test_chips_on_a_gpu_are_those_of_the_cpu(checkpoint, monkeypatch, has_room):
    monkeypatch.setattr("dse.noise.bench.fits", lambda n_bytes, free: has_room)
    load_bench.cache_clear()
    few = {"draws": 4, "n_tokens": 160}
    arch, workload, mapping = make_architecture(), make_workload(checkpoint), make_mapping(lambda block: True)
    there = check_accuracy(arch, workload, mapping, torch_device="cuda", **few)
    here = check_accuracy(arch, workload, mapping, **few)
    load_bench.cache_clear()
    assert there.torch_device == "cuda"
    # the same weights; a code may round the other way where products differ in their last bit
    for chip, other in zip(there.draws["loss_nats"], here.draws["loss_nats"], strict=True):
        assert chip == pytest.approx(other, abs=2e-3)


@pytest.mark.gpu
@needs_gpu
def test_a_streamed_model_takes_the_memory_of_a_layer_on_a_gpu(text):
    model = make("mixtral", num_hidden_layers=8, hidden_size=256, intermediate_size=1024, head_dim=64)
    device = torch.device("cuda")
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    streamed = layer_by_layer(model, device)
    found = logits(streamed, text.to(device)).cpu()
    torch.testing.assert_close(found, logits(model, text), atol=1e-3, rtol=1e-3)
    assert torch.cuda.max_memory_allocated() - before < stored_bytes(model) / 3
