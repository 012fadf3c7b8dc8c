"""A second model around the same parameters, with chosen weight matrices replaced; the first stays as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import nn

from dse.noise.experts import (
    IMPLEMENTATION,
    ExpertMatrices,
    in_sorted_loop,
    require_eager_arithmetic,
)
from dse.noise.routers import RoutedThrough, require_product
from dse.noise.sites import Site, SiteKey, Untyped, sites
from dse.noise.threads import one_thread

Replace = Callable[[Site], nn.Module | None]
"""Gives the module that stands in for a weight matrix, or None to keep the stored one."""


def rebuilt(model: Untyped, replace: Replace) -> Untyped:
    """A copy of the model that shares every parameter, with the matrices that ``replace`` names replaced.

    Routed experts run in the sorted loop of ``experts.py``, equal bit for bit to the library's eager one. As many
    matrices are made at a time as torch has threads.

    Raises:
        SpecError: the structure of the model, of its experts, or of a router that is replaced, is not known.
    """
    found = list(sites(model))
    modules = {
        site.key: module for site, module in zip(found, replacements(found, replace), strict=True) if module is not None
    }
    clone = shared_copy(model)
    for site in found:
        if site.key in modules and site.kind == "linear":
            clone.set_submodule(site.module, modules[site.key])
        elif site.key in modules and site.kind == "router":
            clone.set_submodule(site.module, routed_through(model.get_submodule(site.module), modules[site.key], site))
    checked: set[type] = set()
    for path in dict.fromkeys(site.module for site in found if site.kind == "gate_up"):
        experts = model.get_submodule(path)
        if type(experts) not in checked:
            eager, plain = shared_copy(experts), shared_copy(experts)
            in_sorted_loop(eager, {}, implementation="eager")
            in_sorted_loop(plain, {}, implementation=IMPLEMENTATION)
            require_eager_arithmetic(experts, plain, eager)
            checked.add(type(experts))
        own = expert_matrices((site for site in found if site.module == path), modules)
        in_sorted_loop(clone.get_submodule(path), own, implementation=IMPLEMENTATION)
    return clone


def replacements(found: list[Site], replace: Replace) -> list[nn.Module | None]:
    """What stands in for each site, made side by side on the threads of torch."""

    def made(site: Site) -> nn.Module | None:
        with torch.no_grad():
            return replace(site)

    n_threads = torch.get_num_threads()
    if n_threads == 1:
        return [made(site) for site in found]
    with one_thread(), ThreadPoolExecutor(n_threads) as pool:
        return list(pool.map(made, found))


def routed_through(router: Untyped, linear: nn.Module, site: Site) -> RoutedThrough:
    """The router with another product.

    Raises:
        SpecError: the class of the router does not choose by a product.
    """
    require_product(router, site)
    return RoutedThrough(shared_copy(router), linear)


def expert_matrices(own: Iterable[Site], modules: dict[SiteKey, nn.Module]) -> dict[int, ExpertMatrices]:
    """Number → replaced matrices of the experts of one layer that are replaced."""
    by_expert: dict[int, dict[str, nn.Module]] = {}
    for site in own:
        if site.key in modules:
            by_expert.setdefault(site.expert, {})[site.kind] = modules[site.key]
    return {number: ExpertMatrices(both["gate_up"], both["down"]) for number, both in by_expert.items()}


def shared_copy(module: nn.Module) -> Untyped:
    """The same tree of modules around the same parameters and buffers; changes to the copy's tree stay there."""
    clone = module.__new__(type(module))
    clone.__dict__ = {
        name: value.copy() if isinstance(value, dict) else value for name, value in module.__dict__.items()
    }
    clone._modules = {name: child and shared_copy(child) for name, child in module._modules.items()}
    return clone
