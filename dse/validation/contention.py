"""Step times on shared tiles against an event-driven simulation of products that queue at them."""

from __future__ import annotations

import random
from collections.abc import Mapping as MappingABC
from typing import Any, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from dse.cost.option import Option
from dse.evaluation.points import evaluate_points
from dse.evaluation.result import Evaluation
from dse.mapping.model import Mapping
from dse.mapping.pack import rank_within
from dse.mapping.pack_slices import group_slices
from dse.spec.load import load_architecture
from dse.units import at_point
from dse.validation.comparison import Claim, Comparison, Role, Row
from dse.validation.files import read_json, validation_file
from dse.workload.build import load_workload

FOLDER: Final = "contention"
ROLES: Final[MappingABC[str, Role]] = {"seen": "calibrated", "held_out": "held out"}
RANDOM: Final = 7
"""Seed of the random packing."""
Packing = Literal["round", "random", "clustered"]


class Design(NamedTuple):
    """One mapping of the small model on the small machine."""

    analog_share: float
    """Share of each layer's experts that is analog: the first ones."""
    all_blocks: bool
    """Whether attention, routers and head are analog too."""
    packing: Packing
    """Slices round the tiles in order, at random, or those that follow each other on the same tile."""
    n_tiles: int
    batch: int
    micro_batches: int = 1
    """More than one: pipelined."""

    @property
    def text(self) -> str:
        """The design in a few words."""
        blocks = f"{100 * self.analog_share:g} % of the experts{' and the other blocks' if self.all_blocks else ''}"
        parts = f" in {self.micro_batches} micro-batches" if self.micro_batches > 1 else ""
        return f"{blocks} on {self.n_tiles} tiles, {self.packing}, batch {self.batch}{parts}"


def compare_contention() -> Comparison:
    """Step times with waits on shared tiles, serial and overlapped."""
    data = read_json(f"{FOLDER}/simulated.json")
    rows = [row_of(entry) for entry in data["rows"] if entry["composition"] != "pipelined"]
    rank = min(rank_correlation([r for r in rows if r.case.endswith(end)]) for end in ("serial", "overlapped"))
    return Comparison(
        name="Step times on shared tiles",
        what="Mean time of a decode step in which slices share tiles and products of several tokens queue at them, "
        "serial and overlapped. The formula has nothing that was fitted; calibrated: designs seen while it was made.",
        truth="event-driven simulation",
        source=data["source"],
        rows=tuple(rows),
        claim=Claim(mean_fraction=0.03, max_fraction=0.06),
        notes=(
            data["about"],
            f"Designs rank as in the simulation: Spearman correlation {rank:.3f} of all rows of a composition.",
        ),
    )


def compare_pipelined_contention() -> Comparison:
    """The same for pipelined micro-batches, which wait for each other too."""
    data = read_json(f"{FOLDER}/simulated.json")
    rows = [row_of(entry) for entry in data["rows"] if entry["composition"] == "pipelined"]
    beyond = sum(abs(row.error_fraction) > 0.15 for row in rows)
    return Comparison(
        name="Step times on shared tiles, pipelined",
        what="The same with two to eight micro-batches in flight; simulated: the period once it runs evenly. "
        "Calibrated: the two powers and the weight of the formula were fitted to these and to random designs.",
        truth="event-driven simulation",
        source=data["source"],
        rows=tuple(rows),
        claim=Claim(mean_fraction=0.06, max_fraction=0.18),
        notes=(
            f"{len(rows) - beyond} of {len(rows)} designs are within 15 %. Designs rank as in the simulation: Spearman "
            f"correlation {rank_correlation(rows):.3f}.",
        ),
    )


def row_of(entry: MappingABC[str, Any]) -> Row:
    """One design: the simulated mean and the evaluated time."""
    design = Design(*entry["design"])
    found = evaluated(design, entry["composition"]).contended_latency_ns_per_step
    return Row(
        case=f"{design.text}, {entry['composition']}",
        quantity="contended_latency_ns_per_step",
        stated=entry["simulated_ns"],
        found=at_point(found),
        role=ROLES[entry["role"]],
    )


def rank_correlation(rows: list[Row]) -> float:
    """Spearman correlation of stated and found figures."""
    return float(spearmanr([row.stated for row in rows], [row.found for row in rows]).statistic)


def evaluated(design: Design, composition: str, workload_values: MappingABC[str, Any] | None = None) -> Evaluation:
    """The evaluation of a design."""
    micro = {"micro_batches": design.micro_batches} if composition == "pipelined" else {}
    arch = load_architecture(
        validation_file(f"{FOLDER}/machine.yaml"),
        {"composition": composition, "analog_cores.pcm.tiles_per_die": design.n_tiles, **micro},
    )
    workload = load_workload(
        validation_file(f"{FOLDER}/workload.yaml"), {"scenario.batch": design.batch, **(workload_values or {})}
    )
    few = round(design.analog_share * workload.model.n_experts)
    placed = [block for block in workload.blocks if block.kind != "embedding"]
    analog = [b for b in placed if (design.all_blocks if b.expert is None else b.expert < few)]
    names = {block.name for block in analog}
    placement = {b.name: Option("pcm", "analog") if b.name in names else Option("npu", "fp16") for b in placed}
    table = None
    if analog:
        slices = group_slices(arch.core("pcm"), analog, [1] * len(analog), dict.fromkeys(names, 0.0))
        tile = tiles_of(design.packing, len(slices.block), design.n_tiles)
        table = slices.table("pcm", np.zeros_like(tile), tile, rank_within(tile))
    mapping = Mapping(placement=placement, objective="given", value=0, bound=0, status="rule", slices=table)
    return evaluate_points(arch, workload, mapping)


def tiles_of(packing: Packing, n_slices: int, n_tiles: int) -> NDArray[np.int64]:
    """(S,): tile of every slice, in the order of execution."""
    number = np.arange(n_slices)
    if packing == "clustered":
        return np.asarray(number * n_tiles // n_slices)
    order = (number % n_tiles).tolist()
    return np.array(order if packing == "round" else random.Random(RANDOM).sample(order, n_slices))
