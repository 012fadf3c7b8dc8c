"""The rate of the evaluation against the same arithmetic written flat: OLMoE, five axes, one page of NumPy."""

from __future__ import annotations

import resource
import time
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dse import Space, load_architecture, load_workload
from dse.evaluation.points import evaluate_points
from dse.exploration.mappings import candidate_mappings
from dse.sensitivity.score import score_blocks
from dse.workload.busiest import TileContents, busiest_tile

Array = NDArray[np.float64]
N_POINTS = 100_000
FRACTIONS = (0.0, 0.125, 0.25, 0.5)
BATCHES = np.unique(np.geomspace(1, 512, 24).round())
CONTEXTS = np.unique(np.geomspace(16, 16384, 40).round())
L, D, E, K, F, HEADS, HEAD, VOCABULARY = 16, 2048, 64, 8, 1024, 16, 128, 50304
"""OLMoE-1B-7B: layers, width, experts, experts per token, width of an expert, heads, width of a head, vocabulary."""


def axes(n: int) -> dict[str, Array]:
    """Random points of the four axes that vary within one mapping."""
    random = np.random.default_rng(0)
    return {
        "analog_cores.pcm.adc.bits": random.integers(4, 12, n).astype(float),
        "analog_cores.pcm.cols": random.choice([128.0, 256.0, 512.0, 1024.0], n),
        "scenario.batch": random.choice(BATCHES, n),
        "scenario.context_tokens": random.choice(CONTEXTS, n),
    }


@cache
def busiest(batch: int, n_analog: int) -> float:
    """Expected tokens of the busiest of the analog experts, each on tiles of its own; taken from the library."""
    held = np.eye(E, dtype=np.int64)[:n_analog]
    contents = TileContents(held, np.zeros(n_analog, dtype=np.int64))
    return busiest_tile(np.full(E, K / E), float(batch), contents).mean


def flat(bits: Array, cols: Array, batch: Array, context: Array, n_digital: int) -> dict[str, Array]:
    """Energy per token, step time and area, written out for the machine of flat.yaml."""
    n_analog, rows, tiles, rate, peak, op_pj, bit_pj = E - n_digital, 512, 4 * 6500, 3000 * 0.8, 4 * 50000 * 0.7, 0.7, 4
    sndr, log_rate = 6.0206 * bits + 1.7609, np.log(1e9 / 20)
    fom = np.minimum(213.7807 - 2.871903 * log_rate, 128.3068 + 3.2205115 * bits)
    adc_pj = 0.5 * 10 ** ((sndr - fom) / 10)
    adc_pj *= np.exp(26.04962 + 1.880037 * np.log(14) - 2.829126 * np.log(bits) - 1.470202)
    adc_mm2 = 1e-6 * np.exp(1.346192 + 0.9932795 * np.log(14) + 0.1807154 * log_rate + 0.2991243 * np.log(adc_pj))
    area = 4 * 20 + 4 * 100 + tiles * (32 * rows * cols * 1e-8 + rows * 1e-5 + 128 * adc_mm2)
    expert_pj, path_ns, fluid_ns, sums = 0.0, 0.0, 0.0, 0.0
    for n_in, n_out, times in ((D, F, 2), (F, D, 1)):
        down, across = np.ceil(n_in / rows), np.ceil(n_out / cols)
        edge = n_out - (across - 1) * cols
        full_ns = np.maximum(64, 20 * np.ceil(np.minimum(cols, n_out) / 128))
        edge_ns = np.maximum(64, 20 * np.ceil(edge / 128))
        pj = 2 * across * n_in + 0.01 * n_in * n_out + down * n_out * adc_pj + 50 * down * across
        expert_pj, sums = expert_pj + times * pj, sums + times * (down - 1) * across * cols
        path_ns = path_ns + np.maximum(full_ns, edge_ns)
        fluid_ns = fluid_ns + times * down * ((across - 1) * full_ns + edge_ns)
    units = 2 * np.ceil(D / rows) * np.ceil(F / cols) + np.ceil(F / rows) * np.ceil(D / cols)
    most = np.array([busiest(int(b), n_analog) for b in BATCHES])[np.searchsorted(BATCHES, batch)]
    visits, active = batch * K / E, 1 - (1 - K / E) ** batch
    analog_ns = np.maximum(path_ns, np.maximum(most * fluid_ns / units, n_analog * visits * fluid_ns / tiles))
    kv_bytes, scores = batch * (context + 1) * 2 * HEADS * HEAD * 2, 4 * HEADS * HEAD * batch * (context + 1)
    attention, router, expert, head = 4 * D * D, D * E, 3 * D * F, D * VOCABULARY
    sum_ops = n_analog * visits * sums
    host_ops = 2 * expert * visits * n_digital + sum_ops
    read = active * n_digital * 2 * expert
    attention_ns = np.maximum((2 * attention + kv_bytes) / rate, (2 * attention * batch + scores) / peak) + 3000
    router_ns = np.maximum(2 * router / rate, 2 * router * batch / peak) + 1000
    digital_ns = np.maximum(read / rate, host_ops / peak) + (2000 if n_digital else 0)
    head_ns = np.maximum(2 * head / rate, 2 * head * batch / peak) + 1000
    step_ns = L * (attention_ns + router_ns + np.maximum(analog_ns, digital_ns)) + head_ns
    ops = L * (2 * (attention + router) * batch + scores + host_ops) + 2 * head * batch
    moved = L * (2 * (attention + router) + kv_bytes + read) + 2 * head
    energy = op_pj * ops + 8 * bit_pj * moved + L * n_analog * visits * expert_pj
    energy += (tiles * 0.01 + 4 * 5000) * step_ns
    return {"energy_pj_per_token": energy / batch, "latency_ns_per_step": step_ns, "area_mm2": area}


def best_of(times: list[float]) -> float:
    """The least disturbed of several runs."""
    return min(times)


def rows() -> list[tuple[str, float, str]]:
    """Rates of both, their ratio, and the largest relative difference of a result."""
    arch, workload = load_architecture(Path(__file__).parent / "flat.yaml"), load_workload("olmoe")
    space = Space(architecture=arch, workload=workload, axes={"mapping.digital_fraction": FRACTIONS})
    mappings = candidate_mappings(space, score_blocks(workload))
    n = N_POINTS // len(FRACTIONS)
    values = axes(n)
    of_arch = {path: v for path, v in values.items() if path.startswith("analog")}
    of_workload = {path: v for path, v in values.items() if path.startswith("scenario")}
    worst = 0.0
    for fraction in FRACTIONS:
        found = evaluate_points(
            arch.with_values(of_arch), workload.with_values(of_workload), mappings[fraction].mapping
        )
        for name, expected in flat(*values.values(), round(fraction * E)).items():
            worst = max(worst, float(np.max(np.abs(np.asarray(getattr(found, name)) / expected - 1))))
    ours, theirs = [], []
    for _ in range(5):
        begin = time.perf_counter()
        for fraction in FRACTIONS:
            machine, work = arch.with_values(of_arch), workload.with_values(of_workload)
            found = evaluate_points(machine, work, mappings[fraction].mapping)
            assert np.all(np.asarray(found.energy_pj_per_token) > 0)
            assert np.all(np.asarray(found.area_mm2) > 0)
        ours.append(time.perf_counter() - begin)
        begin = time.perf_counter()
        for fraction in FRACTIONS:
            flat(*values.values(), round(fraction * E))
        theirs.append(time.perf_counter() - begin)
    return [
        (f"evaluate_points, {N_POINTS} designs, five axes", N_POINTS / best_of(ours), "1/s"),
        ("the same written flat in NumPy", N_POINTS / best_of(theirs), "1/s"),
        ("time over flat", best_of(ours) / best_of(theirs), "-"),
        ("largest relative difference of a result", worst, "-"),
        ("peak memory", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9, "GB"),
    ]


if __name__ == "__main__":
    for name, value, unit in rows():
        print(f"{name:50} {value:.4g} {unit}")
