"""One fabricated chip of a study: built, evaluated, compared with the digital model layer by layer."""

from __future__ import annotations

from dataclasses import dataclass

from dse.mapping.model import Mapping
from dse.noise.bench import BenchKey, load_bench
from dse.noise.convert import analog_cores, noisy_model
from dse.noise.digital import digital_formats
from dse.noise.keep import Place, Record
from dse.noise.key import chip_seed
from dse.noise.ranges import plan_of
from dse.noise.threads import threads_for
from dse.noise.trace import Trace, layer_record
from dse.spec.architecture import Architecture


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ChipJob:
    """One chip to evaluate; plain values, so that it can go to another process."""

    arch: Architecture
    mapping: Mapping
    bench: BenchKey
    place: Place
    seed: int
    """Seed of the study."""
    time_s: float
    """Age of the weights [s]."""
    scale: float
    width: int
    """Width of the model."""


def evaluate_chip(job: ChipJob) -> Record:
    """Metrics and layers of one chip; those of the digital model where all blocks keep its weights."""
    bench = load_bench(job.bench)
    cores = analog_cores(bench.model, job.mapping, job.arch)
    with threads_for(job.width):
        if not cores and not digital_formats(job.mapping, job.arch):
            return {"metrics": dict(bench.digital), "layers": []}
        chip = noisy_model(
            bench.model,
            job.mapping,
            job.arch,
            seed=chip_seed(job.seed, job.place.pair),
            sign=job.place.sign,
            time_s=job.time_s,
            scale=job.scale,
            ranges=bench.ranges(frozenset(plan_of(core) for core in cores.values())) if cores else None,
            is_resident=bench.is_roomy,
        )
        digital, trace = bench.digital_trace, Trace()
        metrics = bench.evaluate(chip, trace)
    return {"metrics": metrics, "layers": [layer_record(n, digital[n], layer) for n, layer in sorted(trace.items())]}
