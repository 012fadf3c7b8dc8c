"""Where the blocks of each layer are, folded so that layers with the same placement are computed once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from collections.abc import Mapping as MappingABC
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dse.cost.option import Option, list_options
from dse.cost.table import CostTable
from dse.errors import SpecError
from dse.evaluation.packed import PackedTiles, packed_stages
from dse.mapping.model import Mapping
from dse.spec.architecture import Architecture
from dse.spec.model import Model
from dse.units import Quantity
from dse.workload.batch import LayerRouting, layer_routings
from dse.workload.blocks import Block, BlockClass, BlockKind, make_blocks
from dse.workload.build import Workload
from dse.workload.routing import visits_per_token

Array = NDArray[np.float64]
Stage = Literal["attention", "router", "experts", "combine", "head"]
STAGES: Final[tuple[Stage, ...]] = ("attention", "router", "experts", "combine", "head")
STAGE_OF: Final[MappingABC[BlockKind, Stage]] = {
    "attention": "attention", "router": "router", "expert": "experts", "shared": "experts", "ffn": "experts",
    "head": "head",
}  # fmt: skip


EntryKey = tuple[BlockKind, int, int]
"""Kind, class and option of blocks."""


class Placed(NamedTuple):
    """Blocks of one class under one option in one layer, whatever their visits."""

    key: EntryKey
    positions: NDArray[np.int64]
    """Among the blocks of the model."""
    names: tuple[str, ...]
    experts: NDArray[np.int64]
    """Number of each expert within its layer."""


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """Blocks of one class under one option in one layer."""

    kind: BlockKind
    class_index: int
    option_index: int
    visits_per_token: Array
    """λ of each block."""
    names: tuple[str, ...] = ()
    """Name of each block (of the first of the folded layers)."""
    experts: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    """Number of each expert within its layer."""
    routing: LayerRouting | None = None
    """How the tokens of the layer choose; None for blocks that every token uses."""

    @property
    def at(self) -> tuple[int, int]:
        """Class and option: which entry of the table of costs is that of the blocks."""
        return self.class_index, self.option_index

    @property
    def n_blocks(self) -> int:
        """Blocks of the entry."""
        return len(self.visits_per_token)

    def visits(self, workload: Workload, layers: float = 1.0) -> Quantity:
        """Visits of all blocks together in a step, in so many layers alike; the head runs once per sequence."""
        if self.kind == "head":
            return layers * workload.scenario.batch
        return workload.tokens_per_step * (layers * float(self.visits_per_token.sum()))

    def activations(self, tokens: Array) -> Quantity:
        """Expected number of blocks that are used in a step, (P,); of dense blocks, which always are, one number."""
        if self.routing is None:
            return float(self.n_blocks)
        distinct, inverse = distinct_numbers(Same(tokens))
        return np.asarray(self.routing.active(distinct, self.experts).sum(axis=1)[inverse])


@dataclass(frozen=True, slots=True, eq=False)
class Same:
    """An array that is told from others by being the same object: a key that costs nothing to compare."""

    array: Array

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and other.array is self.array

    def __hash__(self) -> int:
        return id(self.array)


@lru_cache(maxsize=2)
def distinct_numbers(of: Same) -> tuple[Array, NDArray[np.int64]]:
    """Different numbers of an array, and for each of its entries which of them it is; the array is not written to."""
    inverse, distinct = pd.factorize(np.ravel(of.array), sort=True)
    return np.asarray(distinct), np.asarray(inverse)


@dataclass(frozen=True, slots=True, eq=False)
class LayerProfile:
    """Layers with the same placement: how many, and the entries of each stage."""

    multiplicity: int
    entries: MappingABC[Stage, tuple[Entry, ...]]
    packed: MappingABC[tuple[str, str], PackedTiles] = field(default_factory=dict)
    """Stage and analog group → what its tiles hold, where the mapping says so."""

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
        SpecError: the mapping lacks a block, has one of another model, or names a group that the architecture has not.
    """
    layers = placed_layers(workload.model, mapping, costs.options, costs.classes)
    visits = visits_per_token(workload)
    routings, packed = layer_routings(workload), packed_stages(workload, mapping, STAGE_OF)
    folded: dict[object, list[int | None]] = defaultdict(list)
    for layer, groups in layers.items():
        placed = tuple(sorted((group.key, np.sort(visits[group.positions]).tobytes()) for group in groups))
        tiles = tuple((key, of_stage.signature) for key, of_stage in packed.get(layer, {}).items())
        traced = layer in routings and routings[layer].trace is not None
        folded[placed, tiles, layer if traced else None].append(layer)
    return tuple(
        LayerProfile(
            len(same), stage_entries(layers[same[0]], visits, routings.get(same[0] or 0)), packed.get(same[0], {})
        )
        for same in folded.values()
    )


@lru_cache(maxsize=64)
def placed_layers(
    model: Model, mapping: Mapping, options: tuple[Option, ...], classes: tuple[BlockClass, ...]
) -> MappingABC[int | None, tuple[Placed, ...]]:
    """Layer (None: the head) → its blocks by class and option.

    Raises:
        SpecError: the mapping lacks a block, or names a group that the architecture has not.
    """
    option_index = {option: index for index, option in enumerate(options)}
    class_index: dict[int, int] = {}
    layers: dict[int | None, dict[EntryKey, list[int]]] = defaultdict(lambda: defaultdict(list))
    blocks = make_blocks(model)
    foreign = mapping.placement.keys() - {block.name for block in blocks}
    if foreign:
        raise SpecError(f"the mapping places {min(foreign)}, which {model.name} has not; map this workload again")
    for position, block in enumerate(blocks):
        if block.kind == "embedding":
            continue
        option = mapping.placement.get(block.name)
        if option is None:
            raise SpecError(f"the mapping has no placement for block {block.name}; map this workload again")
        if option not in option_index:
            raise SpecError(not_offered(block, option, options))
        own = block.block_class
        of_class = class_index.get(id(own))
        if of_class is None:
            of_class = class_index[id(own)] = classes.index(own)
        layers[block.layer][own.kind, of_class, option_index[option]].append(position)
    return {
        layer: tuple(
            Placed(
                key,
                np.array(positions),
                tuple(blocks[p].name for p in positions),
                np.array([n for p in positions if (n := blocks[p].expert) is not None], dtype=np.int64),
            )
            for key, positions in groups.items()
        )
        for layer, groups in layers.items()
    }


def used_options(arch: Architecture, workload: Workload, mapping: Mapping) -> frozenset[tuple[int, int]]:
    """(Class, option) pairs of the blocks of a mapping.

    Raises:
        SpecError: as ``placed_layers``.
    """
    layers = placed_layers(workload.model, mapping, list_options(arch), workload.classes)
    return frozenset(group.key[1:] for groups in layers.values() for group in groups)


def not_offered(block: Block, option: Option, options: tuple[Option, ...]) -> str:
    """Says that a mapping places a block where the architecture has no place for it."""
    known = ", ".join(f"{o.group}:{o.precision}" for o in options)
    return (
        f"the mapping places {block.name} on {option.group} at {option.precision} with {option.copies} "
        f"copies, which the architecture does not offer (it offers {known}); map again"
    )


def stage_entries(
    groups: tuple[Placed, ...], visits: Array, routing: LayerRouting | None
) -> dict[Stage, tuple[Entry, ...]]:
    """Entries of one layer by stage; a layer with experts has a combine stage, which holds no blocks."""
    stages: dict[Stage, list[Entry]] = defaultdict(list)
    for (kind, class_index, option_index), positions, names, experts in groups:
        own = routing if kind == "expert" else None
        stages[STAGE_OF[kind]].append(Entry(kind, class_index, option_index, visits[positions], names, experts, own))
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
