"""Weights of digital units in whole numbers of few bits."""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dse.errors import Problem, SpecError
from dse.mapping.model import Mapping
from dse.spec.architecture import Architecture
from dse.units import BITS

# O outputs, I inputs, G groups of inputs

WHOLE_NUMBERS: Final = ("int8", "int4")
"""Formats that change the weights of a digital block; in all others it keeps those of the checkpoint."""


class WeightFormat(NamedTuple):
    """How the weights of a digital block are stored."""

    bits: int
    group: int | None = None
    """Inputs that share one scale; None: a whole row of the matrix."""


class PlainLinear(nn.Module):
    """A linear layer with weights of its own."""

    weight: Tensor
    bias: Tensor | None

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        """The product (…, I) → (…, O)."""
        return F.linear(x, self.weight, self.bias)


def rounded_weight(weight: Tensor, form: WeightFormat) -> Tensor:
    """Weights as they are read back from whole numbers of few bits, symmetric about 0, (O, I).

    ``w' = s · round(w / s)``, ``s = max |w| / (2^(b − 1) − 1)`` over an output row, or over each group of its
    neighbouring inputs; the last group may be shorter. Ties go to the even number; groups of zeros stay zeros.

    Valid for: formats without offset, computed in float32; the rounding of the scales themselves (to 16 bits, say) is
    left out.

    Source: row by row, T. Dettmers et al., LLM.int8(), NeurIPS 2022, §2 (absmax quantisation); in groups, Z. Yao et
    al., ZeroQuant, NeurIPS 2022, §4.1.

    >>> rounded_weight(torch.tensor([[7.0, 3.4, -0.6]]), WeightFormat(bits=4)).tolist()
    [[7.0, 3.0, -1.0]]
    """
    n_in = weight.shape[1]
    size = min(form.group or n_in, n_in)
    padded = F.pad(weight.float(), (0, -n_in % size))
    groups = padded.view(len(weight), -1, size)  # (O, G, group)
    scale = groups.abs().amax(dim=2, keepdim=True) / (2 ** (form.bits - 1) - 1)
    scale = torch.where(scale > 0, scale, 1.0)
    return (groups / scale).round_().mul_(scale).view(padded.shape)[:, :n_in].to(weight.dtype)


def digital_formats(mapping: Mapping, arch: Architecture) -> dict[str, WeightFormat]:
    """Block → format, for every digital block whose weights are stored in whole numbers.

    Raises:
        SpecError: a unit that the architecture does not have, or one with several values of ``int4_group``.
    """
    units = {unit.name: unit for unit in arch.digital_units}
    formats, problems = {}, []
    for block, option in mapping.placement.items():
        if option.precision not in WHOLE_NUMBERS:
            continue
        unit = units.get(option.group)
        if unit is None:
            problems.append(Problem(f"on digital unit {option.group!r}, which {arch.name!r} does not have", block))
            continue
        group = unit.int4_group if option.precision == "int4" else None
        if group is not None and not isinstance(group, int | float):
            told = "has several values; accuracy is measured for one design at a time"
            problems.append(Problem(told, f"digital_units.{unit.name}.int4_group"))
            continue
        formats[block] = WeightFormat(BITS[option.precision], None if group is None else int(group))
    if problems:
        raise SpecError(list(dict.fromkeys(problems))[:20])
    return formats
