"""Routers of ``transformers`` with another module in place of their product."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dse.errors import Problem, SpecError
from dse.noise.sites import Site, Untyped

# T tokens, D d_model, E experts

PROBES = 3


class RoutedThrough(nn.Module):
    """A router whose logits come from another module.

    The library's router is kept, of its own class, with the identity in place of its matrix: fed with the product of
    the other module, it adds its bias and chooses experts by its own rule. A product with the identity is exact, since
    everything added to a number is 0.
    """

    def __init__(self, router: Untyped, linear: nn.Module) -> None:
        """Takes over a router (a copy that may be changed)."""
        super().__init__()
        n_experts, self.n_inputs = router.weight.shape
        identity = torch.eye(n_experts, dtype=router.weight.dtype, device=router.weight.device)
        router.weight = nn.Parameter(identity, requires_grad=False)
        router.hidden_dim = n_experts
        self.router, self.linear, self.dtype = router, linear, identity.dtype

    def forward(self, hidden_states: Tensor) -> Untyped:
        """What the library's router returns."""
        return self.router(self.linear(hidden_states.reshape(-1, self.n_inputs).to(self.dtype)))


class Product(nn.Module):
    """A plain product with stored weights."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, x: Tensor) -> Tensor:
        """(…, D) → (…, E)."""
        return F.linear(x, self.weight)


def require_product(router: Untyped, site: Site) -> None:
    """Refuses a class of routers that does not choose by the product with its weight.

    Args:
        router: the library's router.
        site: its weight.

    Raises:
        SpecError: names block and class.
    """
    fine = copy.deepcopy(router).double()  # so that a bias that is added later rounds no differently
    through = RoutedThrough(copy.deepcopy(fine), Product(fine.weight))
    n_inputs = site.weight.shape[1]
    x = torch.sin(torch.arange(PROBES * n_inputs, device=site.weight.device).double()).view(PROBES, n_inputs)
    try:
        with torch.no_grad():
            pairs = zip(fine(x), through(x), strict=True)
            is_same = all(torch.allclose(one, other) for one, other in pairs)
    except (RuntimeError, TypeError, ValueError, AttributeError):
        is_same = False
    if not is_same:
        told = f"router of class {type(router).__name__} cannot be analog: it does not choose by the product with its"
        raise SpecError([Problem(f"{told} weight alone; place it on a digital unit", site.block)])
