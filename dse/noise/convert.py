"""A model as one fabricated chip computes it: analog blocks noised and behind converters, digital ones untouched."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from collections.abc import Mapping as MappingABC
from typing import NamedTuple, cast

import numpy as np
from torch import nn

from dse.devices.aging import time_problem
from dse.errors import Problem, SpecError
from dse.mapping.model import Mapping
from dse.noise.digital import PlainLinear, digital_formats, rounded_weight
from dse.noise.drawn import DrawnOnUse
from dse.noise.key import Sign
from dse.noise.placed import ProgrammedChip, analog_site
from dse.noise.ranges import MatrixRange, RangePlan, plan_of
from dse.noise.rebuild import rebuilt
from dse.noise.refusals import unmodelled
from dse.noise.sites import Site, Untyped, sites, unplaced
from dse.spec.architecture import AnalogCore, Architecture
from dse.spec.values import flat_values

RangeKey = tuple[str, tuple[str, ...], RangePlan]
"""Block, matrices of a site, what its ranges depend on."""
Ranges = MappingABC[RangeKey, MatrixRange]


class Conversion(NamedTuple):
    """What became of the blocks of a model."""

    analog: tuple[str, ...]
    """Blocks on crossbars."""
    rounded: tuple[str, ...]
    """Digital blocks whose weights are whole numbers of few bits."""
    digital: tuple[str, ...]
    """Blocks that keep the weights of the checkpoint."""
    unplaced: tuple[str, ...]
    """Stored weights that belong to no block, so that no mapping moves them."""


def noisy_model(
    model: nn.Module,
    mapping: Mapping,
    arch: Architecture,
    *,
    seed: int,
    sign: Sign = 1,
    time_s: float = 0.0,
    scale: float = 1.0,
    ranges: Ranges | None = None,
    is_resident: bool = True,
) -> nn.Module:
    """The model as one programmed chip computes it; its ``conversion`` says what became of every block.

    The given model stays untouched. Digital blocks use the very same parameter tensors and, while nothing in front of
    them is analog, compute bit for bit what the given model computes with eager experts; those that the mapping stores
    as int8 or int4 have rounded weights (``rounded_weight``). A block of r copies averages the outputs of r draws.
    Biases, activations and the choice of experts are digital.

    With no effect at all, weights of a float32 model are exact, and its products differ from the given model's by the
    rounding of float32 where converters are in between. In a model of 16 bits, weights are drawn in float32 and then
    rounded to its format, or, between converters, computed with in float32.

    Args:
        model: a causal language model of ``transformers`` with linear layers, fused experts behind the library's
            experts interface, or experts that are modules.
        mapping: which blocks are analog, and on which core group; the format of the digital ones.
        arch: the core groups.
        seed: the chip.
        sign: −1 for the antithetic chip (every standard normal turned round).
        time_s: age of the programmed weights [s].
        scale: further factor on each device's sigma.
        ranges: static converter ranges from ``measure_ranges``; None leaves the converters out.
        is_resident: whether the weights of the chip are kept. Otherwise they are drawn again, the same, whenever a
            matrix is used: for models that do not fit into memory twice.

    Raises:
        SpecError: a model, experts or a router of unknown structure, a mapping that does not fit model and
            architecture, or a time at which a device has no state.
    """
    cores, formats = analog_cores(model, mapping, arch), digital_formats(mapping, arch)
    require_known_age(cores.values(), time_s)
    draw = ProgrammedChip(seed=seed, sign=sign, time_s=time_s, scale=scale)

    def on_chip(site: Site) -> nn.Module | None:
        if site.block in formats:
            return PlainLinear(rounded_weight(site.weight, formats[site.block]), site.bias)
        if site.block not in cores:
            return None
        core = cores[site.block]
        own = None if ranges is None else ranges[(*site.key, plan_of(core))]
        return analog_site(site, core, draw, n_copies=mapping.placement[site.block].copies, ranges=own)

    def replaced(site: Site) -> nn.Module | None:
        if is_resident or not (site.block in cores or site.block in formats):
            return on_chip(site)
        return DrawnOnUse(lambda device: cast("nn.Module", on_chip(site.on(device))))

    chip: Untyped = rebuilt(model, replaced)
    chip.conversion = conversion_of(model, cores, formats)
    chip.is_noisy_copy = bool(cores or formats)
    return cast("nn.Module", chip)


def conversion_of(model: nn.Module, cores: Collection[str], formats: Collection[str]) -> Conversion:
    """What became of the blocks."""
    blocks = tuple(dict.fromkeys(site.block for site in sites(model)))
    return Conversion(
        analog=tuple(block for block in blocks if block in cores),
        rounded=tuple(block for block in blocks if block in formats),
        digital=tuple(block for block in blocks if block not in cores and block not in formats),
        unplaced=unplaced(model),
    )


def require_known_age(cores: Iterable[AnalogCore], time_s: float) -> None:
    """Refuses a time at which a device has no state.

    Raises:
        SpecError: for every such device.
    """
    devices = dict.fromkeys(core.device for core in cores)
    problems = [Problem(aged, "time_s") for device in devices if (aged := time_problem(device, time_s)) is not None]
    if problems:
        raise SpecError(list(dict.fromkeys(problems)))


def analog_cores(model: nn.Module, mapping: Mapping, arch: Architecture) -> dict[str, AnalogCore]:
    """Block → core group, for every analog block.

    Raises:
        SpecError: blocks missing or unknown, unknown groups, a core with swept values, or one whose
            noise is not modelled.
    """
    blocks = dict.fromkeys(site.block for site in sites(model))
    problems = [
        Problem("not in the mapping, which is for another model", block)
        for block in blocks
        if block not in mapping.placement
    ]
    problems += [Problem("not a block of this model", block) for block in mapping.placement if block not in blocks]
    groups = {core.name: core for core in arch.analog_cores}
    cores = {}
    for block, option in mapping.placement.items():
        if option.precision != "analog":
            continue
        if option.group not in groups:
            problems.append(Problem(f"on analog group {option.group!r}, which {arch.name!r} does not have", block))
        else:
            cores[block] = groups[option.group]
    problems += [
        Problem("has several values; accuracy is measured for one design at a time", path)
        for core in dict.fromkeys(cores.values())
        for path in swept_values(core)
    ]
    problems += [p for core in dict.fromkeys(cores.values()) if not swept_values(core) for p in unmodelled(core)]
    if problems:
        raise SpecError(problems[:20])
    return cores


COST_ONLY = (
    "adc.per_tile",
    "cost.",
    "idle.",
    "program.",
    "read.pulse_ns",
    "tiles_per_die",
    "tiers_per_tile",
    "spare_fraction",
)
"""First words of the values of a core that noise does not depend on."""


def swept_values(core: AnalogCore) -> list[str]:
    """Paths of the values that noise depends on and that hold more than one number."""
    return [
        f"analog_cores.{core.name}.{path}"
        for path, value in flat_values(core).items()
        if isinstance(value, np.ndarray) and not path.startswith(COST_ONLY)
    ]
