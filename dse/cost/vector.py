"""Work without weights on the vector lanes of the host: norms, softmax, activation, rotary, routing, combine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from dse.cost.attention import pairs_per_head
from dse.cost.digital import unit_vector_ns
from dse.cost.option import host_unit
from dse.spec.architecture import Architecture, FlatPower
from dse.spec.model import Model
from dse.units import Quantity
from dse.workload.build import Workload

VectorStage = Literal["attention", "router", "experts", "ffn", "combine", "head"]
"""Stage of a layer; ``ffn`` is the experts stage of a layer with one dense FFN."""

NORM_OPS: Final[Mapping[str, int]] = {"rms_norm": 4, "layer_norm": 7}
"""Operations per element: square, add, scale, weight | mean, subtract, square, add, scale, weight, bias."""
ACTIVATION_OPS: Final[Mapping[str, int]] = {"gated": 5, "two_matrix": 8}
"""Operations per inner element: SiLU (exp, add, divide, multiply) times up | GELU by tanh."""
SOFTMAX_OPS: Final = 5
"""Operations per score: largest, subtract, exp, add, scale."""
ROTARY_OPS: Final = 3
"""Operations per rotated element: two multiplications, one addition."""
KERNELS: Final[Mapping[VectorStage, int]] = {
    "attention": 2, "router": 2, "experts": 1, "ffn": 2, "combine": 1, "head": 1,
}  # fmt: skip
"""Kernels: norm with residual, rotary (softmax is part of the scores) | norm, top-k | activation | norm, activation
| combine | norm."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class VectorCost:
    """Vector work of one stage of one layer and step, on the host unit."""

    ops: Quantity
    ns: Quantity
    """Rate-limited time and launches; it adds to the time of the matrix products, whose results it waits for."""
    pj: Quantity


def vector_stage(stage: str, *, has_experts: bool) -> VectorStage:
    """The kind of vector work of a stage."""
    named: dict[str, VectorStage] = {
        "attention": "attention", "router": "router", "experts": "experts", "combine": "combine", "head": "head",
    }  # fmt: skip
    return "ffn" if stage == "experts" and not has_experts else named[stage]


def vector_ops(workload: Workload) -> dict[VectorStage, Quantity]:
    """Operations of each stage of one layer and step [-]; windows count as the mean over all layers.

    Per token, with d the width, k of E experts of inner width F, S that of the shared ones, D that of a dense FFN,
    c_n, c_a the operations of a norm and of an activation per element::

        attention  c_n (d + q/k norms) + 3 rotated + d          + 5 heads · positions seen
        router     c_n d + 5 E + k E + 2 k                      softmax, k passes for the largest, weights rescaled
        experts    c_a (k F + S)
        combine    (k + (k − 1) + shared + 1) d                 weigh, add up, add shared experts and residual
        ffn        c_n d + c_a D + d
        head       c_n d                                        once per sequence

    Without a router its norm belongs to the experts and nothing is weighed. Valid for: float arithmetic where each
    exponential, root and division is one operation; biases, sampling and conversions between formats are left out.
    """
    model, tokens = workload.model, workload.tokens_per_step
    d, k, norm = model.d_model, model.top_k, NORM_OPS[model.norm]
    activation, shared = ACTIVATION_OPS[model.ffn], int(model.n_shared_experts > 0)
    is_routed = model.router == "linear"
    routing = SOFTMAX_OPS * model.n_experts + k * model.n_experts + 2 * k
    weighing = k if is_routed else 0
    per_layer = norm * (d + normed_elements(model)) + ROTARY_OPS * rotated_elements(model) + d
    return {
        "attention": tokens * per_layer + SOFTMAX_OPS * model.n_heads * pairs_per_head(model, workload.scenario),
        "router": tokens * (norm * d + routing),
        "experts": tokens
        * (activation * (k * model.d_expert + model.d_shared_expert) + (0 if is_routed else norm * d)),
        "combine": tokens * (weighing + k - 1 + shared + 1) * d,
        "ffn": tokens * (norm * d + activation * model.d_dense_ffn + d),
        "head": workload.scenario.batch * norm * d,
    }


def normed_elements(model: Model) -> int:
    """Elements of queries, keys and compressed widths that a layer normalises per token."""
    if model.attention == "mla":
        return model.q_lora_rank + model.kv_lora_rank
    return (model.n_heads + model.n_kv_heads) * model.head_dim if model.qk_norm_parameters_per_layer else 0


def rotated_elements(model: Model) -> int:
    """Elements of queries and keys that get a rotary position per token."""
    if model.attention == "mla":
        return (model.n_heads + 1) * model.qk_rope_head_dim
    return (model.n_heads + model.n_kv_heads) * model.head_dim


def vector_costs(arch: Architecture, workload: Workload) -> dict[VectorStage, VectorCost]:
    """Cost of each stage of one layer and step; empty where the host has no vector unit."""
    unit = host_unit(arch)
    if unit.vector is None:
        return {}
    is_flat = isinstance(unit.energy, FlatPower)
    return {
        stage: VectorCost(
            ops=ops,
            ns=unit_vector_ns(arch, unit, ops=ops) + KERNELS[stage] * unit.vector.launch_ns,
            pj=0.0 * ops if is_flat else ops * unit.vector.op_pj,
        )
        for stage, ops in vector_ops(workload).items()
    }
