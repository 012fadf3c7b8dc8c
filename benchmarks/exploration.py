"""Time and memory of 10^5 designs of OLMoE with five axes, start to study."""

from __future__ import annotations

import resource
import time

import numpy as np

from dse import Space, explore, load_architecture, load_workload

AXES = {
    "mapping.digital_fraction": [i / 20 for i in range(10)],
    "analog_cores.pcm.cost.mvm.energy_pj": np.linspace(5e3, 2e4, 10).tolist(),
    "memories.hbm.bandwidth_bytes_per_ns": np.linspace(600, 2400, 10).tolist(),
    "scenario.batch": [1, 2, 4, 8, 16, 32, 64, 96, 128, 256],
    "scenario.context_tokens": [128, 256, 512, 1024, 1536, 2048, 3072, 4096, 6144, 8192],
}


def rows() -> list[tuple[str, float, str]]:
    """Wall time, rate, peak memory of the process."""
    space = Space(architecture=load_architecture("server_pcm3d"), workload=load_workload("olmoe"), axes=AXES)
    begin = time.perf_counter()
    study = explore(space)
    spent = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    return [
        (f"explore, {len(study.points)} designs, five axes", spent, "s"),
        ("designs per second", len(study.points) / spent, "1/s"),
        ("peak memory", peak, "GB"),
    ]
