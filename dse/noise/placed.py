"""A stored weight of a model on the crossbars of one chip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dse.noise.drawn import AveragedCopies, InFloat32
from dse.noise.key import NoiseKey, Sign
from dse.noise.layer import full_scales, layer_of
from dse.noise.linear import AnalogLinear
from dse.noise.ranges import MatrixRange
from dse.noise.sites import Site
from dse.noise.tile_reader import TileReader
from dse.noise.tiles import TiledLinear
from dse.noise.weight import ChipArguments, noisy_slices, noisy_weight
from dse.spec.architecture import AnalogCore

# K weight slices, O outputs, I inputs, S input slices


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgrammedChip:
    """Which chip, and how old."""

    seed: int
    sign: Sign = 1
    time_s: float = 0.0
    scale: float = 1.0
    """Further factor on each device's sigma."""

    def arguments(self, block: str, matrix: str, copy: int) -> ChipArguments:
        """What ``noisy_weight`` takes to draw a matrix of this chip."""
        return {
            "seed": self.seed, "block": block, "matrix": matrix, "time_s": self.time_s, "sign": self.sign,
            "scale": self.scale, "copy": copy,
        }  # fmt: skip


def analog_site(
    site: Site, core: AnalogCore, chip: ProgrammedChip, *, n_copies: int, ranges: MatrixRange | None
) -> nn.Module:
    """What stands in for a stored weight.

    Without ranges the copies of a block are one matrix, the mean of their weights; behind converters each copy works
    by itself. Weights of 16 bits are drawn in float32 and then rounded; behind converters products are in float32.
    """
    copies = range(n_copies)
    if ranges is None:
        return AnalogLinear(mean_weight(site, core, chip, copies), core, bias=own_bias(site, site.weight.dtype))
    here = MatrixRange(*(values.to(site.weight.device) for values in ranges))
    layers = [behind_converters(site, core, chip, here, copy=copy) for copy in copies]
    return layers[0] if n_copies == 1 else AveragedCopies(layers)


def mean_weight(site: Site, core: AnalogCore, chip: ProgrammedChip, copies: range) -> Tensor:
    """The mean of the weights of all copies, in the number format of the model."""
    dtype = site.weight.dtype
    kept = torch.empty(site.weight.shape, dtype=dtype, device=site.weight.device)  # first, so that it leaves no hole
    mean = stored(site, core, chip, None, copy=0)
    for copy in copies[1:]:
        mean += stored(site, core, chip, None, copy=copy)
    if len(copies) > 1:
        mean /= len(copies)
    return mean if dtype == torch.float32 else kept.copy_(mean)


def behind_converters(
    site: Site, core: AnalogCore, chip: ProgrammedChip, ranges: MatrixRange, *, copy: int
) -> nn.Module:
    """One copy of a site with the converters of its core."""
    layer = layer_of(
        core,
        whole=lambda: stored(site, core, chip, ranges, copy=copy),
        slices=lambda: stored_slices(site, core, chip, ranges, copy=copy),
        scales=lambda: site_scales(site, core),
        ranges=ranges,
        key=NoiseKey(chip.seed, site.block, "+".join(site.matrices), 0, 0, "read", copy),
        sign=chip.sign,
        bias=own_bias(site, torch.float32),
    )
    is_float32 = isinstance(layer, TiledLinear) or site.weight.dtype == torch.float32
    return layer if is_float32 else InFloat32(layer)


def stored(site: Site, core: AnalogCore, chip: ProgrammedChip, ranges: MatrixRange | None, *, copy: int) -> Tensor:
    """The weights of a site on one chip (O, I), float32, rows in the order in which they are stored."""
    weight = torch.empty(site.weight.shape, device=site.weight.device)
    readers = tile_readers(site, core, chip, ranges)
    for (name, target), out, reader in zip(site.parts(), site.split(weight), readers, strict=True):
        noisy_weight(target, core.device, core, **chip.arguments(site.block, name, copy), out=out, read_out=reader)
    return weight


def stored_slices(site: Site, core: AnalogCore, chip: ProgrammedChip, ranges: MatrixRange, *, copy: int) -> Tensor:
    """The weights of a site slice by slice of their bits (K, O, I)."""
    own = []
    for (name, target), reader in zip(site.parts(), tile_readers(site, core, chip, ranges), strict=True):
        drawn = chip.arguments(site.block, name, copy)
        own.append(noisy_slices(target, core.device, core, **drawn, read_out=reader).transpose(0, 1))
    return site.stacked(own).transpose(0, 1)


def tile_readers(
    site: Site, core: AnalogCore, chip: ProgrammedChip, ranges: MatrixRange | None
) -> Sequence[TileReader | None]:
    """How the tiles of each matrix of a site are read; not at all without converters."""
    if ranges is None:
        return [None] * len(site.matrices)
    return [TileReader(core, MatrixRange(ranges.input, part.T), chip.sign) for part in site.split(ranges.output.T)]


def site_scales(site: Site, core: AnalogCore) -> Tensor:
    """Weights that map to g_max (O, S)."""
    return site.stacked([full_scales(target, core.device, core) for _, target in site.parts()])


def own_bias(site: Site, dtype: torch.dtype) -> nn.Parameter | None:
    """The bias of a site, as a parameter of the module that stands in for it."""
    return None if site.bias is None else nn.Parameter(site.bias.to(dtype), requires_grad=False)
