"""What can stand in for a matrix: copies that are averaged, another number format, weights drawn when they are used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from dse.noise.linear import AnalogLinear
from dse.noise.normals import NormalStream
from dse.noise.threads import one_thread
from dse.noise.tiles import TiledLinear


class AveragedCopies(nn.Module):
    """A block stored several times: every copy works on every token, and the host averages their outputs."""

    def __init__(self, copies: Sequence[nn.Module]) -> None:
        super().__init__()
        self.copies = nn.ModuleList(copies)

    def forward(self, x: Tensor) -> Tensor:
        """The mean of the copies' outputs."""
        outputs = [copy(x) for copy in self.copies]
        return torch.stack(outputs).mean(dim=0)


class InFloat32(nn.Module):
    """Converters and partial sums in float32 within a model of another number format."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        """The output in the format of the input."""
        y: Tensor = self.inner(x.float())
        return y.to(x.dtype)


class DrawnOnUse(nn.Module):
    """A matrix whose weights exist only while it is used.

    Every use makes the same weights again, since draws are named; noise of single products goes on from use to use.
    """

    def __init__(self, make: Callable[[torch.device], nn.Module]) -> None:
        """Remembers how to make the layer on a device."""
        super().__init__()
        self.make = make
        self.streams: list[NormalStream | None] = []
        self.is_frozen = False

    def freeze(self) -> DrawnOnUse:
        """Makes every use draw the same noise; returns itself."""
        self.is_frozen = True
        return self

    def forward(self, x: Tensor) -> Tensor:
        """The product with weights made for it."""
        with torch.no_grad(), one_thread():
            made = self.make(x.device)
        drawing = [part for part in made.modules() if isinstance(part, TiledLinear)]
        for part, stream in zip(drawing, [] if self.is_frozen else self.streams, strict=False):
            part.stream = stream
        y: Tensor = made(x)
        self.streams = [part.stream for part in drawing]
        return y


Model = TypeVar("Model", bound=nn.Module)


def freeze(model: Model) -> Model:
    """Makes the noise of single products in a model the same in every call; returns the model.

    Weights are drawn once in any case. Without it, every analog layer goes on in its stream of noise from token to
    token, so that equal inputs give other outputs the second time, as on a chip.
    """
    for part in model.modules():
        if isinstance(part, AnalogLinear | TiledLinear | DrawnOnUse):
            part.freeze()
    return model
