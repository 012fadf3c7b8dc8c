"""One tile of a layer: its weights and converter ranges in its own units.

Inputs are u = x / m with the input range m, weights w / s with the weight s at g_max, so that one device adds at most 1
to a product, and an output is m · s times that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from dse.noise.key import NoiseKey, Sign
from dse.noise.normals import standard_normals
from dse.noise.quantize import top_code
from dse.noise.ranges import MatrixRange
from dse.spec.architecture import AnalogCore
from dse.spec.converter_range import SShape

# O outputs, S input slices; n inputs of one slice

TINY: Final = 1e-30
"""Ranges below this count as none: their inputs are 0."""


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
    normal = torch.from_numpy(standard_normals(key._replace(effect="s_shape"), (n_tiles, n_out)))
    bound, p = float(shape.out_bound), float(shape.slope_calibration)
    bend = (float(shape.nonlinearity) / bound * (1 + sign * float(shape.spread_fraction) * normal)).abs()
    gain = (1 + (float(bend.mean()) + float(shape.series_resistance)) * p * bound) ** 2 if p > 0 else 1.0
    return bend, gain
