"""Energy and time of a step of many designs, as tables over the number of digital experts in each layer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping as MappingABC
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dse.cost.attention import attention_cost
from dse.cost.micro_batch import micro_batch, n_micro_batches
from dse.cost.table import CostTable
from dse.cost.vector import vector_costs, vector_stage
from dse.mapping.instance import STAGE_OF, all_stages
from dse.mapping.step_tables import placeable
from dse.spec.architecture import Architecture
from dse.units import Quantity
from dse.workload.batch import layer_routings
from dse.workload.blocks import BlockKind
from dse.workload.build import Workload
from dse.workload.steps import Step, all_steps, at_context

# P design points, G core groups, L layers with experts, C counts 0..E of digital experts in a layer

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Prices:
    """What one block costs under one option, (P,) each."""

    visit_pj: Array
    activation_pj: Array
    upkeep_pj: Array
    compute_ns: Array
    fetch_ns: Array
    buffer_ns: Array
    held_ns: Array
    path_ns: Array
    fixed_ns: Array
    launch_ns: Array
    link_ns: Array
    host_ns: Array
    units: Array


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """The option of the experts on one technology."""

    group: str
    prices: Prices
    score: Array
    """(L, E): of every expert of each layer."""


class Fixed(NamedTuple):
    """A block with one option."""

    kind: BlockKind
    block_class: int
    option: int


class Shape(NamedTuple):
    """A stage without its layer: stages of one shape take the same time."""

    name: str
    has_experts: bool
    """Whether its layer has routed experts."""
    fixed: tuple[Fixed, ...]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Placeable:
    """What is to be placed: the stages with their fixed blocks, and the routed experts of each layer."""

    shapes: MappingABC[Shape, int]
    """Stages without free experts → how many."""
    expert_shapes: tuple[Shape, ...]
    """(L,): stage of the experts of each layer."""
    n_experts: int
    """Routed experts of a layer."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class EnergyTables:
    """Energy of a step [pJ] = rest + Σ_l of_layer[kind of l] at the count of l."""

    of_layer: Array
    """(P, K, C): of experts, and of standing power over their stage."""
    kind: NDArray[np.int64]
    """(L,): which of the K tables each layer has."""
    rest: Array
    """(P,)."""


def placeable_stages(arch: Architecture, workload: Workload, costs: CostTable, options: NDArray[np.int64]) -> Placeable:
    """Stages of a step; ``options`` (N,) holds the option of every block with one, −1 for routed experts."""
    blocks = placeable(workload)
    class_of = {block_class: index for index, block_class in enumerate(costs.classes)}
    with_experts = set(workload.model.expert_layers)
    of_stage: dict[tuple[int, str], list[Fixed]] = {}
    for block, option in zip(blocks, options.tolist(), strict=True):
        own = of_stage.setdefault((-1 if block.layer is None else block.layer, STAGE_OF[block.kind]), [])
        if option >= 0:
            own.append(Fixed(block.kind, class_of[block.block_class], option))
    combining = workload.model.expert_layers if vector_costs(arch, all_steps(workload)[0].workload) else ()
    shapes = {
        stage: Shape(stage[1], stage[0] in with_experts, tuple(sorted(of_stage.get(stage, ()))))
        for stage in all_stages(of_stage, combining)
    }
    experts = {stage for stage in shapes if stage[1] == "experts" and stage[0] in with_experts}
    return Placeable(
        shapes=Counter(shape for stage, shape in shapes.items() if stage not in experts),
        expert_shapes=tuple(shape for stage, shape in shapes.items() if stage in experts),
        n_experts=workload.model.n_experts,
    )


def prices(costs: CostTable, block_class: int, option: int) -> Prices:
    """What a block of a class costs under an option."""
    own = costs.of(block_class, option)
    parts = (
        own.energy_pj_per_visit, own.energy_pj_per_activation, own.upkeep_pj_per_step, own.compute_ns_per_visit,
        own.fetch_ns_per_activation, own.buffer_ns_per_visit, own.held_ns_per_activation, own.path_ns, own.fixed_ns,
        own.launch_ns_per_activation, own.link_ns_per_visit, own.host_ns_per_visit, own.units,
    )  # fmt: skip
    return Prices(*(np.broadcast_to(np.asarray(part, np.float64), (costs.n_points,)) for part in parts))


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """One kind of step of all designs; (P,) each."""

    arch: Architecture
    costs: CostTable
    micro: Workload
    """One micro-batch."""
    tokens: Array
    n_micro: Array
    weight: Array
    contexts: tuple[tuple[Array, Workload], ...]
    """Share of the step → its workload: one, or the mean contexts of a growing one."""
    active: Array
    """Probability that a routed expert is used."""

    def visits(self, kind: BlockKind) -> Array:
        """Visits of a block in one micro-batch."""
        if kind == "head":
            return self.spread(self.micro.scenario.batch)
        share = self.micro.model.top_k / self.micro.model.n_experts if kind == "expert" else 1.0
        return self.tokens * share

    def activations(self, kind: BlockKind) -> Array:
        """Probability that a block is used in one micro-batch."""
        return self.active if kind == "expert" else np.ones_like(self.tokens)

    def spread(self, value: Quantity) -> Array:
        """A value of every design."""
        return np.broadcast_to(np.asarray(value, np.float64), self.tokens.shape)

    def energy_pj(self, kind: BlockKind, own: Prices) -> Array:
        """Energy of one block in a whole step."""
        used = self.visits(kind) * own.visit_pj + self.activations(kind) * own.activation_pj
        return np.asarray(self.n_micro * (used + own.upkeep_pj))


def runs_of(arch: Architecture, workload: Workload, costs: CostTable) -> tuple[Run, ...]:
    """Every kind of step of the designs."""
    return tuple(run_of(arch, step, costs) for step in all_steps(workload))


def run_of(arch: Architecture, step: Step, costs: CostTable) -> Run:
    """One kind of step of the designs."""
    shape = (costs.n_points,)

    def spread(value: Quantity) -> Array:
        return np.broadcast_to(np.asarray(value, np.float64), shape)

    micro = micro_batch(arch, step.workload)
    tokens = spread(micro.tokens_per_step)
    distinct, inverse = np.unique(tokens, return_inverse=True)
    routing = layer_routings(step.workload)[micro.model.expert_layers[0]]
    active = routing.active(distinct, np.zeros(1, np.int64))[:, 0][inverse]
    whole = sum(span.length for span in step.spans)
    spans = [(span.length / whole, at_context(micro, span.mean)) for span in step.spans] or [(1.0, micro)]
    contexts = tuple((spread(share), workload) for share, workload in spans)
    n_micro = spread(n_micro_batches(arch))
    return Run(arch, costs, micro, tokens, n_micro, spread(step.weight), contexts, active)


def energy_tables(runs: tuple[Run, ...], stages: Placeable, analog: Side, digital: Side) -> EnergyTables:
    """Tables of all designs, where every expert has one of two options."""
    costs, shapes = runs[0].costs, tuple(dict.fromkeys(stages.expert_shapes))
    counts = np.arange(stages.n_experts + 1, dtype=np.float64)
    of_layer = np.zeros((costs.n_points, len(shapes), len(counts)))
    rest = np.zeros(costs.n_points)
    standing = costs.standing_power_mw
    for run in runs:
        other_ns = sum((n * stage_ns(run, shape) for shape, n in stages.shapes.items()), np.zeros((len(rest), 1)))[:, 0]
        blocks_pj = fixed_pj(run, stages.shapes) + fixed_pj(run, Counter(stages.expert_shapes))
        rest += run.weight * (blocks_pj + background_pj(run, stages) + standing * other_ns)
        sides = (
            (analog, stages.n_experts - counts, run.energy_pj("expert", analog.prices)),
            (digital, counts, run.energy_pj("expert", digital.prices)),
        )
        experts_pj = sum((energy[:, None] * n for _, n, energy in sides), np.zeros((len(rest), len(counts))))
        for index, shape in enumerate(shapes):
            time = stage_ns(run, shape, tuple((side.group, side.prices, n) for side, n, _ in sides))
            of_layer[:, index] += run.weight[:, None] * (experts_pj + standing[:, None] * time)
    kind = np.array([shapes.index(shape) for shape in stages.expert_shapes], dtype=np.int64)
    return EnergyTables(of_layer=of_layer, kind=kind, rest=rest)


def units_of_fixed(costs: CostTable, stages: Placeable) -> dict[str, Array]:
    """Resource → capacity units of all blocks with one option, (P,)."""
    units = {name: np.zeros(costs.n_points) for name in costs.capacity_units}
    for shape, n in (Counter(stages.expert_shapes) + Counter(stages.shapes)).items():
        for block in shape.fixed:
            resource = costs.resource[costs.options[block.option].group]
            units[resource] = units[resource] + n * costs.of(block.block_class, block.option).units
    return units


def fixed_pj(run: Run, shapes: MappingABC[Shape, int]) -> Array:
    """Energy of all blocks with one option in a step, (P,)."""
    blocks: Counter[Fixed] = Counter()
    for shape, n in shapes.items():
        for block in shape.fixed:
            blocks[block] += n
    found = [
        n * run.energy_pj(block.kind, prices(run.costs, block.block_class, block.option)) for block, n in blocks.items()
    ]
    return sum(found, np.zeros(run.costs.n_points))


def background_pj(run: Run, stages: Placeable) -> Array:
    """Energy of attention scores, KV cache and vector work over all layers, (P,)."""
    n_stages = Counter(stages.expert_shapes) + Counter(stages.shapes)
    energy = np.zeros(run.costs.n_points)
    for share, workload in run.contexts:
        attention, vector = attention_cost(run.arch, workload), vector_costs(run.arch, workload)
        work = run.spread(workload.model.n_layers * (attention.compute_pj + attention.memory_pj))
        for shape, n in n_stages.items():
            own = vector.get(vector_stage(shape.name, has_experts=shape.has_experts))
            work = work if own is None else work + n * np.asarray(own.pj)
        energy = energy + share * work
    return np.asarray(run.n_micro * energy)


def stage_ns(run: Run, shape: Shape, experts: tuple[tuple[str, Prices, Array], ...] = ()) -> Array:
    """Time of a stage, (P, C), or (P, 1) without routed experts; of those their group, prices and (C,) counts."""
    groups, costs = list(run.costs.is_analog), run.costs
    n_counts = len(experts[0][2]) if experts else 1
    path, compute, fetch, buffer, fixed, added = np.zeros((6, len(groups), costs.n_points, n_counts))
    host = groups.index(costs.host)
    blocks = [
        (b.kind, costs.options[b.option].group, prices(costs, b.block_class, b.option), np.ones(1)) for b in shape.fixed
    ]
    for kind, group, own, n in [*blocks, *(("expert", *entry) for entry in experts)]:
        g, some = groups.index(group), n > 0
        visits, active = run.visits(kind)[:, None] * n, run.activations(kind)[:, None] * n
        path[g] = np.maximum(path[g], own.path_ns[:, None] * some)
        fixed[g] = np.maximum(fixed[g], own.fixed_ns[:, None] * some)
        compute[g] += visits * own.compute_ns[:, None]
        compute[host] += visits * own.host_ns[:, None]
        fetch[g] += active * own.fetch_ns[:, None]
        buffer[g] += visits * own.buffer_ns[:, None] + active * own.held_ns[:, None]
        added[g] += visits * own.link_ns[:, None] + active * own.launch_ns[:, None]
    if shape.name == "attention":
        fixed[host] = np.maximum(fixed[host], run.spread(run.arch.unit(costs.host).launch_ns)[:, None])
    for share, workload in run.contexts:
        if shape.name == "attention":
            attention = attention_cost(run.arch, workload)
            compute[host] += (share * attention.compute_ns)[:, None]
            fetch[host] += (share * attention.fetch_ns)[:, None]
        vector = vector_costs(run.arch, workload).get(vector_stage(shape.name, has_experts=shape.has_experts))
        if vector is not None:
            added[host] += (share * vector.ns)[:, None]
    times = np.maximum.reduce([path, compute, fetch, buffer]) + fixed + added
    is_parallel = shape.name == "experts" and run.arch.composition != "serial"
    return np.asarray(times.max(axis=0) if is_parallel else times.sum(axis=0))
