"""Packs the slices of analog blocks into dies, tiles and tiers."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from dse.errors import Cause, InfeasibleError, SpecError
from dse.mapping.model import Mapping
from dse.spec.architecture import AnalogCore, Architecture
from dse.units import Quantity
from dse.workload.blocks import Block, BlockClass
from dse.workload.build import Workload

COLUMNS = ("block", "matrix", "i", "j", "copy", "group", "die", "tile", "tier")


def pack(mapping: Mapping, arch: Architecture, workload: Workload) -> Mapping:
    """The mapping with ``slices``: one row per slice of an analog block and its die, tile and tier.

    Slices go in the order of execution to tile 0, 1, 2 and so on, and to the next tier when all tiles of the
    group have one more: the slices of a layer are spread over as many tiles as there are, and a tile holds two of
    one layer only where a layer has more slices than the group has tiles.

    Raises:
        InfeasibleError: a group has fewer crossbars than slices.
        SpecError: the architecture stands for several design points.
    """
    blocks = {block.name: block for block in workload.blocks}
    tables = []
    for core in arch.analog_cores:
        own = [blocks[name] for name, option in mapping.placement.items() if option.group == core.name]
        if own:
            tables.append(pack_core(core, whole(arch.n_tiles(core)), own))
    empty = pd.DataFrame(columns=list(COLUMNS))
    return dataclasses.replace(mapping, slices=pd.concat(tables, ignore_index=True) if tables else empty)


def pack_core(core: AnalogCore, n_tiles: int, blocks: list[Block]) -> pd.DataFrame:
    """Slices of one group; tiles are numbered within their die."""
    templates = {c: class_slices(c, core) for c in {block.block_class for block in blocks}}
    parts = [templates[block.block_class] for block in blocks]
    counts = [len(part) for part in parts]
    slot = np.arange(sum(counts))
    capacity = n_tiles * whole(core.tiers_per_tile)
    if len(slot) > capacity:
        fix = f"add {len(slot) - capacity} crossbars, or place fewer blocks there"
        need, have = float(len(slot)), float(capacity)
        raise InfeasibleError([Cause(f"capacity[{core.name}]", need, have, "crossbars", f"{len(blocks)} blocks", fix)])
    tile, per_die = slot % n_tiles, whole(core.working_tiles_per_die)
    table = pd.concat(parts, ignore_index=True)
    table.insert(0, "block", np.repeat([block.name for block in blocks], counts))
    return table.assign(copy=0, group=core.name, die=tile // per_die, tile=tile % per_die, tier=slot // n_tiles)


def class_slices(block_class: BlockClass, core: AnalogCore) -> pd.DataFrame:
    """matrix, i (along the input), j (along the output) of every slice of a block class."""
    rows = [
        (matrix.name, i, j)
        for matrix in block_class.matrices
        for i in range(-(-matrix.n_in // whole(core.rows)))
        for j in range(-(-matrix.n_out // whole(core.cols)))
    ]
    return pd.DataFrame(rows, columns=["matrix", "i", "j"])


def largest_same_layer_share(mapping: Mapping) -> int:
    """Most slices of one layer's experts that share a tile; 0 without analog experts.

    Raises:
        SpecError: the mapping is not packed.
    """
    slices = mapping.slices
    if slices is None:
        raise SpecError("the mapping has no slices yet; pack(mapping, arch, workload) adds them")
    blocks = pd.Series(slices["block"].unique(), dtype=object)
    layer_of = {name: name.split(".")[1] for name in blocks if ".experts." in name}
    experts = slices[slices["block"].isin(layer_of)]
    if experts.empty:
        return 0
    keys = [experts["block"].map(layer_of), experts["group"], experts["die"], experts["tile"]]
    return int(experts.groupby(keys, sort=False).size().max())


def whole(value: Quantity) -> int:
    """A count of one design point."""
    if np.size(value) != 1:
        raise SpecError("packing needs one design point, the architecture stands for several")
    return int(np.asarray(value).item())
