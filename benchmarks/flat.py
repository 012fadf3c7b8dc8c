"""The rate of the evaluation against the same results written flat in NumPy: OLMoE, five axes, one function."""

from __future__ import annotations

import operator
import resource
import statistics
import time
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dse import Space, load_architecture, load_workload
from dse.evaluation.points import evaluate_points
from dse.evaluation.result import Evaluation
from dse.exploration.mappings import candidate_mappings
from dse.sensitivity.score import score_blocks
from dse.workload.busiest import TileContents, busiest_tile

Array = NDArray[np.float64]
SIZES = (100_000, 400_000)
"""Designs of one run; a quarter of them share a mapping and are evaluated together."""
ROUNDS = 9
"""Runs of both, in turn: the best of each is its rate, the median of their ratios the time over flat."""
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
    """What an evaluation of the machine of flat.yaml gives, written out: totals and all parts that add up to them."""
    n_analog, rows, tiles, rate, peak, op_pj, bit_pj = E - n_digital, 512, 4 * 6500, 3000 * 0.8, 4 * 50000 * 0.7, 0.7, 4
    sndr, log_rate = 6.0206 * bits + 1.7609, np.log(1e9 / 20)
    fom = np.minimum(213.7807 - 2.871903 * log_rate, 128.3068 + 3.2205115 * bits)
    adc_pj = 0.5 * 10 ** ((sndr - fom) / 10)
    adc_pj *= np.exp(26.04962 + 1.880037 * np.log(14) - 2.829126 * np.log(bits) - 1.470202)
    adc_mm2 = 1e-6 * np.exp(1.346192 + 0.9932795 * np.log(14) + 0.1807154 * log_rate + 0.2991243 * np.log(adc_pj))
    tile_mm2 = tiles * (32 * rows * cols * 1e-8 + rows * 1e-5 + 128 * adc_mm2)
    dac_pj, array_pj, convert_pj, fixed_pj, path_ns, fluid_ns, sums = (np.zeros(1) for _ in range(7))
    for n_in, n_out, times in ((D, F, 2), (F, D, 1)):
        down, across = np.ceil(n_in / rows), np.ceil(n_out / cols)
        edge = n_out - (across - 1) * cols
        full_ns = np.maximum(64, 20 * np.ceil(np.minimum(cols, n_out) / 128))
        edge_ns = np.maximum(64, 20 * np.ceil(edge / 128))
        dac_pj, array_pj = dac_pj + times * 2 * across * n_in, array_pj + times * 0.01 * n_in * n_out
        convert_pj, fixed_pj = convert_pj + times * down * n_out * adc_pj, fixed_pj + times * 50 * down * across
        sums = sums + times * (down - 1) * across * cols
        path_ns = path_ns + np.maximum(full_ns, edge_ns)
        fluid_ns = fluid_ns + times * down * ((across - 1) * full_ns + edge_ns)
    units = 2 * np.ceil(D / rows) * np.ceil(F / cols) + np.ceil(F / rows) * np.ceil(D / cols)
    most = np.array([busiest(int(b), n_analog) for b in BATCHES])[np.searchsorted(BATCHES, batch)]
    visits, active = batch * K / E, 1 - (1 - K / E) ** batch
    load_ns = np.maximum(most * fluid_ns / units, n_analog * visits * fluid_ns / tiles)
    analog_ns = np.maximum(path_ns, load_ns)
    kv_bytes, scores = batch * (context + 1) * 2 * HEADS * HEAD * 2, 4 * HEADS * HEAD * batch * (context + 1)
    attention, router, expert, head = 4 * D * D, D * E, 3 * D * F, D * VOCABULARY
    sum_ops = n_analog * visits * sums
    expert_ops, read = 2 * expert * visits * n_digital, active * n_digital * 2 * expert
    stages = (
        (L, (2 * attention + kv_bytes) / rate, (2 * attention * batch + scores) / peak, 3000),
        (L, 2 * router / rate, 2 * router * batch / peak, 1000),
        (L, read / rate, (expert_ops + sum_ops) / peak, 2000 if n_digital else 0),
        (1, 2 * head / rate, 2 * head * batch / peak, 1000),
    )
    step_ns, bandwidth_ns, compute_ns, launch_ns, busy_ns = (np.zeros(len(batch)) for _ in range(5))
    for index, (times, fetch, compute, launch) in enumerate(stages):
        digital_ns = np.maximum(fetch, compute) + launch
        busy_ns = busy_ns + times * digital_ns
        waited = digital_ns >= analog_ns if index == 2 else np.ones(len(batch), dtype=bool)
        step_ns = step_ns + times * (np.maximum(digital_ns, analog_ns) if index == 2 else digital_ns)
        bandwidth_ns = bandwidth_ns + times * waited * (fetch >= compute) * fetch
        compute_ns = compute_ns + times * waited * (compute > fetch) * compute
        launch_ns = launch_ns + times * waited * launch
    hidden = L * (analog_ns > np.maximum(stages[2][1], stages[2][2]) + stages[2][3])
    bit = 8 * bit_pj
    energy = {
        ("digital compute", "attention"): L * op_pj * 2 * attention * batch,
        ("weight memory", "attention"): L * bit * 2 * attention * np.ones(len(batch)),
        ("digital compute", "router"): L * op_pj * 2 * router * batch,
        ("weight memory", "router"): L * bit * 2 * router * np.ones(len(batch)),
        ("DAC", "expert"): L * n_analog * visits * dac_pj,
        ("array", "expert"): L * n_analog * visits * array_pj,
        ("ADC", "expert"): L * n_analog * visits * convert_pj,
        ("fixed periphery", "expert"): L * n_analog * visits * fixed_pj,
        ("partial sums", "expert"): L * op_pj * sum_ops,
        ("digital compute", "expert"): L * op_pj * expert_ops,
        ("weight memory", "expert"): L * bit * read,
        ("attention scores", "attention"): L * op_pj * scores,
        ("KV cache", "attention"): L * bit * kv_bytes,
        ("digital compute", "head"): op_pj * 2 * head * batch,
        ("weight memory", "head"): bit * 2 * head * np.ones(len(batch)),
        ("idle", "pcm"): tiles * 0.01 * step_ns,
        ("idle", "npu"): 4 * 5000 * step_ns,
    }
    total_pj = sum(energy.values())
    area = tile_mm2 + 4 * 100 + 4 * 20
    return {
        "energy_pj_per_token": total_pj / batch,
        "latency_ns_per_step": step_ns,
        "area_mm2": area,
        "tokens_per_s": batch / step_ns * 1e9,
        "tokens_per_j": batch / total_pj * 1e12,
        "power_mw": total_pj / step_ns,
        **{f"energy of {' '.join(part)}": pj for part, pj in energy.items()},
        "hbm bandwidth": bandwidth_ns,
        "npu compute": compute_ns,
        "npu kernel launches": launch_ns,
        "pcm dependent products": hidden * (path_ns >= load_ns) * path_ns,
        "pcm tile load": hidden * (load_ns > path_ns) * load_ns,
        "dense weights": L * 2 * (attention + router) + 2 * head * np.ones(len(batch)),
        "digital experts": L * read,
        "kv": L * kv_bytes,
        "crossbars": L * n_analog * units,
        "bytes": L * 2 * (attention + router + n_digital * expert) + 2 * head * np.ones(len(batch)),
        "busy npu": busy_ns,
    }


def results(found: Evaluation) -> dict[str, Array]:
    """The same results of an evaluation, under the names of ``flat``."""
    metrics = ("energy_pj_per_token", "latency_ns_per_step", "area_mm2", "tokens_per_s", "tokens_per_j", "power_mw")
    given = {name: np.asarray(getattr(found, name)) for name in metrics}
    for part, pj in found.energy_parts_pj.items():
        given[f"energy of {part.component} {part.group if part.block_kind == 'all' else part.block_kind}"] = pj
    given |= {"kv" if what == "KV cache" else what: moved for (_, what), moved in found.traffic_bytes.items()}
    given |= {"crossbars": found.units_needed["pcm"], "bytes": found.units_needed["hbm"]}
    return given | dict(found.critical_ns) | {"busy npu": found.busy_ns["npu"]}


def rows() -> list[tuple[str, float, str]]:
    """Rates of both, their ratio, and the largest relative difference of a result."""
    found = [row for n in SIZES for row in measured(n)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    return [*found, ("peak memory", peak, "GB")]


def measured(n_points: int) -> list[tuple[str, float, str]]:
    """The figures for one number of designs, a quarter of them under each mapping."""
    arch, workload = load_architecture(Path(__file__).parent / "flat.yaml"), load_workload("olmoe")
    space = Space(architecture=arch, workload=workload, axes={"mapping.digital_fraction": FRACTIONS})
    mappings = candidate_mappings(space, score_blocks(workload))
    values = axes(n_points // len(FRACTIONS))
    of_arch = {path: v for path, v in values.items() if path.startswith("analog")}
    of_workload = {path: v for path, v in values.items() if path.startswith("scenario")}

    def evaluated(fraction: float) -> dict[str, Array]:
        machine, work = arch.with_values(of_arch), workload.with_values(of_workload)
        return results(evaluate_points(machine, work, mappings[fraction].mapping))

    worst = 0.0
    for fraction in FRACTIONS:
        given = evaluated(fraction)
        for name, expected in flat(*values.values(), round(fraction * E)).items():
            scale = np.maximum(np.abs(expected), 1e-300)
            worst = max(worst, float(np.max(np.abs(given.get(name, 0.0) - expected) / scale)))
    ours, theirs = [], []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        for fraction in FRACTIONS:
            evaluated(fraction)
        ours.append(time.perf_counter() - begin)
        begin = time.perf_counter()
        for fraction in FRACTIONS:
            flat(*values.values(), round(fraction * E))
        theirs.append(time.perf_counter() - begin)
    return [
        (f"evaluate_points, {n_points} designs, five axes", n_points / min(ours), "1/s"),
        (f"the same {n_points} written flat in NumPy", n_points / min(theirs), "1/s"),
        (f"time over flat, {n_points} designs", statistics.median(map(operator.truediv, ours, theirs)), "-"),
        (f"largest relative difference of a result, {n_points} designs", worst, "-"),
    ]


if __name__ == "__main__":
    for name, value, unit in rows():
        print(f"{name:50} {value:.4g} {unit}")
