"""The study behind ``check_accuracy``: its chips, stage by stage, and what they say."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from dse.errors import TimeLimitError
from dse.mapping.model import Mapping
from dse.noise.bench import Bench, BenchKey, bench_key, load_bench, require_same_shapes
from dse.noise.chip import ChipJob
from dse.noise.convert import analog_cores, require_known_age
from dse.noise.digital import WeightFormat, digital_formats
from dse.noise.effects import effects_of
from dse.noise.intervals import pairs_needed
from dse.noise.keep import ChipStore, Place, noise_digest, simulator_digest
from dse.noise.key import Sign
from dse.noise.measure import Chips, measure_chips
from dse.noise.plan import Plan
from dse.noise.result import AccuracyInterrupted, AccuracyReport, Status
from dse.noise.sites import unplaced
from dse.noise.summary import LOSS, chip_yield, equivalence, increases, summarise, summarise_layers, summarise_loads
from dse.noise.tables import draw_table, layer_table, load_table
from dse.noise.torch_device import GENERATOR
from dse.spec.architecture import AnalogCore, Architecture
from dse.workload.build import Workload

SIGNS: tuple[Sign, Sign] = (1, -1)
FEWEST_PAIRS = 2
"""Pairs that an interval needs."""

Progress = Callable[[int, int], None]
"""Called with the number of chips done and of chips in all."""


@dataclass(frozen=True, slots=True, eq=False)
class AccuracyStudy:
    """One mapping on its test bench."""

    arch: Architecture
    workload: Workload
    mapping: Mapping
    plan: Plan
    key: BenchKey
    bench: Bench
    cores: dict[str, AnalogCore]
    """Analog block → core group."""
    store: ChipStore
    formats: dict[str, WeightFormat]
    """Digital block → format, where it is in whole numbers."""

    def measured(self, executor: Executor | None, deadline: float, progress: Progress) -> Chips:
        """The chips of the first stage and, where the plan wants an interval, as many more as their spread asks for.

        Raises:
            AccuracyInterrupted: the user stopped it.
        """
        chips: Chips = {}
        planned, is_open = self.plan.draws, self.plan.half_width_nats is not None

        def told() -> None:
            progress(len(chips), max(planned, len(chips) + is_open))

        def add(first: int, last: int) -> None:
            jobs = [self.job(Place(pair, sign)) for pair in range(first, last) for sign in SIGNS]
            measure_chips(jobs, self.store, chips, executor=executor, deadline=deadline, told=told)

        try:
            add(0, self.plan.draws // 2)
            planned, is_open = self.planned_draws(chips), False
            add(self.plan.draws // 2, planned // 2)
        except KeyboardInterrupt:
            raise AccuracyInterrupted(len(chips), planned) from None
        if self.plan.half_width_nats is not None:
            progress(len(chips), len(chips))
        return chips

    @property
    def age_s(self) -> float:
        """Age of the programmed weights [s]."""
        return self.plan.age_s(self.workload)

    def job(self, place: Place) -> ChipJob:
        """The work of one chip."""
        plan = self.plan
        return ChipJob(
            arch=self.arch,
            mapping=self.mapping,
            bench=self.key,
            place=place,
            seed=plan.seed,
            time_s=self.age_s,
            scale=plan.scale,
            width=self.workload.model.d_model,
        )

    def planned_draws(self, chips: Chips) -> int:
        """Chips that the study needs, from the spread of the first stage."""
        plan = self.plan
        if plan.half_width_nats is None or len(chips) < plan.draws:
            return plan.draws
        first = {place: chip for place, chip in chips.items() if place.pair < plan.draws // 2}
        pairs = increases(draw_table(first), LOSS, self.bench.digital[LOSS])
        return 2 * pairs_needed(pairs, half_width=plan.half_width_nats, most=plan.max_draws // 2)

    def report(self, chips: Chips, *, seconds: float) -> AccuracyReport:
        """What the complete pairs say.

        Raises:
            TimeLimitError: they are too few.
        """
        plan, digital = self.plan, dict(self.bench.digital)
        whole = {place: chip for place, chip in chips.items() if Place(place.pair, -place.sign) in chips}
        planned = self.planned_draws(chips)
        if len(whole) < 2 * FEWEST_PAIRS:
            raise TimeLimitError(
                f"time is over after {len(chips)} of {planned} chips; an interval needs two whole pairs"
            )
        effects = effects_of(self.cores.values(), time_s=self.age_s, formats=self.formats.values())
        table = draw_table(whole)
        n_first = min(plan.draws, len(whole)) // 2
        summary = summarise(table, digital, n_first=n_first)
        return AccuracyReport(
            draws=table,
            digital=digital,
            summary=summary,
            layers=summarise_layers(layer_table(whole), n_first=n_first),
            expert_loads=summarise_loads(load_table(whole, self.bench.digital_trace), n_first=n_first),
            status=self.status(len(whole), planned, summary),
            first_draws=2 * n_first,
            planned_draws=planned,
            half_width_nats=plan.half_width_nats,
            chip_yield=None if plan.yield_limit_nats is None else chip_yield(
                table, digital, limit_nats=plan.yield_limit_nats, n_first=n_first),
            equivalence=None if plan.margin_nats is None else equivalence(
                table, digital, margin_nats=plan.margin_nats, n_first=n_first),
            seed=plan.seed,
            scale=plan.scale,
            time_s=self.age_s,
            n_tokens=self.bench.n_tokens,
            n_items=len(self.bench.items),
            effects=effects.simulated,
            analog_blocks=len(self.cores),
            rounded_blocks=len(self.formats),
            unplaced=unplaced(self.bench.model),
            torch_device=plan.torch_device,
            generator=GENERATOR,
            unmodelled=effects.left_out,
            digests={
                "architecture": self.arch.digest,
                "workload": self.workload.digest,
                "mapping": placement_digest(self.mapping),
                **dict(self.key.digests),
            },
            seconds=seconds,
        )  # fmt: skip

    def status(self, measured: int, planned: int, summary: pd.DataFrame) -> Status:
        """Why the study ended."""
        if measured < planned:
            return "time_limit"
        wanted = self.plan.half_width_nats
        loss = summary.set_index("metric").loc[LOSS]
        reached = wanted is None or (loss["high"] - loss["low"]) / 2 <= wanted * (1 + 1e-9)
        return "complete" if reached else "draws_limit"


def prepared(
    arch: Architecture, workload: Workload, mapping: Mapping, plan: Plan, folder: Path | None
) -> AccuracyStudy:
    """Loads what a study needs.

    Raises:
        SpecError: as for ``check_accuracy``.
    """
    plan.require_possible(workload)
    placed = any(option.precision == "analog" for option in mapping.placement.values())
    key = bench_key(workload, n_tokens=plan.n_tokens, n_items=plan.n_items, tasks=plan.tasks, needs_ranges=placed,
                    torch_device=plan.torch_device)  # fmt: skip
    bench = load_bench(key)
    require_same_shapes(bench.model, workload)
    cores = analog_cores(bench.model, mapping, arch)
    formats = digital_formats(mapping, arch)
    require_known_age(cores.values(), plan.age_s(workload))
    identity = {
        **dict(key.digests),
        "cores": noise_digest(cores),
        "mapping": placement_digest(mapping),
        "seed": plan.seed,
        "scale": plan.scale,
        "time": plan.age_s(workload),
        "tokens": plan.n_tokens,
        "items": plan.n_items,
        "formats of digital blocks": sorted((block, *form) for block, form in formats.items()),
        "torch device": plan.torch_device,
        "number format": workload.number_format,
        "tasks": list(plan.tasks.names),
        "items of a task": plan.tasks.n_items,
        "version of the simulator": simulator_digest(),
    }
    return AccuracyStudy(arch, workload, mapping, plan, key, bench, cores, ChipStore(folder, identity), formats)


def placement_digest(mapping: Mapping) -> str:
    """sha256 over the placement of all blocks."""
    placed = sorted((name, *option) for name, option in mapping.placement.items())
    return hashlib.sha256(json.dumps(placed).encode()).hexdigest()
