"""Small models, chips and workloads that the tests of this folder share."""

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers.models.olmoe.configuration_olmoe import OlmoeConfig
from transformers.models.olmoe.modeling_olmoe import OlmoeForCausalLM

from dse.cost.option import Option
from dse.mapping.model import Mapping
from dse.spec.architecture import (
    Adc,
    AnalogCore,
    Architecture,
    Dac,
    Die,
    DigitalUnit,
    Idle,
    LumpedCost,
    Memory,
    Mvm,
    PerOperationEnergy,
    Range,
    Utilisation,
)
from dse.spec.device import Device, Programming
from dse.spec.model import Model
from dse.spec.scenario import Routing, Scenario, Sensitivity
from dse.workload.build import Workload

HERMES = (0.16603222, 4.71806468, -8.48101252, 4.68961419)
LAYERS, EXPERTS, TOP_K, WIDTH, INNER, VOCABULARY, CONTEXT = 2, 4, 2, 24, 12, 64, 16


def make_device(coefficients: tuple[float, ...] = HERMES, *, noise: float = 1.0, **fields: Any) -> Device:
    return Device(
        name="test device",
        programming=Programming(model="polynomial", coefficients=coefficients, scale=noise),
        **{"g_max_usiemens": 20.7, "g_min_usiemens": 0.0, "pair": "both_devices", "scale_scope": "row"} | fields,
    )


def make_core(
    device: Device | None = None, *, bits: int = 8, rows: int = 512, cols: int = 512, **fields: Any
) -> AnalogCore:
    static = Range(mode="static", method="abs_max")
    values = {
        "name": "pcm",
        "die": "die",
        "tiles_per_die": 100,
        "tiers_per_tile": 1,
        "rows": rows,
        "cols": cols,
        "device": device or make_device(),
        "dac": Dac(bits=bits, range=static),
        "adc": Adc(bits=bits, per_tile=cols, range=static),
        "cost": LumpedCost(model="lumped", mvm=Mvm(latency_ns=100, energy_pj=1000), tile_area_mm2=1),
        "idle": Idle(on_mw=0),
    }
    return AnalogCore(**values | fields)


def make_architecture(*cores: AnalogCore) -> Architecture:
    unit = DigitalUnit(
        name="npu",
        die="die",
        units_per_die=1,
        peak_ops_per_ns={"fp16": 1000},
        utilisation=Utilisation(compute_fraction=0.7, bandwidth_fraction=0.8),
        launch_ns=0,
        precisions=("fp16",),
        memory="hbm",
        energy=PerOperationEnergy(model="per_operation", op_pj={"fp16": 1}, idle_mw=0),
        area_mm2=1,
    )
    return Architecture(
        name="test",
        energy_boundary="package",
        composition="serial",
        dies=(Die(name="die", count=1, node_nm=14, fixed_area_mm2=0),),
        analog_cores=cores or (make_core(),),
        digital_units=(unit,),
        memories=(Memory(name="hbm", capacity_bytes=1e9, bandwidth_bytes_per_ns=100, energy_pj_per_bit=4),),
        digest="test",
    )


def block_names(layers: int = LAYERS, experts: int = EXPERTS) -> list[str]:
    names = []
    for layer in range(layers):
        names += [f"layers.{layer}.attention", f"layers.{layer}.router"]
        names += [f"layers.{layer}.experts.{expert}" for expert in range(experts)]
    return [*names, "head"]


def make_mapping(analog: Callable[[str], bool] | Iterable[str], *, group: str = "pcm") -> Mapping:
    """The blocks named or chosen are analog, all others digital."""
    chosen = analog if callable(analog) else set(analog).__contains__
    placement = {b: Option(group, "analog") if chosen(b) else Option("npu", "fp16") for b in block_names()}
    return Mapping(placement=placement, objective="test", value=0, bound=0, status="rule")


def make_model(seed: int = 0, **changes: Any) -> OlmoeForCausalLM:
    """A small OLMoE with random weights, under eager experts."""
    config = OlmoeConfig(
        **{
            "vocab_size": VOCABULARY,
            "hidden_size": WIDTH,
            "intermediate_size": INNER,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "num_experts": EXPERTS,
            "num_experts_per_tok": TOP_K,
            "max_position_embeddings": CONTEXT,
            "initializer_range": 0.2,
            "pad_token_id": None,
            "bos_token_id": None,
            "eos_token_id": 0,
            "experts_implementation": "eager",
        }
        | changes
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return OlmoeForCausalLM(config).eval().requires_grad_(False)


def write_tokens(folder: Path, name: str, tokens: np.ndarray, **changes: Any) -> Path:
    np.save(folder / f"{name}.npy", tokens)
    sidecar = {
        "tokenizer_sha256": hashlib.sha256((folder / "tokenizer.json").read_bytes()).hexdigest(),
        "source": "random numbers",
        "licence": "none",
    }
    (folder / f"{name}.json").write_text(json.dumps(sidecar | changes))
    return folder / f"{name}.npy"


def write_items(folder: Path, count: int = 5) -> Path:
    rng = np.random.default_rng(5)
    items = [
        {
            "context_tokens": rng.integers(0, VOCABULARY, 5).tolist(),
            "choices_tokens": [rng.integers(0, VOCABULARY, int(rng.integers(2, 6))).tolist() for _ in range(4)],
            "answer": int(rng.integers(4)),
            "context": "text for readers",
        }
        for _ in range(count)
    ]
    (folder / "items.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    return folder / "items.jsonl"


def write_checkpoint(folder: Path) -> Path:
    """A checkpoint with tokens, calibration text and items."""
    make_model().save_pretrained(folder)
    (folder / "tokenizer.json").write_text("{}")
    rng = np.random.default_rng(3)
    write_tokens(folder, "heldout", rng.integers(0, VOCABULARY, 40 * CONTEXT).astype(np.uint16))
    write_tokens(folder, "calibration", rng.integers(0, VOCABULARY, 60 * CONTEXT).astype(np.uint16))
    write_items(folder)
    return folder


def make_workload(folder: Path | None, **changes: Any) -> Workload:
    model = Model(
        name="tiny",
        d_model=WIDTH,
        n_layers=LAYERS,
        n_heads=2,
        n_kv_heads=2,
        head_dim=WIDTH // 2,
        vocab_size=VOCABULARY,
        n_experts=EXPERTS,
        top_k=TOP_K,
        d_expert=INNER,
    )
    files = {
        "checkpoint": folder,
        "evaluation_tokens": folder and folder / "heldout.npy",
        "calibration_tokens": folder and folder / "calibration.npy",
        "multiple_choice": folder and folder / "items.jsonl",
    }
    return Workload(
        **{
            "name": "tiny",
            "model": model,
            "counting": "standard",
            "scenario": Scenario(phase="decode", batch=1),
            "routing": Routing(),
            "sensitivity": Sensitivity(rule="random"),
            "digest": "workload",
        }
        | files
        | changes
    )
