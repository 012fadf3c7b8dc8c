"""An accelerator: dies, analog cores, digital units, memories, links, limits."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from numpy.typing import ArrayLike
from pydantic import Field

from dse.spec.analog_core import Adc, AnalogCore, Dac, Read, Weight
from dse.spec.checks import architecture_violations
from dse.spec.converter_range import Range
from dse.spec.core_cost import ComponentsCost, LumpedCost, Mvm
from dse.spec.device import Device
from dse.spec.device_file import load_device, refuse
from dse.spec.die import Die, Packaging
from dse.spec.digest import digest_of
from dse.spec.digital_unit import Buffer, DigitalUnit, FlatPower, Memory, PerOperationEnergy, Utilisation, VectorUnit
from dse.spec.link import AnyLink, DieNetwork, Link
from dse.spec.node import OVERRIDE
from dse.spec.provenance import Provenance
from dse.spec.quantity import CONFIG, Number, Positive
from dse.spec.tile_upkeep import Idle, Program
from dse.spec.values import with_values
from dse.units import Quantity

__all__ = [
    "Adc", "AnalogCore", "Architecture", "ArchitectureSpec", "Buffer", "ComponentsCost", "Composition", "Dac",
    "Device", "Die", "DieNetwork", "DigitalUnit", "EnergyBoundary", "FlatPower", "Idle", "Limits", "Link",
    "LumpedCost", "Memory", "Mvm", "Packaging", "PerOperationEnergy", "Program", "Range", "Read", "Utilisation",
    "VectorUnit", "Weight", "spec_fields",
]  # fmt: skip

EnergyBoundary = Literal["macro", "die", "package", "board", "wall"]
Composition = Literal["serial", "overlapped", "pipelined"]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Limits:
    """Limits that a design must keep."""

    __pydantic_config__ = CONFIG

    power_mw: Positive | None = None
    """Largest average power [mW]."""
    area_mm2: Positive | None = None
    """Largest silicon area [mm²]."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ArchitectureSpec:
    """What an architecture file says."""

    __pydantic_config__ = CONFIG

    name: str
    """Name shown in reports."""
    energy_boundary: EnergyBoundary
    """What the energy includes; results of different boundaries are not compared."""
    composition: Composition
    """How times combine. ``serial``: one group after the other; ``overlapped``: groups side by side within the experts
    stage; ``pipelined``: also micro-batches side by side, on whatever group is free."""
    micro_batches: Annotated[Quantity, Number(ge=2, integer=True)] | None = None
    """Parts that a batch runs in, at most one per sequence (``pipelined`` only; the others run the batch as one)."""
    dies: Annotated[tuple[Die, ...], Field(min_length=1)]
    """Dies of the machine."""
    packaging: Packaging = field(default_factory=Packaging)
    """Dies per package and per wafer."""
    analog_cores: tuple[AnalogCore, ...] = ()
    """Analog core groups."""
    digital_units: tuple[DigitalUnit, ...] = ()
    """Digital unit groups; at least one, for attention scores, norms and routing, unless ``energy_boundary: macro``."""
    memories: tuple[Memory, ...] = ()
    """Memories."""
    links: tuple[AnyLink, ...] = ()
    """Links between dies, and networks within a die."""
    limits: Limits = field(default_factory=Limits)
    """Limits of power and area."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Architecture(ArchitectureSpec):
    """An architecture ready to be evaluated: the spec, the origin of each value, a digest as identity."""

    provenance: Mapping[str, Provenance] = field(default_factory=dict, repr=False)
    """Dotted path of a value → where it comes from."""
    digest: str = ""
    """sha256 over all values; equal digests mean equal architectures."""

    def with_values(self, values: Mapping[str, ArrayLike | str | Device]) -> Architecture:
        """A copy with other values at dotted paths, e.g. ``{"analog_cores.pcm.adc.bits": [6, 7, 8]}``.

        Args:
            values: path → number, text, array with one entry per design point, or (for
                ``analog_cores.NAME.device``) a device, its file or its shipped name.

        Raises:
            SpecError: unknown path, a value its field does not allow, or a broken rule between values.
        """
        read = {
            path: load_device(value) if path.endswith(".device") and isinstance(value, str) else value
            for path, value in values.items()
        }
        changed = with_values(self, read, roots=tuple(spec_fields(self)))
        refuse(architecture_violations(changed))
        origins = dict(self.provenance) | {path: Provenance(file=OVERRIDE) for path in values}
        return dataclasses.replace(changed, provenance=origins, digest=digest_of(spec_fields(changed)))

    def die(self, name: str) -> Die:
        """The die of that name."""
        return next(die for die in self.dies if die.name == name)

    def memory(self, name: str) -> Memory:
        """The memory of that name."""
        return next(memory for memory in self.memories if memory.name == name)

    def core(self, name: str) -> AnalogCore:
        """The analog core group of that name."""
        return next(core for core in self.analog_cores if core.name == name)

    def unit(self, name: str) -> DigitalUnit:
        """The digital unit group of that name."""
        return next(unit for unit in self.digital_units if unit.name == name)

    def n_built_tiles(self, core: AnalogCore) -> Quantity:
        """Tiles of an analog core group in the whole machine, spares included."""
        return core.tiles_per_die * self.die(core.die).count

    def n_tiles(self, core: AnalogCore) -> Quantity:
        """Tiles of an analog core group in the whole machine that hold weights."""
        return core.working_tiles_per_die * self.die(core.die).count

    def n_crossbars(self, core: AnalogCore) -> Quantity:
        """Crossbars of an analog core group in the whole machine."""
        return self.n_tiles(core) * core.tiers_per_tile

    def n_units(self, unit: DigitalUnit) -> Quantity:
        """Units of a digital group in the whole machine."""
        return unit.units_per_die * self.die(unit.die).count

    def link_between(self, first: str, second: str) -> Link | None:
        """The link that joins two kinds of dies, in either direction, or None."""
        links = (link for link in self.links if isinstance(link, Link))
        return next((link for link in links if {link.from_, link.to} == {first, second}), None)

    def network_within(self, die: str) -> DieNetwork | None:
        """The network within a kind of die, or None."""
        networks = (network for network in self.links if isinstance(network, DieNetwork))
        return next((network for network in networks if network.within == die), None)


def spec_fields(spec: ArchitectureSpec) -> dict[str, object]:
    """The fields an architecture file gives, by name."""
    return {f.name: getattr(spec, f.name) for f in dataclasses.fields(ArchitectureSpec)}
