"""One mapping task as arrays: blocks, options, costs, scores of one design point."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from collections.abc import Mapping as MappingABC
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dse.cost.option import Option
from dse.cost.table import CostTable
from dse.cost.tile import tile_area_mm2
from dse.cost.vector import vector_costs
from dse.mapping.pins import resolve_pins
from dse.mapping.step_tables import StepTables, placeable, step_tables
from dse.spec.architecture import Architecture
from dse.spec.provenance import placed
from dse.units import at_point
from dse.workload.blocks import BlockKind
from dse.workload.build import Workload
from dse.workload.steps import all_steps

# N blocks (all but the embedding), O options, S stages of all layers, G core groups, R resources

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
Indices = NDArray[np.int64]

STAGE_OF: Final[dict[BlockKind, str]] = {
    "attention": "attention", "router": "router", "expert": "experts", "shared": "experts", "ffn": "experts",
    "head": "head",
}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Instance:
    """Everything the mapping program needs, for one design point; times and energies are those of a step."""

    names: tuple[str, ...]
    """Names of the blocks to place, in the order of execution."""
    kinds: tuple[str, ...]
    """(N,): kind of each block."""
    options: tuple[Option, ...]
    allowed: Bools
    """(N, O): costs, pins and the table of scores all allow it."""
    score: Array
    """(N, O): what the option adds to the sensitivity."""
    is_expert: Bools
    layer: Indices
    """(N,): layer; −1 for the head."""
    block_class: Indices
    stage: Indices
    """(N,): index into ``stages``."""
    visits: Array
    """(N,): expected visits n·λ in a step."""
    stages: tuple[tuple[int, str], ...]
    """(layer, name) of every stage in the order of execution."""
    groups: tuple[str, ...]
    group_is_analog: Bools
    """(G,)."""
    group: Indices
    """(O,): index into ``groups``."""
    memory: tuple[str, ...]
    """(G,): memory that holds the weights of each group; empty on analog ones."""
    resources: tuple[str, ...]
    resource: Indices
    """(O,): index into ``resources``."""
    capacity: Array
    """(R,)."""
    units_of: tuple[str, ...]
    """(R,): what each resource is counted in: crossbars, bytes, units."""
    unit_area_mm2: Array
    """(O,): silicon of one capacity unit; 0 on digital units, whose area no placement changes."""
    units: Array
    """(N, O), like all below."""
    n_bytes: Array
    """Bytes of weights in the memory of the group; 0 on analog ones."""
    energy_pj: Array
    path_ns: Array
    fixed_ns: Array
    host: int
    """Group that runs partial sums and attention scores."""
    steps: tuple[StepTables, ...]
    """The steps that one run is a weighted mean of; one, but for generation and for mixes of scenarios."""
    background_pj: float
    """Energy of attention scores, KV cache and vector work."""
    standing_mw: float
    tokens: float
    """Tokens of a step."""
    side_by_side: Bools
    """(S,): whether the groups of the stage work at the same time (else one after the other)."""
    is_pipelined: bool
    """Whether micro-batches overlap."""

    @property
    def is_analog(self) -> Bools:
        """(O,): whether the option is on an analog group."""
        return self.group_is_analog[self.group]

    @property
    def rank_score(self) -> Array:
        """(N,): score that ranking rules sort by: the largest over the analog options."""
        best: Array = np.where(self.is_analog, self.score, 0.0).max(axis=1, initial=0.0)
        return best

    def resource_unit(self, resource: int) -> str:
        """What a resource is counted in."""
        return self.units_of[resource]

    @property
    def block_index(self) -> dict[str, int]:
        """Name of a block → its index."""
        return {name: index for index, name in enumerate(self.names)}


@placed
def make_instance(
    costs: CostTable,
    workload: Workload,
    arch: Architecture,
    *,
    score: Array,
    listed: Bools,
    pins: MappingABC[str, str] | None = None,
    point: int = 0,
) -> Instance:
    """Arrays of one design point.

    Args:
        costs: costs of every block class and option.
        workload: blocks and visits.
        arch: composition, and groups that pins name.
        score: (N, O) sensitivity.
        listed: (N, O) options that the table of scores lists.
        pins: as for ``resolve_pins``.
        point: design point.
    """
    blocks = placeable(workload)
    class_of = {block_class: index for index, block_class in enumerate(costs.classes)}
    block_class = np.array([class_of[block.block_class] for block in blocks])
    groups, resources = tuple(costs.is_analog), tuple(costs.capacity_units)
    stage_names = [(-1 if b.layer is None else b.layer, STAGE_OF[b.kind]) for b in blocks]
    kinds = all_steps(workload)
    combining = workload.model.expert_layers if vector_costs(arch, kinds[0].workload) else ()
    stages = all_stages(stage_names, combining)
    stage_at = {stage: index for index, stage in enumerate(stages)}
    is_expert = np.array([block.kind == "expert" for block in blocks])
    steps = tuple(step_tables(arch, step, costs, block_class=block_class, stages=stages, point=point) for step in kinds)

    def of_run(values: Callable[[StepTables], Array]) -> Array:
        return np.asarray(sum(step.weight * values(step) for step in steps), dtype=np.float64)

    return Instance(
        names=tuple(block.name for block in blocks),
        kinds=tuple(block.kind for block in blocks),
        options=costs.options,
        allowed=costs.allowed[block_class] & listed & pinned(arch, workload, costs, pins),
        score=score,
        is_expert=is_expert,
        layer=np.array([-1 if block.layer is None else block.layer for block in blocks]),
        block_class=block_class,
        stage=np.array([stage_at[stage] for stage in stage_names]),
        visits=of_run(lambda step: step.visits),
        stages=stages,
        groups=groups,
        group=np.array([groups.index(option.group) for option in costs.options]),
        group_is_analog=np.array(list(costs.is_analog.values())),
        memory=tuple("" if costs.is_analog[name] else costs.resource[name] for name in groups),
        resources=resources,
        resource=np.array([resources.index(costs.resource[option.group]) for option in costs.options]),
        capacity=np.array([at_point(c, point) for c in costs.capacity_units.values()]),
        host=groups.index(costs.host),
        standing_mw=at_point(costs.standing_power_mw, point),
        tokens=at_point(workload.tokens_per_step, point),
        side_by_side=np.array([name == "experts" for _, name in stages]) & (arch.composition != "serial"),
        is_pipelined=arch.composition == "pipelined",
        background_pj=sum(step.weight * step.background_pj for step in steps),
        units_of=tuple(
            "crossbars" if any(costs.is_analog[g] for g, r in costs.resource.items() if r == name) else "bytes"
            for name in resources
        ),
        unit_area_mm2=np.array([crossbar_area_mm2(arch, option, point) for option in costs.options]),
        units=costs.table(lambda c: c.units, point)[block_class],
        n_bytes=costs.table(lambda c: c.units, point)[block_class]
        * ~np.array([costs.is_analog[o.group] for o in costs.options]),
        energy_pj=of_run(lambda step: step.energy_pj),
        path_ns=costs.table(lambda c: c.path_ns, point)[block_class],
        fixed_ns=costs.table(lambda c: c.fixed_ns, point)[block_class],
        steps=steps,
    )


def crossbar_area_mm2(arch: Architecture, option: Option, point: int) -> float:
    """Silicon of one crossbar: its tile shared by the tiers; 0 on digital units."""
    found = [core for core in arch.analog_cores if core.name == option.group]
    return sum(at_point(tile_area_mm2(core) / core.tiers_per_tile, point) for core in found)


def all_stages(of_blocks: Iterable[tuple[int, str]], combining: Collection[int]) -> tuple[tuple[int, str], ...]:
    """(layer, name) of every stage in the order of execution: those of blocks, and the combine stage of some layers.

    >>> all_stages([(0, "attention"), (0, "experts"), (0, "experts"), (1, "attention")], [0])
    ((0, 'attention'), (0, 'experts'), (0, 'combine'), (1, 'attention'))
    """
    stages: list[tuple[int, str]] = []
    for layer, name in dict.fromkeys(of_blocks):
        stages.append((layer, name))
        if name == "experts" and layer in combining:
            stages.append((layer, "combine"))
    return tuple(stages)


def pinned(arch: Architecture, workload: Workload, costs: CostTable, pins: MappingABC[str, str] | None) -> Bools:
    """(N, O): options that the pins leave to each block."""
    resolved = resolve_pins(arch, workload, pins)
    masks = {
        groups: np.array([option.group in groups for option in costs.options]) for groups in set(resolved.values())
    }
    return np.array([masks[groups] for groups in resolved.values()])


def option_score_matrix(option_scores: pd.DataFrame, workload: Workload, costs: CostTable) -> tuple[Array, Bools]:
    """(N, O) scores and whether the table lists the option; a block without any row may use all, at 0."""
    rows = {block.name: index for index, block in enumerate(placeable(workload))}
    columns = {tuple(option): index for index, option in enumerate(costs.options)}
    score = np.zeros((len(rows), len(columns)))
    listed = np.zeros(score.shape, dtype=bool)
    names = ("block", "group", "precision", "copies", "score")
    for block, group, precision, copies, value in zip(*(option_scores[n].tolist() for n in names), strict=True):
        row, column = rows.get(block), columns.get((group, precision, copies))
        if row is not None and column is not None:
            score[row, column], listed[row, column] = value, True
    mentioned = set(option_scores["block"])
    listed[[name not in mentioned for name in rows]] = True
    return score, listed
