"""Reading weights from safetensors: spellings, formats, shards, and what is refused."""

import json
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from dse.errors import SpecError
from dse.importers.tensor_names import matrix_keys
from dse.importers.tensors import open_checkpoint, read_matrices, read_matrix
from dse.spec.model import Model
from dse.workload.blocks import make_blocks

MODEL = Model(
    name="tiny",
    d_model=8,
    n_layers=2,
    n_heads=2,
    n_kv_heads=1,
    head_dim=4,
    vocab_size=20,
    n_experts=3,
    top_k=2,
    d_expert=6,
)


def tensors_of(model: Model, seed: int = 0) -> dict[str, np.ndarray]:
    """Random weights in the per-expert spelling."""
    random = np.random.default_rng(seed)
    found = {}
    for key in matrix_keys(model):
        layer = f"model.layers.{key.layer}"
        name = {
            "attention": f"{layer}.self_attn.{key.matrix}_proj.weight",
            "router": f"{layer}.mlp.gate.weight",
            "expert": f"{layer}.mlp.experts.{key.expert}.{key.matrix}_proj.weight",
            "head": "lm_head.weight",
        }[key.kind]
        found[name] = random.normal(size=(key.n_out, key.n_in)).astype(np.float32)
    return found


@pytest.mark.parametrize(
    "model",
    [
        MODEL,
        Model(
            name="shared", d_model=8, n_layers=3, n_heads=2, n_kv_heads=2, head_dim=4, vocab_size=20,
            n_experts=2,
            top_k=1, d_expert=6, n_shared_experts=1, d_shared_expert=5, n_dense_layers=1, d_dense_ffn=7,
            ffn="two_matrix",
        ),
    ],
)  # fmt: skip
def test_keys_name_every_matrix_of_every_block_but_the_embedding(model: Model) -> None:
    expected = [
        (b.name, m.name, b.kind, m.n_out, m.n_in, b.layer, b.expert)
        for b in make_blocks(model)
        for m in b.block_class.matrices
        if b.kind != "embedding"
    ]
    assert [(k.block, k.matrix, k.kind, k.n_out, k.n_in, k.layer, k.expert) for k in matrix_keys(model)] == expected


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
def test_every_float_format_reads_back_exactly(tmp_path: Path, dtype: type) -> None:
    tensors = {name: value.astype(dtype) for name, value in tensors_of(MODEL).items()}
    save_file(tensors, tmp_path / "model.safetensors")
    weight = read_matrix(tmp_path, MODEL, "layers.1.experts.2", "down")
    assert weight.dtype == np.float32
    assert np.array_equal(weight, tensors["model.layers.1.mlp.experts.2.down_proj.weight"].astype(np.float32))


def test_more_rows_than_a_chunk_read_back_exactly(tmp_path: Path) -> None:
    model = Model(
        name="tall",
        d_model=8,
        n_layers=1,
        n_heads=2,
        n_kv_heads=1,
        head_dim=4,
        vocab_size=1000,
        n_experts=1,
        top_k=1,
        d_expert=6,
    )
    tensors = tensors_of(model)
    save_file(tensors, tmp_path / "model.safetensors")
    assert np.array_equal(read_matrix(tmp_path, model, "head", "head"), tensors["lm_head.weight"])


def test_fused_experts_read_as_single_ones(tmp_path: Path) -> None:
    tensors = tensors_of(MODEL)
    fused = {name: value for name, value in tensors.items() if ".experts." not in name}
    for layer in range(MODEL.n_layers):
        prefix = f"model.layers.{layer}.mlp.experts"
        each = [
            {m: tensors[f"{prefix}.{e}.{m}_proj.weight"] for m in ("gate", "up", "down")}
            for e in range(MODEL.n_experts)
        ]
        fused[f"{prefix}.gate_up_proj"] = np.stack([np.concatenate([x["gate"], x["up"]]) for x in each])
        fused[f"{prefix}.down_proj"] = np.stack([x["down"] for x in each])
    (tmp_path / "single").mkdir()
    (tmp_path / "fused").mkdir()
    save_file(tensors, tmp_path / "single" / "model.safetensors")
    save_file(fused, tmp_path / "fused" / "model.safetensors")
    pairs = list(zip(read_matrices(tmp_path / "single", MODEL), read_matrices(tmp_path / "fused", MODEL), strict=True))
    assert len(pairs) == 2 * (4 + 1 + 3 * 3) + 1
    for single, other in pairs:
        assert (single.block, single.matrix) == (other.block, other.matrix)
        assert np.array_equal(single.weight, other.weight)


def write_shards(folder: Path) -> None:
    tensors = tensors_of(MODEL)
    names = sorted(tensors)
    halves = {"model-00001.safetensors": names[::2], "model-00002.safetensors": names[1::2]}
    for file, half in halves.items():
        save_file({name: tensors[name] for name in half}, folder / file)
    weight_map = {name: file for file, half in halves.items() for name in half}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def test_shards_are_found_through_the_index(tmp_path: Path) -> None:
    write_shards(tmp_path)
    tensors = tensors_of(MODEL)
    assert np.array_equal(
        read_matrix(tmp_path, MODEL, "layers.0.attention", "k"),
        tensors["model.layers.0.self_attn.k_proj.weight"],
    )
    kinds = {key.kind for key in matrix_keys(MODEL)}
    assert sum(1 for _ in read_matrices(tmp_path, MODEL, kinds)) == sum(1 for _ in matrix_keys(MODEL))


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    write_shards(tmp_path)
    (tmp_path / "model-00002.safetensors").unlink()
    with pytest.raises(SpecError, match=r"model-00002\.safetensors: missing shard"):
        open_checkpoint(tmp_path)


def test_a_tensor_that_is_not_where_the_index_says_is_named(tmp_path: Path) -> None:
    write_shards(tmp_path)
    index = tmp_path / "model.safetensors.index.json"
    said = json.loads(index.read_text())["weight_map"]
    said["lm_head.weight"] = next(shard for shard in said.values() if shard != said["lm_head.weight"])
    index.write_text(json.dumps({"weight_map": said}))
    with pytest.raises(SpecError, match=r"\.safetensors: lacks tensor lm_head\.weight, which model"):
        open_checkpoint(tmp_path)


@pytest.mark.parametrize("keep", [4, 100, -10])
def test_a_truncated_shard_is_named(tmp_path: Path, keep: int) -> None:
    save_file(tensors_of(MODEL), tmp_path / "model.safetensors")
    content = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(content[:keep])
    with pytest.raises(SpecError, match=r"model\.safetensors: (truncated|not a complete)"):
        open_checkpoint(tmp_path)


def test_a_damaged_index_is_named(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors.index.json").write_text("[]")
    with pytest.raises(SpecError, match="not an index of shards"):
        open_checkpoint(tmp_path)


def test_pickle_files_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(SpecError, match=r"only pickle files \(pytorch_model.bin\)"):
        open_checkpoint(tmp_path)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no such checkpoint folder"):
        open_checkpoint(tmp_path / "nowhere")


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="found no weights"):
        open_checkpoint(tmp_path)


@pytest.mark.parametrize(("dtype", "name"), [(ml_dtypes.float8_e4m3fn, "F8_E4M3"), (np.uint8, "U8")])
def test_packed_formats_are_refused_with_file_and_tensor(tmp_path: Path, dtype: type, name: str) -> None:
    tensors = {key: value.astype(dtype) for key, value in tensors_of(MODEL).items()}
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(
        SpecError,
        match=rf"model\.safetensors: tensor model.layers.0.self_attn.q_proj.weight is stored as {name}",
    ):
        next(read_matrices(tmp_path, MODEL))


def test_packed_experts_are_named_where_their_matrix_is_looked_for(tmp_path: Path) -> None:
    tensors = {name: value for name, value in tensors_of(MODEL).items() if ".experts." not in name}
    packed = "model.layers.0.mlp.experts.gate_up_proj_blocks"
    tensors[packed] = np.zeros((3, 4, 2), np.uint8)
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(SpecError, match=rf"model\.safetensors: tensor {packed} is stored as U8"):
        list(read_matrices(tmp_path, MODEL))


def test_a_missing_tensor_names_its_spellings(tmp_path: Path) -> None:
    tensors = tensors_of(MODEL)
    del tensors["model.layers.0.mlp.experts.0.up_proj.weight"]
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(SpecError, match=r"up_proj.weight or .*gate_up_proj; it should hold layers.0.experts.0 up"):
        list(read_matrices(tmp_path, MODEL))


def test_a_shape_that_does_not_fit_the_model_is_refused(tmp_path: Path) -> None:
    tensors = tensors_of(MODEL)
    tensors["lm_head.weight"] = tensors["lm_head.weight"].T.copy()
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(SpecError, match=r"has shape \[8, 20\], the model needs \[20, 8\]"):
        read_matrix(tmp_path, MODEL, "head", "head")


def test_an_unknown_block_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"no matrix 'gate' in a block 'layers.0.router'"):
        read_matrix(tmp_path, MODEL, "layers.0.router", "gate")
