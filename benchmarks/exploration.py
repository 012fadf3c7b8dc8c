"""Time and memory of 10^5 and 10^6 designs of OLMoE with five axes, start to study."""

from __future__ import annotations

import resource
import time

import numpy as np

from dse import Space, explore, load_architecture, load_workload

AXES = {
    "mapping.digital_fraction": [i / 20 for i in range(10)],
    "analog_cores.pcm.adc.bits": list(range(4, 14)),
    "analog_cores.pcm.cols": [128, 256, 384, 512, 640, 768, 896, 1024, 1280, 1536],
    "scenario.batch": [1, 2, 4, 8, 16, 32, 64, 96, 128, 256],
    "scenario.context_tokens": [128, 256, 512, 1024, 1536, 2048, 3072, 4096, 6144, 8192],
}
MORE_CONTEXTS = np.linspace(128, 8192, 100).round().tolist()
"""Contexts of the study of 10^6 designs."""


def rows() -> list[tuple[str, float, str]]:
    """Wall time, rate, peak memory of the process; of 10^5 designs, then of 10^6."""
    machine, workload = load_architecture("server_pcm3d"), load_workload("olmoe")
    found = []
    for axes in (AXES, AXES | {"scenario.context_tokens": MORE_CONTEXTS}):
        begin = time.perf_counter()
        study = explore(Space(architecture=machine, workload=workload, axes=axes))
        spent, n = time.perf_counter() - begin, len(study.points)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
        found += [
            (f"explore, {n} designs, five axes", spent, "s"),
            (f"designs per second, {n} designs", n / spent, "1/s"),
            (f"peak memory, {n} designs", peak, "GB"),
        ]
    return found
