"""The blocks of a model: the units of placement, with their matrices and their names."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from dse.spec.matrices import attention_shapes, ffn_shapes
from dse.spec.model import Model
from dse.units import Quantity

BlockKind = Literal["attention", "router", "expert", "shared", "ffn", "head", "embedding"]


@dataclass(frozen=True, slots=True)
class Matrix:
    """One weight matrix of a block; matrices of equal ``depth`` work side by side, the next depth after them."""

    name: str
    n_in: int
    n_out: int
    depth: int

    @property
    def n_weights(self) -> int:
        """Weights of the matrix."""
        return self.n_in * self.n_out

    def n_slices(self, *, rows: Quantity, cols: Quantity) -> Quantity:
        """Crossbars that hold the matrix: ceil(in/rows) · ceil(out/cols)."""
        return np.ceil(self.n_in / rows) * np.ceil(self.n_out / cols)

    def n_partial_sums(self, *, rows: Quantity, cols: Quantity) -> Quantity:
        """Additions of one crossbar output each that join the row slices: (ceil(in/rows) − 1) · ceil(out/cols)."""
        return (np.ceil(self.n_in / rows) - 1) * np.ceil(self.n_out / cols)


@dataclass(frozen=True, slots=True)
class BlockClass:
    """Blocks of equal kind and shapes; costs are computed once per class."""

    kind: BlockKind
    matrices: tuple[Matrix, ...]

    @property
    def n_weights(self) -> int:
        """Weights of one block of the class."""
        return sum(matrix.n_weights for matrix in self.matrices)

    @property
    def path_length(self) -> int:
        """Matrices that depend on each other, one after the other."""
        return 1 + max(matrix.depth for matrix in self.matrices)

    def n_crossbars(self, *, rows: Quantity, cols: Quantity) -> Quantity:
        """Crossbars that hold one block of the class."""
        return sum((m.n_slices(rows=rows, cols=cols) for m in self.matrices), np.float64(0))

    def n_partial_sums(self, *, rows: Quantity, cols: Quantity) -> Quantity:
        """Partial-sum additions of one visit, each over one crossbar output."""
        return sum((m.n_partial_sums(rows=rows, cols=cols) for m in self.matrices), np.float64(0))


@dataclass(frozen=True, slots=True)
class Block:
    """One unit of placement."""

    name: str
    block_class: BlockClass
    layer: int | None
    expert: int | None = None

    @property
    def kind(self) -> BlockKind:
        """Kind of the block."""
        return self.block_class.kind


def ffn_matrices(model: Model, width: int) -> tuple[Matrix, ...]:
    """Matrices of an expert or a dense FFN of that inner width."""
    return tuple(Matrix(*shape) for shape in ffn_shapes(model, width))


def attention_matrices(model: Model) -> tuple[Matrix, ...]:
    """Projections of one attention layer."""
    return tuple(Matrix(*shape) for shape in attention_shapes(model))


@lru_cache(maxsize=16)
def make_blocks(model: Model) -> tuple[Block, ...]:
    """All blocks of a model in the order of execution; the embedding comes first, the head last."""
    d = model.d_model
    attention = BlockClass("attention", attention_matrices(model))
    router = BlockClass("router", (Matrix("router", d, model.n_experts, 0),))
    expert = BlockClass("expert", ffn_matrices(model, model.d_expert))
    shared = BlockClass("shared", ffn_matrices(model, model.d_shared_expert)) if model.n_shared_experts else None
    dense = BlockClass("ffn", ffn_matrices(model, model.d_dense_ffn)) if model.n_moe_layers < model.n_layers else None
    blocks = [Block("embedding", BlockClass("embedding", (Matrix("embedding", model.vocab_size, d, 0),)), None)]
    with_experts = set(model.expert_layers)
    for layer in range(model.n_layers):
        blocks.append(Block(f"layers.{layer}.attention", attention, layer))
        if dense is not None and layer not in with_experts:
            blocks.append(Block(f"layers.{layer}.ffn", dense, layer))
            continue
        if model.router == "linear":
            blocks.append(Block(f"layers.{layer}.router", router, layer))
        blocks += [Block(f"layers.{layer}.experts.{e}", expert, layer, e) for e in range(model.n_experts)]
        if shared is not None:
            blocks.append(Block(f"layers.{layer}.shared", shared, layer))
    blocks.append(Block("head", BlockClass("head", (Matrix("head", d, model.vocab_size, 0),)), None))
    return tuple(blocks)


@lru_cache(maxsize=16)
def block_classes(model: Model) -> tuple[BlockClass, ...]:
    """Distinct block classes of a model, in order of first appearance."""
    return tuple(dict.fromkeys(block.block_class for block in make_blocks(model)))


@lru_cache(maxsize=16)
def class_numbers(model: Model) -> tuple[int, ...]:
    """Class of every block, as its place in ``block_classes``."""
    blocks, classes = make_blocks(model), block_classes(model)
    different = {id(block.block_class): block.block_class for block in blocks}  # blocks of a class share one object
    number = {identity: classes.index(block_class) for identity, block_class in different.items()}
    return tuple(number[id(block.block_class)] for block in blocks)


@lru_cache(maxsize=16)
def blocks_per_class(model: Model) -> tuple[int, ...]:
    """How many blocks each class has, in the order of ``block_classes``."""
    counts = Counter(class_numbers(model))
    return tuple(counts[number] for number in range(len(block_classes(model))))
