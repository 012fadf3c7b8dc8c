"""Drawing the chip of a model of OLMoE-1B-7B's size, layer by layer, on two threads, and the memory it takes.

python benchmarks/whole_model.py
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers.models.olmoe.configuration_olmoe import OlmoeConfig
from transformers.models.olmoe.modeling_olmoe import OlmoeForCausalLM

from dse.cost.option import Option
from dse.mapping.model import Mapping
from dse.noise.convert import noisy_model
from dse.noise.sites import sites
from dse.spec.load import load_architecture

LAYERS = 16
"""Layers of OLMoE-1B-7B; one of them is held, and drawn again under other seeds for the others."""
SIZES: dict[str, Any] = {
    "vocab_size": 50304, "hidden_size": 2048, "intermediate_size": 1024, "num_attention_heads": 16,
    "num_key_value_heads": 16, "num_experts": 64, "num_experts_per_tok": 8,
}  # fmt: skip
"""From the config.json of OLMoE-1B-7B-0924."""
THREADS = 2
DRAWN = 3
"""Layers that are drawn; the least time counts."""
TOKENS = 64
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def one_layer() -> OlmoeForCausalLM:
    """OLMoE-1B-7B with one layer bfloat16, random weights."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        model = OlmoeForCausalLM(OlmoeConfig(**SIZES, num_hidden_layers=1, experts_implementation="eager"))
    finally:
        torch.set_default_dtype(before)
    return model.eval().requires_grad_(False)


@contextmanager
def peak_bytes() -> Iterator[Callable[[], int]]:
    """Gives a function that says by how much the resident memory has grown at most since the beginning."""
    statm, done = Path("/proc/self/statm"), threading.Event()

    def resident() -> int:
        return int(statm.read_text().split()[1]) * PAGE_BYTES

    begin = resident()
    most = [0]

    def watch() -> None:
        while not done.wait(0.002):
            most[0] = max(most[0], resident() - begin)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield lambda: most[0]
    finally:
        done.set()
        watcher.join()


def mapping_of(model: OlmoeForCausalLM, *, is_head: bool) -> Mapping:
    """Head analog and the layer digital, or the other way round."""
    blocks = dict.fromkeys(site.block for site in sites(model))
    placement = {b: Option("pcm", "analog") if (b == "head") == is_head else Option("npu", "fp16") for b in blocks}
    return Mapping(placement=placement, objective="benchmark", value=0, bound=0, status="rule")


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Wall-clock and processor time of one call [s]."""
    begin, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - begin, time.process_time() - cpu


def rows() -> list[tuple[str, float, str]]:
    """Name, value and unit of every measurement."""
    threads = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        return measured()
    finally:
        torch.set_num_threads(threads)


def measured() -> list[tuple[str, float, str]]:
    """The measurements, on as many threads as torch has."""
    arch, model = load_architecture("server_pcm3d"), one_layer()
    largest = max(parameter.untyped_storage().nbytes() for parameter in model.parameters())
    layer, head = mapping_of(model, is_head=False), mapping_of(model, is_head=True)
    tokens = torch.randint(0, model.config.vocab_size, (1, TOKENS))

    with peak_bytes() as peak:
        drawn = [seconds(lambda seed=seed: noisy_model(model, layer, arch, seed=seed)) for seed in range(DRAWN)]
        layer_s, layer_cpu_s = (min(times) for times in zip(*drawn, strict=True))
        kept = peak() / largest
    head_s, head_cpu_s = seconds(lambda: noisy_model(model, head, arch, seed=0))
    with peak_bytes() as peak, torch.inference_mode():
        chip = noisy_model(model, layer, arch, seed=0, is_resident=False)
        plain_s, _ = seconds(lambda: model(input_ids=tokens, use_cache=False))
        used_s, _ = seconds(lambda: chip(input_ids=tokens, use_cache=False))
        used = peak() / largest
    n_weights = sum(site.weight.numel() for site in sites(model) if site.block != "head")
    return [
        (f"one draw of OLMoE-1B-7B, {LAYERS} layers and head, kept layer by layer", LAYERS * layer_s + head_s, "s"),
        ("… processor time", LAYERS * layer_cpu_s + head_cpu_s, "s"),
        ("… of one weight", 1e9 * layer_s / n_weights, "ns"),
        ("memory beyond the model, one layer kept", kept, "largest tensors"),
        (f"one draw in use, {TOKENS} tokens through a layer, weights not kept", used_s, "s"),
        ("the plain layer", plain_s, "s"),
        ("memory beyond the model, weights not kept", used, "largest tensors"),
    ]


if __name__ == "__main__":
    for name, value, unit in rows():
        print(f"{name:72} {value:8.3f} {unit}")
