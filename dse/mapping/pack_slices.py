"""The slices of the blocks of one analog group, in the order of execution."""

from __future__ import annotations

from collections.abc import Mapping as MappingABC
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dse.errors import SpecError
from dse.mapping.instance import STAGE_OF
from dse.spec.architecture import AnalogCore
from dse.units import Quantity
from dse.workload.blocks import Block, BlockClass

# S slices, N blocks

Array = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class GroupSlices:
    """Slices of a group: blocks one after the other, copies of a slice side by side."""

    blocks: tuple[Block, ...]
    """(N,): blocks of the group."""
    block: Indices
    """(S,): block of each slice."""
    matrix: Indices
    """(S,): its matrix, as a position in ``matrices``."""
    i: Indices
    j: Indices
    copy: Indices
    matrices: tuple[str, ...]
    stages: tuple[tuple[int | None, str], ...]
    """Layer and stage, in the order of execution."""
    stage: Indices
    """(S,): stage of each slice."""
    load: Array
    """(S,): mean visits in a step of the run; each copy has all of them."""

    @property
    def piece(self) -> Indices:
        """(S,): equal numbers for the copies of a slice."""
        return np.cumsum(self.copy == 0) - 1

    def in_stages(self) -> list[Indices]:
        """The slices of every stage."""
        order = np.argsort(self.stage, kind="stable")
        return np.split(order, np.flatnonzero(np.diff(self.stage[order])) + 1)

    def table(self, group: str, die: Indices, tile: Indices, tier: Indices) -> pd.DataFrame:
        """One row per slice with its place."""
        names, nothing = [block.name for block in self.blocks], np.zeros(len(self.block), dtype=np.int64)
        return pd.DataFrame(
            {
                "block": taken(names, self.block), "matrix": taken(self.matrices, self.matrix),
                "i": self.i, "j": self.j, "copy": self.copy, "group": taken([group], nothing),
                "die": die, "tile": tile, "tier": tier,
            },
            copy=False,
        )  # fmt: skip


def taken(names: Sequence[str], numbers: Indices) -> pd.api.extensions.ExtensionArray:
    """Texts by number, as a column."""
    return pd.Series(names).array.take(numbers)


def group_slices(
    core: AnalogCore, blocks: Sequence[Block], copies: Sequence[int], visits: MappingABC[str, float]
) -> GroupSlices:
    """Slices of the blocks on a group.

    Args:
        core: the group.
        blocks: its blocks, in the order of execution.
        copies: of each of them.
        visits: block → mean visits in a step of the run.
    """
    classes = {block.block_class for block in blocks}
    names = sorted({matrix.name for block_class in classes for matrix in block_class.matrices})
    templates = {c: class_slices(c, core, names) for c in classes}
    rows = np.concatenate([np.repeat(templates[b.block_class], n, axis=0) for b, n in zip(blocks, copies, strict=True)])
    counts = np.array([len(templates[b.block_class]) * n for b, n in zip(blocks, copies, strict=True)])
    block = np.repeat(np.arange(len(blocks)), counts)
    many = np.array(copies)[block]
    within = np.arange(len(block)) - np.repeat(np.cumsum(counts) - counts, counts)
    number = {stage: i for i, stage in enumerate(dict.fromkeys((b.layer, STAGE_OF[b.kind]) for b in blocks))}
    stage = np.array([number[b.layer, STAGE_OF[b.kind]] for b in blocks])[block]
    load = np.array([visits[b.name] for b in blocks])[block]
    return GroupSlices(
        blocks=tuple(blocks), block=block, matrix=rows[:, 0], i=rows[:, 1], j=rows[:, 2], copy=within % many,
        matrices=tuple(names), stages=tuple(number), stage=stage, load=load,
    )  # fmt: skip


def class_slices(block_class: BlockClass, core: AnalogCore, names: list[str]) -> Indices:
    """(slices, 3): position of the matrix among the names, i (along the input), j (along the output)."""
    rows = [
        (names.index(matrix.name), i, j)
        for matrix in block_class.matrices
        for i in range(-(-matrix.n_in // whole(core.rows)))
        for j in range(-(-matrix.n_out // whole(core.cols)))
    ]
    return np.array(rows, dtype=np.int64)


def whole(value: Quantity) -> int:
    """A count of one design point."""
    if np.size(value) != 1:
        raise SpecError("packing needs one design point, the architecture stands for several")
    return int(np.asarray(value).item())
