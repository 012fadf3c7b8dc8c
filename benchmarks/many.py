"""Best mappings of 10^4 designs of OLMoE at once, beside the solver one design at a time."""

from __future__ import annotations

import resource
import time

import numpy as np

from dse import load_architecture, load_workload
from dse.cost.table import cost_table
from dse.mapping.many import ManyObjective, map_many
from dse.mapping.solve import solve_mapping
from dse.sensitivity.options import option_scores
from dse.sensitivity.score import score_blocks

N_DESIGNS = 10_000
N_SOLVED = 3
"""Designs of each case that the solver maps too."""
CASES: dict[str, tuple[ManyObjective, dict[str, float]]] = {
    "energy": ("energy", {}),
    "energy, sensitivity share <= 0.3": ("energy", {"max_sensitivity_share": 0.3}),
    "energy, sensitivity share <= 0.8": ("energy", {"max_sensitivity_share": 0.8}),
    "energy, a fifth digital": ("energy", {"digital_fraction": 0.2}),
    "sensitivity, energy <= 20 mJ": ("sensitivity", {"max_energy_pj_per_token": 2e10}),
}


def rows() -> list[tuple[str, float, str]]:
    """Designs per second, gaps, and how far value and bound are from the solver's value."""
    random = np.random.default_rng(0)
    workload = load_workload("olmoe")
    scores = score_blocks(workload)
    base = load_architecture("server_pcm3d")
    options = option_scores(scores, workload, base)
    arch = base.with_values(
        {
            "memories.hbm.bandwidth_bytes_per_ns": random.uniform(400, 3000, N_DESIGNS),
            "analog_cores.pcm.adc.bits": random.integers(4, 12, N_DESIGNS).astype(float),
            "dies.analog.count": random.integers(2, 6, N_DESIGNS).astype(float),
        }
    )
    workload = workload.with_values(
        {
            "scenario.batch": random.integers(1, 96, N_DESIGNS).astype(float),
            "scenario.context_tokens": random.integers(128, 2048, N_DESIGNS).astype(float),
        }
    )
    begin = time.perf_counter()
    costs = cost_table(arch, workload)
    found = [("cost table of 10^4 designs", time.perf_counter() - begin, "s")]
    for case, (objective, limits) in CASES.items():
        begin = time.process_time()
        many = map_many(costs, options, workload, arch, objective=objective, limits=limits)
        spent = time.process_time() - begin
        placed = np.flatnonzero(many.limit == "")
        gaps = many.gap[placed]
        found += [
            (f"{case}: designs per second of one core", N_DESIGNS / spent, "1/s"),
            (f"{case}: share of designs with a mapping", len(placed) / N_DESIGNS, "-"),
            (f"{case}: gap, median", float(np.median(gaps)), "-"),
            (f"{case}: gap, 99th percentile", float(np.quantile(gaps, 0.99)), "-"),
            (f"{case}: gap, largest", float(gaps.max()), "-"),
        ]
        seconds, above, below = [], [], []
        compared = placed[many.value[placed] > 0]
        for point in compared[:: len(compared) // N_SOLVED][:N_SOLVED].tolist():
            begin = time.perf_counter()
            solved = solve_mapping(
                costs, options, workload, arch, objective=objective, limits=limits, point=point, gap=1e-3
            )
            seconds.append(time.perf_counter() - begin)
            above.append(many.value[point] / solved.value - 1)
            below.append(1 - many.bound[point] / solved.value)
        found += [
            (f"{case}: solver, designs per second", N_SOLVED / sum(seconds), "1/s"),
            (f"{case}: value above the solver's, largest", max(above), "-"),
            (f"{case}: bound below the solver's value, largest", max(below), "-"),
        ]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    return [*found, ("peak memory of the process", peak, "GB")]


if __name__ == "__main__":
    for label, value, unit in rows():
        print(f"{label:70} {value:10.3g} {unit}")
