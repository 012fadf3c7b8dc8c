"""Reading a tile through its own converters, as drift compensation does on a chip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from dse.devices.bit_slices import bit_slices
from dse.devices.slices import slice_bounds
from dse.noise.key import NoiseKey, Sign
from dse.noise.ranges import MatrixRange
from dse.noise.tile import TINY
from dse.noise.tiles import TiledLinear
from dse.spec.architecture import AnalogCore

# V read-out vectors, r outputs and n inputs of one slice, S input slices, O outputs

CLIPPED_COLUMNS: Final = 0.05
"""Share of the columns whose outputs may go beyond a static range while a tile is read."""


@dataclass(frozen=True, slots=True, eq=False)
class TileReader:
    """The ``ReadOut`` of a matrix whose core has these converters."""

    core: AnalogCore
    ranges: MatrixRange
    """Static ranges of the matrix, input (S,) and output (S, O)."""
    sign: Sign

    def __call__(self, weight: Tensor, x: Tensor, *, scale: Tensor, key: NoiseKey, is_later: bool) -> Tensor:
        """Outputs (V, r) of a slice, see ``ReadOut``.

        Static output ranges belong to the inputs of the model, which are smaller than vectors of the full range; the
        vectors are scaled down until most columns are within them.
        """
        start, stop = slice_bounds(self.ranges.output.shape[1], self.core.cols)[key.j]
        seen = MatrixRange(
            *(part.cpu() for part in (self.ranges.input[[key.i]], self.ranges.output[[key.i], start:stop]))
        )
        own = self.core.weight
        if own is not None and own.bits is not None:
            scale = scale / bit_slices(int(own.bits), int(own.bit_slices))[key.bit_slice].share(int(own.bits))
        place = key._replace(matrix=f"{key.matrix}.read_out.{'now' if is_later else 'then'}")
        layer = TiledLinear(weight[None], self.core, scales=scale, ranges=seen, key=place, sign=self.sign)
        amplitude = torch.ones(())
        if self.core.dac.range.mode == "static":
            amplitude = seen.input.clamp_min(TINY)
        if self.core.adc.range.method != "out_bound":
            peak = (x @ weight.T).abs().amax(dim=0) * amplitude
            room = torch.where(peak > 0, seen.output[0] / peak.clamp_min(TINY), 1.0)
            amplitude = amplitude * room.quantile(CLIPPED_COLUMNS).clamp(TINY, 1.0)
        y: Tensor = layer(x * amplitude)
        return y / amplitude
