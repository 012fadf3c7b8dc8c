"""A linear layer tile by tile: converters with any range, noise of every product, saturation, bits one by one.

Products are in units of the tile, see ``Tile``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from dse.devices.slices import slice_bounds
from dse.noise.key import NoiseKey, Sign
from dse.noise.normals import NormalStream
from dse.noise.quantize import to_codes, to_levels, top_code
from dse.noise.ranges import MatrixRange
from dse.noise.static_drop import static_drop
from dse.noise.tile import TINY, Tile, bend_of, tile_of
from dse.spec.architecture import AnalogCore
from dse.spec.array_effects import AihwkitStatic

# T tokens, I inputs, O outputs, S input slices, K weight slices; n inputs of one slice

CHUNK_NORMALS: Final = 1 << 20
"""Normals that are drawn at once."""


Planes: TypeAlias = tuple[tuple[int, int], ...]
"""(shift, width) of the groups of bits that are applied one after the other."""


class TiledLinear(nn.Module):
    """A linear layer with every effect of the core's periphery.

    Drawn once, at construction: the weights (by the caller), and the spread of the output stages. Drawn for every
    token: output noise and short-term noise, from a stream named by the chip, block and matrix. The stream goes from
    token to token and from call to call, so that a layer's tokens have the same noise however they are cut into
    batches; after ``freeze()`` every call starts it anew, and equal inputs give equal outputs.
    """

    def __init__(
        self,
        weights: Tensor,
        core: AnalogCore,
        *,
        scales: Tensor,
        ranges: MatrixRange,
        key: NoiseKey,
        sign: Sign = 1,
        bias: Tensor | None = None,
    ) -> None:
        """Prepares the tiles.

        Args:
            weights: stored weights, one per weight slice [K, outputs, inputs].
            core: converters, noise, rows of a crossbar.
            scales: weight at g_max [outputs, S].
            ranges: static ranges, as far as the core has any.
            key: chip, block and matrix.
            sign: −1 turns every normal round.
            bias: added digitally.
        """
        super().__init__()
        self.bias, self.core, self.key, self.sign = bias, core, key, sign
        self.n_out, self.is_frozen = weights.shape[1], False
        self.stream: NormalStream | None = None
        self.top_in, self.top_out = top_code(core.dac.bits), top_code(core.adc.bits)
        self.planes = planes_of(core, self.top_in)
        self.network = core.ir_drop if isinstance(core.ir_drop, AihwkitStatic) else None
        noise = None if core.read is None else core.read.noise
        self.read_std = 0.0
        if noise is not None and core.read is not None:
            self.read_std = float(noise.std_fraction) / float(core.read.phases) ** 0.5
        self.follows_conductance = noise is not None and noise.model == "conductance"
        self.output_std = 0.0 if core.output_noise is None else float(core.output_noise.std_fraction)
        is_whole = self.planes is None and "full" not in (core.dac.grid, core.adc.grid)
        is_quiet = not self.read_std and not self.output_std and self.network is None and core.s_shape is None
        self.is_plain = is_whole and is_quiet and (core.dac.range.mode == "static" or core.adc.range.mode == "dynamic")
        self.tiles = [
            tile_of(
                weights, core, scales, ranges, (s, *bounds), is_plain=self.is_plain, has_sizes=self.follows_conductance
            )
            for s, bounds in enumerate(slice_bounds(weights.shape[2], core.rows))
        ]
        self.n_products = len(self.tiles) * len(self.planes or (0,)) * weights.shape[0]
        self.is_noisy = self.read_std > 0 or self.output_std > 0
        bend, self.gain = bend_of(core.s_shape, self.n_out, len(self.tiles), key, sign)
        self.bend = None if bend is None else bend.to(weights.device)

    def freeze(self) -> TiledLinear:
        """Makes every call draw the same noise; returns itself."""
        self.is_frozen = True
        return self

    def forward(self, x: Tensor) -> Tensor:
        """The product (…, I) → (…, O), in float32 inside, in the type of x outside."""
        flat = x.detach().reshape(-1, x.shape[-1]).float()
        y = torch.zeros(len(flat), self.n_out, device=flat.device)
        if self.is_frozen:
            self.stream = None
        step = max(CHUNK_NORMALS // (self.n_products * self.n_out), 1) if self.is_noisy else max(len(flat), 1)
        for start in range(0, len(flat), step):
            tokens = slice(start, min(start + step, len(flat)))
            self.add_tiles(y[tokens], flat[tokens])
        if self.bias is not None:
            y += self.bias
        return y.view(*x.shape[:-1], self.n_out).to(x.dtype)

    def add_tiles(self, y: Tensor, x: Tensor) -> None:
        """Adds the converted products of all tiles: (T, I) → (T, O)."""
        normals = iter(self.normals(x))
        for s, tile in enumerate(self.tiles):
            self.add_tile(y, x[:, tile.start : tile.stop], tile, s, normals)

    def add_tile(self, y: Tensor, x: Tensor, tile: Tile, s: int, normals: Iterator[Tensor]) -> None:
        """Adds the converted products of one tile: (T, n) → (T, O)."""
        m = largest_inputs(x) if tile.input_range is None else tile.input_range  # (T, 1) or ()
        reach = m.clamp_min(TINY)
        if self.is_plain:
            codes = to_codes(x * (self.top_in / reach), self.top_in)
            for weight in tile.folded:
                y.addcmul_(to_codes(codes @ weight, self.top_out).mul_(m), tile.step)
            return
        bound = tile.bound if tile.absolute is None else tile.absolute / (reach * tile.scale).clamp_min(TINY)
        for u, place in self.inputs(x, reach):
            for weight, sizes in zip(tile.weights, tile.sizes, strict=True):
                z = u @ weight
                if self.network is not None:
                    z -= static_drop(u, weight.T, self.network)
                if self.is_noisy:
                    self.add_noise(z, u, sizes, next(normals))
                y.addcmul_(self.converted(z, bound, s).mul_(m), tile.scale, value=place)

    def inputs(self, x: Tensor, m: Tensor) -> list[tuple[Tensor, float]]:
        """Converted inputs (T, n) as shares of their range, with the place value of each plane of bits."""
        if self.core.dac.grid == "full":
            return [(to_levels(x / m, int(self.core.dac.bits)), 1.0)]
        codes = to_codes(x * (self.top_in / m), self.top_in)
        return [(codes.div_(self.top_in), 1.0)] if self.planes is None else split_codes(codes, self.planes)

    def add_noise(self, z: Tensor, u: Tensor, sizes: Tensor, normal: Tensor) -> None:
        """Adds output noise and short-term noise at once, since variances add up, to products z (T, O).

        Args:
            z: products in units of the tile; changed.
            u: their inputs (T, n) as shares of the range.
            sizes: absolute weights (n, O) where the noise follows them.
            normal: standard normals (T, O).
        """
        if not self.read_std:
            z.add_(normal, alpha=self.sign * self.output_std)
            return
        power = u.square() @ sizes if self.follows_conductance else u.square().sum(dim=1, keepdim=True)
        std = power.mul_(self.read_std**2).add_(self.output_std**2).sqrt_()
        z.addcmul_(std, normal, value=self.sign)

    def converted(self, z: Tensor, bound: Tensor, s: int) -> Tensor:
        """What the output converters say of products z (T, O) of a tile within ±bound; overwrites z."""
        if self.bend is not None:
            z.div_((1 + self.bend[s] * z.abs()).div_(self.gain))
        bound = bound.clamp_min(TINY)
        if self.core.adc.grid == "full":
            return to_levels(z / bound, int(self.core.adc.bits)).mul_(bound)
        return to_codes(z.mul_(self.top_out / bound), self.top_out).mul_(bound / self.top_out)

    def normals(self, x: Tensor) -> Sequence[Tensor]:
        """Standard normals (T, O) of every product of these tokens, drawn on the CPU wherever the layer is."""
        if not self.is_noisy:
            return ()
        if self.stream is None:
            self.stream = NormalStream(self.key._replace(effect="read"))
        drawn = self.stream.fill_rows(np.empty((len(x), self.n_products * self.n_out), np.float32))
        return torch.from_numpy(drawn).view(len(x), self.n_products, self.n_out).to(x.device).unbind(dim=1)


def split_codes(codes: Tensor, planes: Planes) -> list[tuple[Tensor, float]]:
    """Digits of the codes (T, n) over their largest value, with what each adds: one plane after the other."""
    top = (1 << sum(width for _, width in planes)) - 1
    sign, magnitude = codes.sign(), codes.abs().to(torch.int32)
    found = []
    for shift, width in planes:
        largest = (1 << width) - 1
        digit = torch.bitwise_and(torch.bitwise_right_shift(magnitude, shift), largest)
        found.append((sign * digit / largest, (largest << shift) / top))
    return found


def largest_inputs(x: Tensor) -> Tensor:
    """Largest absolute input of every token (T, 1)."""
    return x.abs().amax(dim=1, keepdim=True) if len(x) else x.new_ones(0, 1)


def planes_of(core: AnalogCore, top: int) -> Planes | None:
    """(shift, width) of the groups of bits that are applied one after the other; None: all at once."""
    own = core.dac.bits_per_phase
    if core.dac.encoding != "bit_serial" and own is None:
        return None
    width = 1 if own is None else int(own)
    n_bits = top.bit_length()
    return tuple((shift, min(width, n_bits - shift)) for shift in range(0, n_bits, width))


def needs_tiles(core: AnalogCore) -> bool:
    """Whether a core has effects that cannot be folded into codes of static converters."""
    noise = None if core.read is None else core.read.noise
    stated = (noise, core.output_noise, core.s_shape)
    is_plain = core.dac.grid != "full" and core.adc.grid != "full" and core.dac.range.mode == "static"
    in_parts = (planes_of(core, top_code(core.dac.bits)) is not None, weight_slices(core) > 1)
    return (
        any(effect is not None for effect in stated)
        or not is_plain
        or any(in_parts)
        or isinstance(core.ir_drop, AihwkitStatic)
    )


def weight_slices(core: AnalogCore) -> int:
    """Columns that share the bits of a weight."""
    return 1 if core.weight is None else int(core.weight.bit_slices)
