"""Where a model computes: in the memory of one device, whole, or layer by layer where it is larger."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final

import torch
from torch import Tensor, nn

from dse.errors import Problem
from dse.noise.rebuild import shared_copy
from dse.noise.sites import Untyped

GENERATOR: Final = (
    "weights: NumPy SFC64 with Box and Muller's transform, on the CPU; noise of single products: torch's CPU generator"
)
"""What draws every number, whatever the device that computes: chips are the same everywhere."""
FILLED: Final = 0.8
"""Share of the free memory that models may take; the rest is for activations."""


def device_problems(name: str) -> list[Problem]:
    """What is wrong with the name of a device."""
    known = Problem(f"expected cpu, cuda or cuda:N (got {name!r})", "torch_device")
    try:
        device = torch.device(name)
    except RuntimeError:
        return [known]
    if device.type not in ("cpu", "cuda"):
        return [known]
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        told = f"{name!r} is not here: torch sees {torch.cuda.device_count()} GPUs; write cpu"
        return [Problem(told, "torch_device")]
    return []


def stored_bytes(module: nn.Module) -> int:
    """Memory of all parameters and buffers, shared ones once [byte]."""
    held = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors(module)}
    return sum(held.values())


def tensors(module: nn.Module) -> list[Tensor]:
    """Parameters and buffers."""
    return [*module.parameters(), *module.buffers()]


def free_bytes(device: torch.device) -> int:
    """Memory that is not in use [byte]."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def fits(n_bytes: int, free: int) -> bool:
    """Whether tensors of that size may be added to a device.

    >>> fits(7 * 2**30, 16 * 2**30), fits(14 * 2**30, 16 * 2**30)
    (True, False)
    """
    return n_bytes <= FILLED * free


def moved_copy(module: nn.Module, device: torch.device) -> Untyped:
    """A copy of a module with its parameters and buffers on a device; tensors that are shared stay shared."""
    clone = shared_copy(module)
    move(clone, device, {})
    return clone


def move(module: nn.Module, device: torch.device, known: dict[int, Tensor]) -> None:
    """Moves the tensors of a copy in place; ``known`` holds those that were moved, by their identity."""
    for store in stores(module):
        for name, tensor in store.items():
            if tensor is not None:
                if id(tensor) not in known:
                    known[id(tensor)] = on_device(tensor, device)
                store[name] = known[id(tensor)]


def stores(module: nn.Module) -> list[dict[str, Any]]:
    """The tables in which a tree of modules holds its parameters and buffers."""
    return [store for part in module.modules() for store in (part._parameters, part._buffers)]


def on_device(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor there, a parameter if it was one."""
    there = tensor.detach().to(device)
    return nn.Parameter(there, requires_grad=False) if isinstance(tensor, nn.Parameter) else there


def layer_by_layer(model: Untyped, device: torch.device) -> Untyped:
    """A copy of a model whose decoder layers are on the device only while they run.

    Embedding, norms and head stay there. Memory: the largest layer, embedding, head and activations.
    """
    clone = shared_copy(model)
    layers, clone.model.layers = clone.model.layers, nn.ModuleList()
    move(clone, device, {})
    clone.model.layers = layers
    for layer in layers:
        enter, leave = visit(layer, device)
        layer.register_forward_pre_hook(enter)
        layer.register_forward_hook(leave)
    return clone


def visit(layer: nn.Module, device: torch.device) -> tuple[Callable[..., None], Callable[..., None]]:
    """Hooks that bring the tensors of a layer to a device and put the old ones back."""
    own = stores(layer)
    before = [dict(store) for store in own]

    def enter(*_: object) -> None:
        move(layer, device, {})

    def leave(*_: object) -> None:
        for store, old in zip(own, before, strict=True):
            store.update(old)

    return enter, leave
