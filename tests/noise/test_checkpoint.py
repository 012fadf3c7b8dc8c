import json
import pickle
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from dse.errors import SpecError
from dse.importers.huggingface import read_config
from dse.importers.tensors import read_matrices
from dse.noise.checkpoint import checkpoint_digest, load_checkpoint
from dse.noise.sites import sites
from dse.spec.digest import file_digest

from .families import FAMILIES, make
from .small import CONTEXT, VOCABULARY, make_model


@pytest.fixture
def copy(checkpoint, tmp_path):
    return shutil.copytree(checkpoint, tmp_path / "copy")


def test_a_checkpoint_loads_quietly_in_float32_and_leaves_the_random_state(checkpoint, capfd):
    before = torch.random.get_rng_state()
    found = load_checkpoint(checkpoint)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert capfd.readouterr() == ("", "")
    assert (found.context, found.vocab_size) == (CONTEXT, VOCABULARY)
    expected = make_model().state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in found.model.state_dict().items())
    assert not found.model.training
    assert found.model.config._experts_implementation == "eager"


def test_half_precision_weights_are_widened(copy):
    weights = load_file(copy / "model.safetensors")
    save_file({name: w.half() for name, w in weights.items()}, copy / "model.safetensors", {"format": "pt"})
    assert {p.dtype for p in load_checkpoint(copy).model.parameters()} == {torch.float32}
    assert {p.dtype for p in load_checkpoint(copy, "as_stored").model.parameters()} == {torch.float16}


def test_a_truncated_weight_file_is_named(copy):
    file = copy / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(SpecError, match=r"model\.safetensors: truncated: \d+ bytes, its header needs \d+"):
        load_checkpoint(copy)


def test_every_missing_shard_is_named(copy):
    names = load_file(copy / "model.safetensors").keys()
    (copy / "model.safetensors").unlink()
    shards = {name: f"model-0000{1 + i % 2}-of-00002.safetensors" for i, name in enumerate(names)}
    (copy / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    with pytest.raises(SpecError) as caught:
        load_checkpoint(copy)
    assert [p.file[-33:] for p in caught.value.problems] == [
        "/model-00001-of-00002.safetensors",
        "/model-00002-of-00002.safetensors",
    ]


def test_missing_tensors_are_counted_and_the_first_is_named(copy):
    weights = load_file(copy / "model.safetensors")
    del weights["lm_head.weight"]
    save_file(weights, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(SpecError, match=r"1 tensors are missing, the first is lm_head\.weight"):
        load_checkpoint(copy)


def test_tensors_of_other_shapes_are_refused(copy):
    weights = load_file(copy / "model.safetensors")
    weights["lm_head.weight"] = weights["lm_head.weight"][:-1].clone()
    save_file(weights, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(SpecError, match="not a complete checkpoint"):
        load_checkpoint(copy)


def test_other_model_types_are_refused_by_name(copy):
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"model_type": "jamba"}))
    with pytest.raises(
        SpecError,
        match=r"config\.json: model_type: .*'jamba' is not simulated by this version \(supported: olmoe,",
    ):
        load_checkpoint(copy)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_a_missing_file_is_named(copy, name):
    (copy / name).unlink()
    with pytest.raises(SpecError, match=f"{name}: no such file"):
        load_checkpoint(copy)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(SpecError, match=r"nowhere.*no such"):
        checkpoint_digest(tmp_path / "nowhere")


def test_the_digest_follows_the_content(copy, checkpoint):
    assert checkpoint_digest(copy) == checkpoint_digest(checkpoint)
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"rms_norm_eps": 1e-3}))
    assert checkpoint_digest(copy) != checkpoint_digest(checkpoint)


def test_a_file_that_changes_gets_another_digest(tmp_path):
    file = tmp_path / "a"
    file.write_text("one")
    first = file_digest(file)
    file.write_text("three")
    assert file_digest(file) != first


@pytest.mark.parametrize("family", FAMILIES)
def test_every_class_loads_from_shards_as_it_was_saved(tmp_path, family):
    model = make(family)
    model.save_pretrained(tmp_path, max_shard_size="8KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 2
    (tmp_path / "tokenizer.json").write_text("{}")
    found = load_checkpoint(tmp_path).model
    assert type(found) is type(model)
    wanted = model.state_dict()
    assert found.state_dict().keys() == wanted.keys()
    assert all(torch.equal(value, wanted[name]) for name, value in found.state_dict().items())


@pytest.mark.parametrize(
    ("name", "dtype", "said"),
    [("lm_head.weight", torch.float8_e4m3fn, "F8_E4M3"), ("lm_head.weight_blocks", torch.uint8, "U8")],
)
def test_fp8_and_packed_weights_are_refused_with_file_and_tensor(copy, name, dtype, said):
    weights = load_file(copy / "model.safetensors")
    weights[name] = weights.pop("lm_head.weight").to(dtype)
    save_file(weights, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(SpecError, match=rf"model\.safetensors: tensor {name} is stored as {said}; this version"):
        load_checkpoint(copy)


def test_a_configuration_of_packed_weights_is_refused_by_name(copy):
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"quantization_config": {"quant_method": "mxfp4"}}))
    with pytest.raises(SpecError, match=r"config\.json: quantization_config: weights of 'mxfp4' are not read"):
        load_checkpoint(copy)


class Trap:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return open, (str(self.file), "w")


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.pth"])
def test_pickles_are_never_opened(copy, name):
    (copy / name).write_bytes(pickle.dumps(Trap(copy / "sprung")))
    load_checkpoint(copy)  # beside safetensors they are left alone
    (copy / "model.safetensors").unlink()
    with pytest.raises(SpecError, match=f"only pickle files \\({name}\\)"):
        load_checkpoint(copy)
    assert not (copy / "sprung").exists()


@pytest.mark.parametrize("family", FAMILIES)
def test_matrices_read_one_by_one_are_the_blocks_of_the_loaded_model(tmp_path, family):
    make(family).save_pretrained(tmp_path, max_shard_size="8KB")
    (tmp_path / "tokenizer.json").write_text("{}")
    loaded = load_checkpoint(tmp_path).model
    parts = {(site.block, name): part for site in sites(loaded) for name, part in site.parts()}
    read = {(block, name): weight for block, name, weight in read_matrices(tmp_path, read_config(tmp_path))}
    assert read.keys() == parts.keys()
    assert all(np.array_equal(weight, parts[key].numpy()) for key, weight in read.items())
