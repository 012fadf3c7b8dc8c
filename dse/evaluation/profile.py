"""Where the blocks of each layer are, folded so that layers with the same placement are computed once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from collections.abc import Mapping as MappingABC
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from dse.cost.table import CostTable
from dse.errors import SpecError
from dse.mapping.model import Mapping
from dse.units import Quantity
from dse.workload.blocks import BlockKind
from dse.workload.build import Workload
from dse.workload.routing import expected_busiest, visits_per_token

Array = NDArray[np.float64]
Stage = Literal["attention", "router", "experts", "combine", "head"]
STAGES: Final[tuple[Stage, ...]] = ("attention", "router", "experts", "combine", "head")
STAGE_OF: Final[MappingABC[BlockKind, Stage]] = {
    "attention": "attention", "router": "router", "expert": "experts", "shared": "experts", "ffn": "experts",
    "head": "head",
}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """Blocks of one class under one option in one layer."""

    kind: BlockKind
    class_index: int
    option_index: int
    visits_per_token: Array
    """λ of each block."""

    @property
    def n_blocks(self) -> int:
        """Blocks of the entry."""
        return len(self.visits_per_token)

    def visits(self, workload: Workload) -> Quantity:
        """Visits of all blocks together in a step; the head runs once per sequence."""
        if self.kind == "head":
            return workload.scenario.batch
        return workload.tokens_per_step * float(self.visits_per_token.sum())

    def activations(self, tokens: Array) -> Array:
        """Expected number of blocks that are used in a step, (P,): Σ 1 − (1 − λ)^n; dense blocks always are."""
        if self.kind != "expert":
            return np.full(tokens.shape, float(self.n_blocks))
        values, counts = np.unique(self.visits_per_token, return_counts=True)
        distinct, inverse = np.unique(tokens, return_inverse=True)
        active = -np.expm1(distinct[:, None] * np.log1p(-np.minimum(values, 1 - 1e-16)))
        return np.asarray((active @ counts)[inverse])

    def busiest(self, workload: Workload, tokens: Array) -> Array:
        """Expected visits of the busiest block in a step, (P,)."""
        if self.kind != "expert":
            return np.broadcast_to(np.asarray(self.visits(workload), np.float64) / self.n_blocks, tokens.shape)
        distinct, inverse = np.unique(tokens, return_inverse=True)
        return np.array([expected_busiest(self.visits_per_token, n) for n in distinct])[inverse]


@dataclass(frozen=True, slots=True, eq=False)
class LayerProfile:
    """Layers with the same placement: how many, and the entries of each stage."""

    multiplicity: int
    entries: MappingABC[Stage, tuple[Entry, ...]]

    @property
    def has_attention(self) -> bool:
        """Whether the profile is a layer (the head is a profile of its own)."""
        return "attention" in self.entries

    @property
    def has_experts(self) -> bool:
        """Whether the profile is a layer with routed experts."""
        return "combine" in self.entries


def layer_profiles(workload: Workload, mapping: Mapping, costs: CostTable) -> tuple[LayerProfile, ...]:
    """Profiles of all layers and of the head.

    Raises:
        SpecError: the mapping lacks a block, or names a group that the architecture has not.
    """
    options = {option: index for index, option in enumerate(costs.options)}
    classes = {block_class: index for index, block_class in enumerate(costs.classes)}
    layers: dict[int | None, dict[tuple[BlockKind, int, int], list[float]]] = defaultdict(lambda: defaultdict(list))
    for block, visits in zip(workload.blocks, visits_per_token(workload), strict=True):
        if block.kind == "embedding":
            continue
        option = mapping.placement.get(block.name)
        if option is None:
            raise SpecError(f"the mapping has no placement for block {block.name}; map this workload again")
        if option not in options:
            known = ", ".join(f"{o.group}:{o.precision}" for o in costs.options)
            raise SpecError(
                f"the mapping places {block.name} on {option.group} at {option.precision} with {option.copies} "
                f"copies, which the architecture does not offer (it offers {known}); map again"
            )
        key = (block.kind, classes[block.block_class], options[option])
        layers[block.layer][key].append(float(visits))
    folded: dict[object, list[dict[tuple[BlockKind, int, int], list[float]]]] = defaultdict(list)
    for groups in layers.values():
        folded[tuple((key, tuple(sorted(visits))) for key, visits in sorted(groups.items()))].append(groups)
    return tuple(LayerProfile(len(same), stage_entries(same[0])) for same in folded.values())


def stage_entries(
    groups: MappingABC[tuple[BlockKind, int, int], list[float]],
) -> dict[Stage, tuple[Entry, ...]]:
    """Entries of one layer by stage; a layer with experts has a combine stage, which holds no blocks."""
    stages: dict[Stage, list[Entry]] = defaultdict(list)
    for (kind, class_index, option_index), visits in groups.items():
        stages[STAGE_OF[kind]].append(Entry(kind, class_index, option_index, np.asarray(visits)))
        if kind == "expert":
            stages.setdefault("combine", [])
    return {stage: tuple(stages[stage]) for stage in STAGES if stage in stages}


def without(kinds: Collection[BlockKind], profiles: tuple[LayerProfile, ...]) -> tuple[LayerProfile, ...]:
    """The same layers with all blocks of some kinds taken out."""
    if not kinds:
        return profiles
    kept = []
    for profile in profiles:
        rest = {stage: tuple(e for e in entries if e.kind not in kinds) for stage, entries in profile.entries.items()}
        kept.append(
            LayerProfile(
                profile.multiplicity, {stage: own for stage, own in rest.items() if own or not profile.entries[stage]}
            )
        )
    return tuple(kept)
