"""Where the weight matrices of a ``transformers`` MoE are stored, by the names of their blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import torch
from torch import Tensor, nn

from dse.errors import SpecError

Untyped = Any
"""A module of ``transformers``: the library declares no types for its attributes."""

Kind = Literal["linear", "router", "gate_up", "down"]
"""A linear layer; a router's own product; one of the two tensors that hold all experts of a layer."""

SiteKey = tuple[str, tuple[str, ...]]
"""Block and matrices."""

DTYPES: Final = (torch.float32, torch.bfloat16, torch.float16)
ATTENTION: Final[dict[str, str]] = {
    **{f"{name}_proj": name for name in ("q", "k", "v", "o", "q_a", "q_b", "kv_a", "kv_b")},
    "kv_a_proj_with_mqa": "kv_a",
}
"""Linear layer of an attention module → matrix."""
FFN: Final[dict[str, str]] = {
    "gate_proj": "gate", "up_proj": "up", "down_proj": "down", "w1": "gate", "w3": "up", "w2": "down",
}  # fmt: skip
"""Linear layer of a feed-forward module → matrix."""
FFN_MODULES: Final = ("mlp", "feed_forward", "block_sparse_moe")
SHARED_MODULES: Final = ("shared_experts", "shared_expert", "shared_mlp")
ROUTER_MODULES: Final = ("gate", "router")


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """One stored weight of a model: one matrix of a block, or several stacked along the output."""

    block: str
    matrices: tuple[str, ...]
    weight: Tensor
    """[outputs, inputs], a view of what is stored."""
    bias: Tensor | None
    module: str
    """Path of the module that holds it."""
    kind: Kind = "linear"
    expert: int = 0
    is_interleaved: bool = False
    """Whether the rows of the matrices take turns; otherwise one matrix follows the other."""

    @property
    def key(self) -> SiteKey:
        """Name of the site within its model."""
        return self.block, self.matrices

    def on(self, device: torch.device) -> Site:
        """The same site with its tensors on a device."""
        if self.weight.device == device:
            return self
        return replace(self, weight=self.weight.to(device), bias=None if self.bias is None else self.bias.to(device))

    def split(self, stacked: Tensor) -> tuple[Tensor, ...]:
        """The share of each matrix in a tensor whose first axis is the output of the site."""
        n = len(self.matrices)
        return tuple(stacked[i::n] for i in range(n)) if self.is_interleaved else stacked.chunk(n)

    def stacked(self, parts: Sequence[Tensor]) -> Tensor:
        """Tensors of the matrices as one, whose first axis is the output of the site; undoes ``split``."""
        if not self.is_interleaved:
            return torch.cat(list(parts))
        return torch.stack(list(parts), dim=1).flatten(0, 1)

    def parts(self) -> Iterator[tuple[str, Tensor]]:
        """The matrices and their weights."""
        yield from zip(self.matrices, self.split(self.weight), strict=True)


def require_supported(model: Untyped) -> None:
    """Refuses models whose structure is not known.

    Raises:
        SpecError: there are no decoder layers or no head where ``transformers`` has them, or another number format.
    """
    inner = getattr(model, "model", None)
    layers, head = getattr(inner, "layers", None), getattr(model, "lm_head", None)
    if not isinstance(layers, nn.ModuleList) or not isinstance(head, nn.Linear):
        told = "expected a causal language model of transformers with model.layers and lm_head"
        raise SpecError(f"model of class {type(model).__name__}: {told}")
    if model.dtype not in DTYPES:
        known = ", ".join(str(dtype).removeprefix("torch.") for dtype in DTYPES)
        raise SpecError(f"model of {model.dtype}: this version takes {known}; convert it with model.float()")


def sites(model: Untyped) -> Iterator[Site]:
    """Every weight matrix that can be placed on a core, in the order of execution.

    Raises:
        SpecError: a structure that is not known, or a model that is a noisy copy already.
    """
    require_supported(model)
    if getattr(model, "is_noisy_copy", False):
        raise SpecError("the model is a noisy copy already; give the digital model it was made from")
    for number, layer in enumerate(model.model.layers):
        path, block = f"model.layers.{number}", f"layers.{number}"
        yield from linear_sites(f"{block}.attention", f"{path}.self_attn", layer.self_attn, ATTENTION)
        for name in FFN_MODULES:
            if hasattr(layer, name):
                yield from ffn_sites(block, f"{path}.{name}", getattr(layer, name))
    yield Site("head", ("head",), model.lm_head.weight, model.lm_head.bias, "lm_head")


def ffn_sites(block: str, path: str, ffn: Untyped) -> Iterator[Site]:
    """Matrices of the feed-forward part of a layer: dense, or router, routed experts and shared experts."""
    if not hasattr(ffn, "experts"):
        yield from linear_sites(f"{block}.ffn", path, ffn, FFN)
        return
    for name in ROUTER_MODULES:
        if hasattr(ffn, name):
            yield from router_sites(f"{block}.router", f"{path}.{name}", getattr(ffn, name))
    if isinstance(ffn.experts, nn.ModuleList):
        for number, expert in enumerate(ffn.experts):
            yield from linear_sites(f"{block}.experts.{number}", f"{path}.experts.{number}", expert, FFN)
    else:
        yield from expert_sites(f"{block}.experts", f"{path}.experts", ffn.experts)
    for name in SHARED_MODULES:
        if hasattr(ffn, name):
            yield from linear_sites(f"{block}.shared", f"{path}.{name}", getattr(ffn, name), FFN)


def linear_sites(block: str, path: str, module: nn.Module, names: dict[str, str]) -> Iterator[Site]:
    """The linear layers of a module that have a known name."""
    for name, child in module.named_children():
        if type(child) is nn.Linear and name in names:
            yield Site(block, (names[name],), child.weight, child.bias, f"{path}.{name}")


def router_sites(block: str, path: str, router: Untyped) -> Iterator[Site]:
    """The product of a router: a linear layer, or a class of its own with a weight."""
    if type(router) is nn.Linear:
        yield Site(block, ("router",), router.weight, router.bias, path)
    elif isinstance(weight := getattr(router, "weight", None), nn.Parameter) and weight.ndim == 2:
        yield Site(block, ("router",), weight, None, path, "router")  # a bias stays with the router
    else:
        inner = [(name, child) for name, child in router.named_children() if type(child) is nn.Linear]
        for name, child in inner[:1]:
            yield Site(block, ("router",), child.weight, child.bias, f"{path}.{name}")


def expert_sites(block: str, path: str, experts: Untyped) -> Iterator[Site]:
    """The matrices of every expert in the tensors of the library's experts interface.

    Raises:
        SpecError: experts of another form.
    """
    require_known_experts(experts)
    inner = ("gate", "up")
    for number in range(experts.num_experts):
        name = f"{block}.{number}"
        gate_up, gate_up_bias = stored_matrix(experts, "gate_up_proj", number)
        down, down_bias = stored_matrix(experts, "down_proj", number)
        mixed = not experts.is_concatenated
        yield Site(name, inner, gate_up, gate_up_bias, path, "gate_up", number, mixed)
        yield Site(name, ("down",), down, down_bias, path, "down", number)


def stored_matrix(experts: Untyped, name: str, number: int) -> tuple[Tensor, Tensor | None]:
    """Weight [outputs, inputs] and bias of one expert, as views."""
    weight: Tensor = getattr(experts, name)[number]
    bias: Tensor | None = getattr(experts, f"{name}_bias")[number] if experts.has_bias else None
    return weight.T if experts.is_transposed else weight, bias


def require_known_experts(experts: Untyped) -> None:
    """Refuses experts that are not two tensors behind the library's experts interface.

    Raises:
        SpecError: names the class.
    """
    tensors = (getattr(experts, name, None) for name in ("gate_up_proj", "down_proj"))
    has_tensors = all(isinstance(tensor, nn.Parameter) and tensor.ndim == 3 for tensor in tensors)
    is_plain = getattr(experts, "has_gate", False) and not getattr(experts, "has_post_expert_norm", True)
    if not has_tensors or not is_plain:
        told = "expected gated experts behind the experts interface of transformers (gate_up_proj, down_proj)"
        raise SpecError(f"experts of class {type(experts).__name__}: {told}")


def unplaced(model: Untyped) -> tuple[str, ...]:
    """Stored weights of two or more axes that belong to no block, so that no mapping moves them: the embedding, say."""
    tensor_names = {"linear": "weight", "router": "weight", "gate_up": "gate_up_proj", "down": "down_proj"}
    held = {f"{site.module}.{tensor_names[site.kind]}" for site in sites(model)}
    return tuple(
        name
        for name, parameter in model.named_parameters(remove_duplicate=False)
        if parameter.ndim > 1 and name not in held and not name.endswith("bias")
    )
