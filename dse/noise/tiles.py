"""A linear layer tile by tile: converters with any range, noise of every product, saturation, bits one by one.

Everything is in units of the tile: inputs u = x / m with the input range m, weights w / s with the weight s at g_max,
so that one device adds at most 1 to a product, and an output is m · s times that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import torch
from torch import Tensor, nn

from dse.devices.slices import slice_bounds
from dse.noise.key import NoiseKey, Sign
from dse.noise.quantize import to_codes, to_levels, top_code
from dse.noise.ranges import MatrixRange
from dse.noise.static_drop import static_drop
from dse.spec.architecture import AnalogCore
from dse.spec.array_effects import AihwkitStatic
from dse.spec.converter_range import SShape

# T tokens, I inputs, O outputs, S input slices, K weight slices; n inputs of one slice

TINY: Final = 1e-30
"""Ranges below this count as none: their inputs are 0."""


Planes: TypeAlias = tuple[tuple[int, int], ...]
"""(shift, width) of the groups of bits that are applied one after the other."""


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """What one input slice of a matrix needs."""

    start: int
    stop: int
    weights: tuple[Tensor, ...]
    """(n, O) each: transposed weights over the scale, one per weight slice; empty where they are folded."""
    sizes: tuple[Tensor, ...]
    """(n, O) each: their absolute values, where noise follows them."""
    folded: tuple[Tensor, ...]
    """(n, O) each: from input codes to output codes, where nothing happens in between."""
    step: Tensor
    """(O,): what an output code adds, over the input range."""
    scale: Tensor
    """(O,): weight at g_max."""
    input_range: Tensor | None
    """Static input range (); None: every token's own."""
    bound: Tensor
    """(O,): output range over m · s; with a static input range of its own per column."""
    absolute: Tensor | None
    """(O,): static output range in the unit of outputs where the input range is each token's own; else None."""


class TiledLinear(nn.Module):
    """A linear layer with every effect of the core's periphery.

    Drawn once, at construction: the weights (by the caller), and the spread of the output stages. Drawn for every call:
    output noise and short-term noise, from a stream named by the chip, block and matrix, so that calls continue it;
    after ``freeze()`` every call starts it anew, and equal inputs give equal outputs.
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
        self.stream: torch.Generator | None = None
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
        self.bend, self.gain = bend_of(core.s_shape, self.n_out, len(self.tiles), key, sign)

    def freeze(self) -> TiledLinear:
        """Makes every call draw the same noise; returns itself."""
        self.is_frozen = True
        return self

    def forward(self, x: Tensor) -> Tensor:
        """The product (…, I) → (…, O), in float32 inside, in the type of x outside."""
        flat = x.detach().reshape(-1, x.shape[-1]).float()
        y = torch.zeros(len(flat), self.n_out, device=flat.device)
        if self.stream is None or self.is_frozen:
            self.stream = torch.Generator().manual_seed(self.key._replace(effect="read").number())
        for s, tile in enumerate(self.tiles):
            self.add_tile(y, flat[:, tile.start : tile.stop], tile, s)
        if self.bias is not None:
            y += self.bias
        return y.view(*x.shape[:-1], self.n_out).to(x.dtype)

    def add_tile(self, y: Tensor, x: Tensor, tile: Tile, s: int) -> None:
        """Adds the converted products of one tile: (T, n) → (T, O)."""
        m = largest_inputs(x) if tile.input_range is None else tile.input_range  # (T, 1) or ()
        if self.is_plain:
            codes = to_codes(x * (self.top_in / m), self.top_in)
            for weight in tile.folded:
                y.addcmul_(to_codes(codes @ weight, self.top_out).mul_(m), tile.step)
            return
        bound = tile.bound if tile.absolute is None else tile.absolute / (m * tile.scale).clamp_min(TINY)
        for u, place in self.inputs(x, m):
            for weight, sizes in zip(tile.weights, tile.sizes, strict=True):
                z = self.converted(u, weight, sizes, bound, s)
                y.addcmul_(z.mul_(m), tile.scale, value=place)

    def inputs(self, x: Tensor, m: Tensor) -> list[tuple[Tensor, float]]:
        """Converted inputs (T, n) as shares of their range, with the place value of each plane of bits."""
        if self.core.dac.grid == "full":
            return [(to_levels(x / m, int(self.core.dac.bits)), 1.0)]
        codes = to_codes(x * (self.top_in / m), self.top_in)
        return [(codes.div_(self.top_in), 1.0)] if self.planes is None else split_codes(codes, self.planes)

    def converted(self, u: Tensor, weight: Tensor, sizes: Tensor, bound: Tensor, s: int) -> Tensor:
        """What the output converters say (T, O), in units of the tile, for inputs (T, n) as shares of their range."""
        z = u @ weight
        if self.network is not None:
            z -= static_drop(u, weight.T, self.network)
        if self.read_std:
            power = u.square() @ sizes if self.follows_conductance else u.square().sum(dim=1, keepdim=True)
            std = power.mul_(self.read_std**2).add_(self.output_std**2).sqrt_()  # both noises at once: variances add up
            z.addcmul_(std, self.normals(z), value=self.sign)
        elif self.output_std:
            z.add_(self.normals(z), alpha=self.sign * self.output_std)
        if self.bend is not None:
            z.mul_(self.gain).div_(1 + self.bend[s] * z.abs())
        bound = bound.clamp_min(TINY)
        if self.core.adc.grid == "full":
            return to_levels(z / bound, int(self.core.adc.bits)).mul_(bound)
        return to_codes(z.mul_(self.top_out / bound), self.top_out).mul_(bound / self.top_out)

    def normals(self, like: Tensor) -> Tensor:
        """Standard normals of this call, drawn on the CPU wherever the layer is."""
        return torch.randn(like.shape, generator=self.stream).to(like.device)


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
    """Largest absolute input of every token (T, 1), above 0."""
    return x.abs().amax(dim=1, keepdim=True).clamp_min_(TINY) if len(x) else x.new_ones(0, 1)


def planes_of(core: AnalogCore, top: int) -> Planes | None:
    """(shift, width) of the groups of bits that are applied one after the other; None: all at once."""
    own = core.dac.bits_per_phase
    if core.dac.encoding != "bit_serial" and own is None:
        return None
    width = 1 if own is None else int(own)
    n_bits = top.bit_length()
    return tuple((shift, min(width, n_bits - shift)) for shift in range(0, n_bits, width))


def tile_of(
    weights: Tensor,
    core: AnalogCore,
    scales: Tensor,
    ranges: MatrixRange,
    place: tuple[int, int, int],
    *,
    is_plain: bool,
    has_sizes: bool,
) -> Tile:
    """One input slice (number, first, one past the last input), its weights in units of the tile."""
    s, start, stop = place
    scale = torch.where(scales[:, s] > 0, scales[:, s], 1.0).float()
    own = tuple((part[:, start:stop].float() / scale[:, None]).T.contiguous() for part in weights)
    is_static = core.dac.range.mode == "static"
    input_range = ranges.input[s].clamp_min(TINY) if is_static else None
    seen = ranges.output[s].clamp_min(TINY)
    absolute = None
    if core.adc.range.method == "out_bound":
        bound = torch.full_like(scale, float(core.adc.range.out_bound or 1.0))
    elif input_range is not None:
        bound = (seen / (input_range * scale)).clamp_min(TINY)
    else:
        bound, absolute = torch.ones_like(scale), seen
    top_in, top_out = top_code(core.dac.bits), top_code(core.adc.bits)
    return Tile(
        start=start,
        stop=stop,
        weights=() if is_plain else own,
        sizes=tuple(part.abs() for part in own) if has_sizes else own,
        folded=tuple(part.mul_(top_out / (top_in * bound)) for part in own) if is_plain else (),
        step=scale * bound / top_out,
        scale=scale,
        input_range=input_range,
        bound=bound,
        absolute=absolute,
    )


def bend_of(shape: SShape | None, n_out: int, n_tiles: int, key: NoiseKey, sign: Sign) -> tuple[Tensor | None, float]:
    """n_i of every tile and column (S, O), and the slope factor f."""
    if shape is None:
        return None, 1.0
    generator = torch.Generator().manual_seed(key._replace(effect="s_shape").number())
    normal = torch.randn(n_tiles, n_out, generator=generator)
    bound, p = float(shape.out_bound), float(shape.slope_calibration)
    bend = (float(shape.nonlinearity) / bound * (1 + sign * float(shape.spread_fraction) * normal)).abs()
    gain = (1 + (float(bend.mean()) + float(shape.series_resistance)) * p * bound) ** 2 if p > 0 else 1.0
    return bend, gain


def needs_tiles(core: AnalogCore) -> bool:
    """Whether a core has effects that cannot be folded into codes of static converters."""
    noise = None if core.read is None else core.read.noise
    stated = (noise, core.output_noise, core.s_shape)
    is_plain = core.dac.grid != "full" and core.adc.grid != "full" and core.dac.range.mode == "static"
    in_parts = (core.dac.encoding == "bit_serial" or core.dac.bits_per_phase is not None, weight_slices(core) > 1)
    return (
        any(effect is not None for effect in stated)
        or not is_plain
        or any(in_parts)
        or isinstance(core.ir_drop, AihwkitStatic)
    )


def weight_slices(core: AnalogCore) -> int:
    """Columns that share the bits of a weight."""
    return 1 if core.weight is None else int(core.weight.bit_slices)
