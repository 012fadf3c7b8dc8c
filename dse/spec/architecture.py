"""An accelerator: dies, analog cores, digital units, memories, links, limits."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from numpy.typing import ArrayLike
from pydantic import Field

from dse.spec.analog_core import Adc, AnalogCore, Dac, Idle, Range, Read, Weight
from dse.spec.checks import architecture_violations
from dse.spec.core_cost import ComponentsCost, LumpedCost, Mvm
from dse.spec.device import Device
from dse.spec.device_file import load_device, refuse
from dse.spec.digest import digest_of
from dse.spec.digital_unit import DigitalUnit, FlatPower, Memory, PerOperationEnergy, Utilisation, VectorUnit
from dse.spec.node import OVERRIDE
from dse.spec.provenance import Provenance
from dse.spec.quantity import CONFIG, Count, NonNegative, Positive
from dse.spec.values import with_values
from dse.units import Quantity

__all__ = [
    "Adc", "AnalogCore", "Architecture", "ArchitectureSpec", "ComponentsCost", "Composition", "Dac", "Device", "Die",
    "DigitalUnit", "EnergyBoundary", "FlatPower", "Idle", "Limits", "Link", "LumpedCost", "Memory", "Mvm",
    "PerOperationEnergy", "Range", "Read", "Utilisation", "VectorUnit", "Weight", "spec_fields",
]  # fmt: skip

EnergyBoundary = Literal["macro", "die", "package", "board", "wall"]
Composition = Literal["serial", "overlapped"]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Die:
    """One kind of silicon die and how many of them are in the package."""

    __pydantic_config__ = CONFIG

    name: str
    """Name that cores, units and links refer to."""
    count: Count
    """Dies of this kind."""
    node_nm: Positive
    """Technology node [nm]."""
    fixed_area_mm2: NonNegative
    """Area of one die that no core or unit accounts for: pads, PHYs, control [mm²]."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Link:
    """A link between two kinds of dies; bandwidth per pair of dies."""

    __pydantic_config__ = CONFIG

    from_: Annotated[str, Field(alias="from")]
    """Die at one end."""
    to: str
    """Die at the other end."""
    latency_ns: NonNegative
    """Time of one crossing [ns]."""
    bandwidth_bytes_per_ns: Positive
    """Bandwidth of one pair of dies [byte/ns]."""
    energy_pj_per_bit: NonNegative
    """Energy of one transferred bit [pJ/bit]."""

    @property
    def name(self) -> str:
        """Name in paths: the two dies."""
        return f"{self.from_}-{self.to}"


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
    """How the times of core groups combine: one after the other, or side by side within the experts stage."""
    dies: Annotated[tuple[Die, ...], Field(min_length=1)]
    """Dies of the package."""
    analog_cores: tuple[AnalogCore, ...] = ()
    """Analog core groups."""
    digital_units: Annotated[tuple[DigitalUnit, ...], Field(min_length=1)]
    """Digital unit groups; at least one, for attention scores, norms and routing."""
    memories: Annotated[tuple[Memory, ...], Field(min_length=1)]
    """Memories."""
    links: tuple[Link, ...] = ()
    """Links between dies."""
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
        changed, _ = with_values(self, read, roots=tuple(spec_fields(self)))
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

    def n_tiles(self, core: AnalogCore) -> Quantity:
        """Tiles of an analog core group in the whole package."""
        return core.tiles_per_die * self.die(core.die).count

    def n_crossbars(self, core: AnalogCore) -> Quantity:
        """Crossbars of an analog core group in the whole package."""
        return self.n_tiles(core) * core.tiers_per_tile

    def n_units(self, unit: DigitalUnit) -> Quantity:
        """Units of a digital group in the whole package."""
        return unit.units_per_die * self.die(unit.die).count

    def link_between(self, first: str, second: str) -> Link | None:
        """The link that joins two kinds of dies, in either direction, or None."""
        return next((link for link in self.links if {link.from_, link.to} == {first, second}), None)


def spec_fields(spec: ArchitectureSpec) -> dict[str, object]:
    """The fields an architecture file gives, by name."""
    return {f.name: getattr(spec, f.name) for f in dataclasses.fields(ArchitectureSpec)}
