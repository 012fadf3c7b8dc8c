"""A model as one fabricated chip computes it: analog blocks noised and behind converters, digital ones untouched."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping as MappingABC

import numpy as np
import torch
from torch import nn

from dse.devices.aging import time_problem
from dse.errors import Problem, SpecError
from dse.mapping.model import Mapping
from dse.noise.key import NoiseKey, Sign
from dse.noise.linear import AnalogLinear, folded_ranges, full_scales, needs_tiles, unmodelled
from dse.noise.ranges import MatrixRange, RangePlan, plan_of
from dse.noise.rebuild import Site, rebuilt, sites
from dse.noise.tiles import TiledLinear
from dse.noise.weight import noisy_slices, noisy_weight
from dse.spec.architecture import AnalogCore, Architecture
from dse.spec.values import flat_values

RangeKey = tuple[str, tuple[str, ...], RangePlan]
"""Block, matrices of a site, what its ranges depend on."""
Ranges = MappingABC[RangeKey, MatrixRange]


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
) -> nn.Module:
    """The model with its analog blocks as they are on one programmed chip.

    The given model stays untouched; digital blocks use the very same parameter tensors and, while nothing in
    front of them is analog, compute bit for bit what the given model computes with eager experts.

    Args:
        model: a ``transformers`` OlmoeForCausalLM in float32.
        mapping: which blocks are analog, and on which core group.
        arch: the core groups.
        seed: the chip.
        sign: −1 for the antithetic chip (every standard normal turned round).
        time_s: age of the programmed weights [s].
        scale: further factor on each device's sigma.
        ranges: static converter ranges from ``measure_ranges``; None leaves the converters out.

    Raises:
        SpecError: unsupported model class, a mapping that does not fit model and architecture, or a time at which a
            device has no state.
    """
    cores = analog_cores(model, mapping, arch)
    require_known_age(cores.values(), time_s)

    def analog(site: Site) -> nn.Module | None:
        core = cores.get(site.block)
        if core is None:
            return None
        if ranges is not None and needs_tiles(core):
            return tiled(site, core, ranges[(*site.key, plan_of(core))])
        weight = torch.empty(site.weight.shape, device=site.weight.device)
        outputs = weight.chunk(len(site.matrices))
        for (name, target), out in zip(site.parts(), outputs, strict=True):
            noisy_weight(
                target,
                core.device,
                core,
                seed=seed,
                block=site.block,
                matrix=name,
                time_s=time_s,
                sign=sign,
                scale=scale,
                out=out,
            )
        found = None if ranges is None else ranges[(*site.key, plan_of(core))]
        scales = torch.cat([full_scales(target, core.device, core) for _, target in site.parts()])
        return AnalogLinear(weight, core, ranges=folded_ranges(found, scales, core), bias=site.bias)

    def tiled(site: Site, core: AnalogCore, own: MatrixRange) -> nn.Module:
        slices = [
            noisy_slices(
                target,
                core.device,
                core,
                seed=seed,
                block=site.block,
                matrix=name,
                time_s=time_s,
                sign=sign,
                scale=scale,
            )
            for name, target in site.parts()
        ]
        scales = torch.cat([full_scales(target, core.device, core) for _, target in site.parts()])
        key = NoiseKey(seed, site.block, "+".join(site.matrices), 0, 0, "read")
        return TiledLinear(
            torch.cat(slices, dim=1), core, scales=scales, ranges=own, key=key, sign=sign, bias=site.bias
        )

    chip: nn.Module = rebuilt(model, analog)
    return chip


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
        SpecError: blocks missing or unknown, unknown groups, several copies, a core with swept values, or one whose
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
        elif option.copies != 1:
            problems.append(Problem(f"noise of {option.copies} copies is not modelled by this version", block))
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


COST_ONLY = ("adc.per_tile", "cost.", "idle.", "program.", "read.", "tiles_per_die", "tiers_per_tile", "spare_fraction")
"""First words of the values of a core that noise does not depend on."""


def swept_values(core: AnalogCore) -> list[str]:
    """Paths of the values that noise depends on and that hold more than one number."""
    return [
        f"analog_cores.{core.name}.{path}"
        for path, value in flat_values(core).items()
        if isinstance(value, np.ndarray) and not path.startswith(COST_ONLY)
    ]
