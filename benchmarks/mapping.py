"""Times to map released models: the solver beside its plain formulation and every rule; fronts; packing.

The problems are synthetic: log-normal scores with a heavy tail, Zipf 0.8 loads, two analog and two digital groups,
capacities that bind. OMP_NUM_THREADS=1 python benchmarks/mapping.py
"""

from __future__ import annotations

import json
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import highspy
import numpy as np

from dse.cost.table import cost_table
from dse.mapping.baseline import rule_mapping
from dse.mapping.compare import FRACTIONS, compare_rules
from dse.mapping.from_file import problem_from_file
from dse.mapping.front import mapping_front
from dse.mapping.pack import pack
from dse.mapping.problem import MappingProblem, build_program
from dse.mapping.solve import Solution, solve_mapping, solve_problem
from dse.sensitivity.options import option_scores
from dse.sensitivity.score import score_blocks
from dse.spec.load import load_architecture
from dse.spec.problem_file import load_problem
from dse.workload.build import load_workload

Row = tuple[str, float, str]
MODELS = {
    "OLMoE": (16, 64, 8), "DeepSeekMoE": (27, 64, 6), "Mixtral": (32, 8, 2), "Qwen3-30B": (48, 128, 8),
    "DeepSeek-V3": (58, 256, 8), "Kimi-K2": (60, 384, 8),
}  # fmt: skip
"""Model → MoE layers, experts, experts per token."""
ENERGY_PJ = {"pcm": 1.0e6, "rram": 0.6e6, "npu": 9.0e6, "sram": 5.0e6}
BUSY_NS = {"pcm": 3120.0, "rram": 2400.0, "npu": 20.0, "sram": 100.0}
UNITS = 24
PLAIN_LIMIT_S = 60.0


def synthetic(layers: int, experts: int, top_k: int, *, seed: int = 0) -> dict[str, Any]:
    """A mapping problem of format 2 without objective and limits."""
    random = np.random.default_rng(seed)
    tail = 1 + 0.3 * np.abs(random.standard_t(3, (layers, experts)))
    score = np.exp(random.normal(0, 0.6, (layers, experts))) * tail * np.exp(np.linspace(0, 0.5, layers))[:, None]
    share = np.arange(1, experts + 1) ** -0.8
    load = np.minimum(1.0, top_k * share / share.sum())
    n = layers * experts * UNITS
    groups = [
        {"name": "pcm", "kind": "analog", "count": 800, "capacity_units": 0.7 * n},
        {"name": "rram", "kind": "analog", "count": 400, "capacity_units": 0.4 * n, "noise_factor": 1.6},
        {"name": "npu", "kind": "digital", "count": 1, "capacity_units": 0.25 * n + 30 * layers},
        {"name": "sram", "kind": "digital", "count": 4, "capacity_units": 0.1 * n},
    ]
    blocks: list[dict[str, Any]] = []
    for layer in range(layers):
        visits = random.permutation(load)
        blocks.append(block(f"layers.{layer}.attention", layer, "attention", 0.1, 0.0) | {"allowed_groups": ["npu"]})
        for expert in range(experts):
            name = f"layers.{layer}.experts.{expert}"
            blocks.append(block(name, layer, "expert", float(visits[expert]), float(score[layer, expert])))
    return {"format": 2, "groups": groups, "blocks": blocks}


def block(name: str, layer: int, kind: str, visits: float, score: float) -> dict[str, Any]:
    """One block with its costs on every group."""
    return {
        "name": name, "layer": layer, "kind": kind, "visits_per_token": visits, "sensitivity": score,
        "units": dict.fromkeys(ENERGY_PJ, UNITS),
        "energy_pj_per_token": {group: visits * value for group, value in ENERGY_PJ.items()},
        "busy_ns_per_token": {group: visits * value for group, value in BUSY_NS.items()},
    }  # fmt: skip


def problem(record: dict[str, Any], objective: str, limits: dict[str, float], **more: Any) -> MappingProblem:
    """The record under an objective and limits."""
    with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as file:
        json.dump(record | {"objective": objective, "limits": limits} | more, file)
    found = problem_from_file(load_problem(file.name))
    Path(file.name).unlink()
    return found


def solved(own: MappingProblem, gap: float = 1e-3) -> tuple[Solution, float]:
    """The solution, and the time from the problem to the proof [s]."""
    begin = time.perf_counter()
    found = solve_problem(own, time_limit_s=60.0, gap=gap, seed=0)
    return found, time.perf_counter() - begin


def gap_of(found: Solution) -> float:
    """(value − bound) / value."""
    return (found.best.value - found.bound) / max(abs(found.best.value), 1e-300)


def cases(record: dict[str, Any]) -> dict[str, MappingProblem]:
    """The problems of one model: separable objectives, limits that bind, the busiest group, layer latency."""
    values = {}
    for objective in ("sensitivity", "energy"):
        own = problem(record, objective, {})
        choice = solved(own)[0].best.choice
        values[objective] = float(own.instance.energy_pj[np.arange(len(choice)), choice].sum())
    most = values["energy"] + 0.4 * (values["sensitivity"] - values["energy"])
    return {
        "sensitivity": problem(record, "sensitivity", {}),
        "energy": problem(record, "energy", {}),
        "sensitivity, energy limit": problem(record, "sensitivity", {"max_energy_pj_per_token": most}),
        "weighted": problem(record, "weighted", {}, weights={"sensitivity": 1.0, "energy": 1e-6}),
        "bottleneck": problem(record, "bottleneck", {}),
        "layer latency": problem(record, "layer_latency", {}),
    }


def model_rows(name: str) -> list[Row]:
    """Times and gaps of one model, and how much worse the best rule is."""
    rows: list[Row] = []
    for what, own in cases(synthetic(*MODELS[name])).items():
        found, spent = solved(own)
        rows += [(f"{name}: {what}", spent, "s"), (f"{name}: {what}, gap", 100 * gap_of(found), "%")]
        kept = [r.value for r in compare_rules(own, FRACTIONS) if r.choice is not None and not r.broken]
        if kept:
            worse = 100 * (min(kept) / found.best.value - 1)
            rows.append((f"{name}: {what}, best rule worse by", worse, "%"))
    return rows


def plain_rows(name: str) -> list[Row]:
    """The same program handed to HiGHS as it is."""
    rows: list[Row] = []
    for what, own in cases(synthetic(*MODELS[name])).items():
        program = build_program(own)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "model.mps")
            program.write(file)
            highs: Any = highspy.Highs()  # type: ignore[no-untyped-call]
            for option, value in (("output_flag", False), ("threads", 1), ("mip_rel_gap", 1e-3)):
                highs.setOptionValue(option, value)
            highs.setOptionValue("time_limit", PLAIN_LIMIT_S)
            begin = time.perf_counter()
            highs.readModel(str(file))
            highs.run()
            rows.append((f"{name}: {what}, plain HiGHS", time.perf_counter() - begin, "s"))
            rows.append((f"{name}: {what}, plain HiGHS, gap", 100 * highs.getInfo().mip_gap, "%"))
    return rows


def front_rows(name: str) -> list[Row]:
    """A front of fifty points."""
    own = problem(synthetic(*MODELS[name]), "sensitivity", {})
    begin = time.perf_counter()
    front = mapping_front(own, ("sensitivity", "energy"), n_points=50, time_limit_s=300, gap=1e-3, seed=0)
    spent = time.perf_counter() - begin
    largest = 100 * max(point.gap for point in front.points)
    return [(f"{name}: front of {len(front.points)} points", spent, "s"), (f"{name}: front, largest gap", largest, "%")]


def shipped_rows(machine: str, name: str) -> list[Row]:
    """A shipped machine and workload, from costs to the packed mapping."""
    arch, workload = load_architecture(machine), load_workload(name)
    scores = score_blocks(workload)
    begin = time.perf_counter()
    costs, options = cost_table(arch, workload), option_scores(scores, workload, arch)
    limits = {"max_sensitivity_share": 0.6}
    mapping = solve_mapping(costs, options, workload, arch, objective="energy", limits=limits, gap=1e-3)
    chosen = time.perf_counter() - begin
    pack(mapping, arch, workload)
    label = f"{name} on {machine}, energy, sensitivity share <= 0.6"
    return [
        (f"{label}: placed", chosen, "s"),
        (f"{label}: placed and packed", time.perf_counter() - begin, "s"),
        (f"{label}: gap", 100 * mapping.gap, "%"),
    ]


def rows() -> list[Row]:
    """What was measured, its value, its unit."""
    found = [row for name in MODELS for row in model_rows(name)]
    found += [row for name in ("OLMoE", "Mixtral") for row in plain_rows(name)]
    found += [row for name in ("OLMoE", "Kimi-K2") for row in front_rows(name)]
    found += shipped_rows("server_pcm3d", "olmoe") + shipped_rows("rack_pcm3d_1t", "kimi_k2")
    arch, workload = load_architecture("server_pcm3d"), load_workload("olmoe")
    analog = rule_mapping(arch, workload, score_blocks(workload), rule="all_analog")
    found.append(("olmoe: pack 24 576 slices", seconds(lambda: pack(analog, arch, workload)), "s"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss + resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    found.append(("peak memory, process and largest solver", peak / 2**20, "GiB"))
    return found


def seconds(run: Callable[[], object]) -> float:
    """Wall-clock time of one run [s]."""
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


if __name__ == "__main__":
    for label, value, unit in rows():
        print(f"{label:76} {value:10.3g} {unit}", flush=True)
