"""Cost of one simulated chip of the tiny model, in plain evaluations of the same text, on one CPU thread.

OMP_NUM_THREADS=1 python benchmarks/accuracy.py
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from dse.mapping.baseline import rule_mapping
from dse.noise.bench import bench_key, load_bench
from dse.noise.checkpoint import load_checkpoint
from dse.noise.chip import ChipJob, evaluate_chip
from dse.noise.keep import Place
from dse.noise.metrics import evaluate_model
from dse.sensitivity.score import score_blocks
from dse.spec.load import load_architecture
from dse.workload.build import load_workload

ALL_TOKENS = 10**9
"""More than there are: the whole evaluation set."""
SMALL = 8192
"""Tokens of a chip by default."""
ROUNDS = 3


def seconds(work: Callable[[], object]) -> float:
    """Processor time of one call [s]."""
    start = time.process_time()
    work()
    return time.process_time() - start


def rows() -> list[tuple[str, float, str]]:
    """Name, value and unit of every measurement."""
    return [
        (f"chip of tiny_moe, {name}, {mapping}", value, "plain evaluations")
        for tokens, name in ((SMALL, "8192 tokens"), (ALL_TOKENS, "whole evaluation set"))
        for mapping, value in ratios(tokens)
    ]


def ratios(n_tokens: int) -> list[tuple[str, float]]:
    """Mapping and time of a chip (drawn, evaluated, compared layer by layer) ÷ time of the library's own model.

    Rounds alternate between all of them; the median of the rounds' ratios.
    """
    arch, workload = load_architecture("tiny_edge"), load_workload("tiny_moe")
    assert workload.checkpoint is not None
    plain = load_checkpoint(workload.checkpoint).model
    key = bench_key(workload, n_tokens=n_tokens, n_items=0, needs_ranges=True)
    bench = load_bench(key)
    mappings = {
        "all analog": rule_mapping(arch, workload, score_blocks(workload), rule="all_analog"),
        "25 % of the experts digital": rule_mapping(
            arch, workload, score_blocks(workload), rule="top_k_per_layer", digital_fraction=0.25
        ),
    }

    def chip(name: str, number: int) -> Callable[[], object]:
        job = ChipJob(arch=arch, mapping=mappings[name], bench=key, place=Place(number, 1), seed=0, time_s=0.0,
                      scale=1.0, width=workload.model.d_model)  # fmt: skip
        return lambda: evaluate_chip(job)

    for name in mappings:
        chip(name, 0)()  # ranges of the converters and the digital model are measured once a study
    found: dict[str, list[float]] = {name: [] for name in mappings}
    for number in range(1, ROUNDS + 1):
        reference = seconds(lambda: evaluate_model(plain, bench.windows))
        for name in mappings:
            found[name].append(seconds(chip(name, number)) / reference)
    return [(name, statistics.median(values)) for name, values in found.items()]


if __name__ == "__main__":
    for name, value, unit in rows():
        print(f"{name:60} {value:8.3f} {unit}")
