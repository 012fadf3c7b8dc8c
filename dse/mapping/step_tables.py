"""Tables of one kind of step: visits, energies and times of every block and option, and what the host does anyway."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dse.cost.attention import attention_cost
from dse.cost.micro_batch import micro_batch, n_micro_batches
from dse.cost.option import OptionCost
from dse.cost.table import CostTable
from dse.cost.vector import VectorStage, vector_costs, vector_stage
from dse.spec.architecture import Architecture
from dse.units import Quantity, at_point
from dse.workload.batch import layer_routings
from dse.workload.blocks import Block
from dse.workload.build import Workload
from dse.workload.routing import visits_per_token
from dse.workload.steps import Step, at_context

# N blocks (all but the embedding), O options, S stages of all layers

Array = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class StepTables:
    """One kind of step; times are those of one micro-batch (of the whole batch where it is not split) [ns]."""

    weight: float
    """Steps of this kind per step of the run."""
    micro_batches: float
    """Parts that the batch runs in."""
    visits: Array
    """(N,): expected visits of each block in the whole step."""
    energy_pj: Array
    """(N, O): energy of the whole step."""
    background_pj: float
    """Energy of the whole step that no placement changes."""
    compute_ns: Array
    """(N, O), like the next four."""
    fetch_ns: Array
    buffer_ns: Array
    """Time of the unit's on-chip buffer."""
    added_ns: Array
    """Time that adds to the busy time: on the link, and launches of each active block."""
    host_ns: Array
    host_compute_ns: Array
    """(S,): compute time of the host that no placement changes: attention scores."""
    host_fetch_ns: Array
    """(S,): memory time of the host that no placement changes: the KV cache."""
    host_fixed_ns: Array
    """(S,): launch time of the host that no placement changes."""
    host_added_ns: Array
    """(S,): vector work of the host, which adds to its busy time."""


def step_tables(
    arch: Architecture,
    step: Step,
    costs: CostTable,
    *,
    block_class: Indices,
    stages: tuple[tuple[int, str], ...],
    point: int,
) -> StepTables:
    """Tables of one kind of step; of a growing context the mean step, whose times are a lower end of the mean time."""
    micro, n_micro = micro_batch(arch, step.workload), at_point(n_micro_batches(arch), point)
    tokens = at_point(micro.tokens_per_step, point)
    per_token = visits_per_token(step.workload, point)[[b.kind != "embedding" for b in step.workload.blocks]]
    visits = (tokens * per_token)[:, None]
    active = active_blocks(step.workload, placeable(step.workload), tokens)[:, None]

    def of_block(number: Callable[[OptionCost], Quantity]) -> Array:
        return costs.table(number, point)[block_class]

    energy_pj = visits * of_block(lambda c: c.energy_pj_per_visit) + active * of_block(
        lambda c: c.energy_pj_per_activation
    )
    whole = sum(span.length for span in step.spans)
    spans = [(span.length / whole, at_context(micro, span.mean)) for span in step.spans] or [(1.0, micro)]
    shares = [(at_point(share, point), workload) for share, workload in spans]
    hosts = [(share, host_tables(arch, workload, costs, stages, point)) for share, workload in shares]
    background = [share * background_pj(arch, workload, costs, stages, point) for share, workload in shares]
    return StepTables(
        weight=at_point(step.weight, point),
        micro_batches=n_micro,
        visits=n_micro * visits[:, 0],
        energy_pj=n_micro * (energy_pj + of_block(lambda c: c.upkeep_pj_per_step)),
        background_pj=n_micro * sum(background),
        compute_ns=visits * of_block(lambda c: c.compute_ns_per_visit),
        fetch_ns=active * of_block(lambda c: c.fetch_ns_per_activation),
        buffer_ns=visits * of_block(lambda c: c.buffer_ns_per_visit)
        + active * of_block(lambda c: c.held_ns_per_activation),
        added_ns=visits * of_block(lambda c: c.link_ns_per_visit)
        + active * of_block(lambda c: c.launch_ns_per_activation),
        host_ns=visits * of_block(lambda c: c.host_ns_per_visit),
        **{name: np.asarray(sum(share * table[name] for share, table in hosts)) for name in hosts[0][1]},
    )


def host_tables(
    arch: Architecture, workload: Workload, costs: CostTable, stages: tuple[tuple[int, str], ...], point: int
) -> dict[str, Array]:
    """(S,) times of the host in each stage that no placement changes."""
    attention, vector = attention_cost(arch, workload), vector_costs(arch, workload)
    has_attention = np.array([name == "attention" for _, name in stages], dtype=np.float64)
    values = {
        "host_compute_ns": attention.compute_ns,
        "host_fetch_ns": attention.fetch_ns,
        "host_fixed_ns": arch.unit(costs.host).launch_ns,
    }
    added = {kind: at_point(cost.ns, point) for kind, cost in vector.items()}
    kinds = vector_kinds(workload, stages)
    return {
        **{name: has_attention * at_point(value, point) for name, value in values.items()},
        "host_added_ns": np.array([added.get(kind, 0.0) for kind in kinds]),
    }


def vector_kinds(workload: Workload, stages: tuple[tuple[int, str], ...]) -> list[VectorStage]:
    """(S,): kind of vector work of each stage."""
    with_experts = set(workload.model.expert_layers)
    return [vector_stage(name, has_experts=layer in with_experts) for layer, name in stages]


def background_pj(
    arch: Architecture, workload: Workload, costs: CostTable, stages: tuple[tuple[int, str], ...], point: int
) -> float:
    """Energy of attention scores, KV cache and vector work over all layers [pJ]."""
    attention, vector = attention_cost(arch, workload), vector_costs(arch, workload)
    per_layer = attention.compute_pj + attention.memory_pj
    lanes = {kind: at_point(cost.pj, point) for kind, cost in vector.items()}
    work = sum(lanes.get(kind, 0.0) for kind in vector_kinds(workload, stages))
    return workload.model.n_layers * at_point(per_layer, point) + work


def active_blocks(workload: Workload, blocks: tuple[Block, ...], tokens: float) -> Array:
    """(N,): probability that a block is used in a step; 1 for dense blocks."""
    active = np.ones(len(blocks))
    own: dict[int, list[int]] = {layer: [] for layer in workload.model.expert_layers}
    for index, block in enumerate(blocks):
        if block.layer is not None and block.expert is not None:
            own[block.layer].append(index)
    for layer, routing in layer_routings(workload).items():
        experts = np.array([blocks[i].expert for i in own[layer]], dtype=np.int64)
        active[own[layer]] = routing.active(np.array([tokens]), experts)[0]
    return active


def placeable(workload: Workload) -> tuple[Block, ...]:
    """All blocks but the embedding."""
    return tuple(block for block in workload.blocks if block.kind != "embedding")
