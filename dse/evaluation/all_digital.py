"""The same workload without analog cores: on the machine at hand, and on the shipped digital machines."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np

from dse.cost.option import Option, dense_precision, host_unit
from dse.cost.table import CostTable, cost_table
from dse.evaluation.baseline import Baseline
from dse.evaluation.energy import digital_energy_model
from dse.evaluation.points import evaluate_points
from dse.evaluation.result import Evaluation
from dse.mapping.model import Mapping
from dse.spec.architecture import Architecture
from dse.spec.load import load_architecture
from dse.spec.model import Model
from dse.units import Precision, at_point
from dse.workload.blocks import blocks_per_class, make_blocks
from dse.workload.build import Workload

MACHINES: Final = ("h200_fp8", "h200x8_fp8", "dimc_hbm")
"""Shipped machines without analog cores."""
FORMATS: Final[tuple[Precision, ...]] = ("fp16", "fp8", "int4")
"""Formats of all weights, dense ones and experts; what a narrow one loses in accuracy is not counted."""


@lru_cache(maxsize=8)
def digital_baselines(workload: Workload) -> tuple[Baseline, ...]:
    """The first design point of a workload on every machine in every format; computed once per workload."""
    return tuple(
        digital_run(machine(name), workload.with_values({"scenario.precision.weights": precision}))
        for name in MACHINES
        for precision in FORMATS
    )


@lru_cache(maxsize=len(MACHINES))
def machine(name: str) -> Architecture:
    """A shipped machine."""
    return load_architecture(name)


def all_digital_mapping(arch: Architecture, workload: Workload) -> Mapping:
    """Every block on the host unit at the format of its dense weights; capacity is not asked for."""
    unit = host_unit(arch)
    return all_under(workload.model, Option(unit.name, dense_precision(unit, workload)))


@lru_cache(maxsize=32)
def all_under(model: Model, option: Option) -> Mapping:
    """Every block of a model under one option."""
    placement = {block.name: option for block in make_blocks(model) if block.kind != "embedding"}
    return Mapping(placement=placement, objective="all digital", value=0.0, bound=float("-inf"), status="rule")


def digital_run(arch: Architecture, workload: Workload) -> Baseline:
    """A workload, all digital, on one machine; evaluated only where it fits."""
    costs = cost_table(arch, workload)
    unit = host_unit(arch)
    blocks = block_bytes(workload, costs, Option(unit.name, dense_precision(unit, workload)))
    have = arch.memory(unit.memory).capacity_bytes
    resident = at_point(have) - at_point(costs.capacity_units[unit.memory])
    e: Evaluation | None = None
    if blocks + resident <= at_point(have):
        e = evaluate_points(arch, workload, all_digital_mapping(arch, workload), costs)
    tokens_per_s = None if e is None else at_point(e.tokens_per_s)
    return Baseline(
        architecture=arch.name,
        weights=dense_precision(unit, workload),
        energy_boundary=arch.energy_boundary,
        energy_model=digital_energy_model(arch),
        need_bytes=blocks + resident,
        have_bytes=at_point(have),
        tokens_per_s=tokens_per_s,
        tokens_per_j=None if e is None else at_point(e.tokens_per_j),
        tokens_per_s_per_mm2=None if e is None or tokens_per_s is None else tokens_per_s / at_point(e.area_mm2),
        power_mw=None if e is None else at_point(e.power_mw),
        binding=None if e is None else str(np.ravel(np.asarray(e.binding, dtype=object))[0]),
    )


def block_bytes(workload: Workload, costs: CostTable, option: Option) -> float:
    """Bytes of all blocks but the embedding under one option, of the first design point."""
    at = costs.options.index(option)
    return sum(n * at_point(costs.of(c, at).units) for c, n in enumerate(blocks_per_class(workload.model)))
