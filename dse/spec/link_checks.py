"""What must hold between links, networks and the dies they join."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from dse.spec.link import DieNetwork, Link
from dse.spec.violation import Violation, reference_violations

if TYPE_CHECKING:
    from dse.spec.analog_core import AnalogCore
    from dse.spec.architecture import ArchitectureSpec


def missing_link(spec: ArchitectureSpec, core: AnalogCore) -> Iterator[Violation]:
    """A core whose die is not joined to the die of the first digital unit, which hands vectors to all tiles."""
    if not spec.digital_units:
        return
    host = spec.digital_units[0]
    joined = [{link.from_, link.to} for link in spec.links if isinstance(link, Link)]
    if core.die == host.die or {core.die, host.die} in joined or core.die not in [die.name for die in spec.dies]:
        return
    example = (
        f"links: [{{from: {core.die}, to: {host.die}, latency_ns: …, bandwidth_bytes_per_ns: …, energy_pj_per_bit: …}}]"
    )
    message = f"no link joins die {core.die!r} to the die of the first digital unit, {host.name!r}; add {example}"
    yield Violation(("analog_cores", core.name, "die"), message)


def link_violations(spec: ArchitectureSpec, dies: Sequence[str]) -> Iterator[Violation]:
    """Every broken rule of the links and networks of an architecture."""
    seen: dict[frozenset[str], int] = {}
    for position, link in enumerate(spec.links):
        if isinstance(link, DieNetwork):
            yield from reference_violations(("links", position, "within"), link.within, dies, "die")
            ends = frozenset({link.within})
            if link.within in dies and all(core.die != link.within for core in spec.analog_cores):
                message = f"no analog core is on die {link.within!r}, so nothing uses the network; leave it out"
                yield Violation(("links", position), message)
            if ends in seen:
                yield Violation(("links", position), f"die {link.within!r} has a network already: links[{seen[ends]}]")
        else:
            for key, name in (("from", link.from_), ("to", link.to)):
                yield from reference_violations(("links", position, key), name, dies, "die")
            ends = frozenset({link.from_, link.to})
            yield from _itself(spec, link, position)
            yield from _unused(spec, link, position)
            yield from _one_link(link, position, seen.get(ends))
        seen.setdefault(ends, position)


def _itself(spec: ArchitectureSpec, link: Link, position: int) -> Iterator[Violation]:
    """A link between dies of one kind, over which a digital group on several of them exchanges activations."""
    if link.from_ != link.to:
        return
    if all(unit.die != link.to for unit in spec.digital_units):
        message = f"joins dies {link.to!r} to each other, but no digital unit is on them; leave it out"
        yield Violation(("links", position), message)
    elif any(np.all(np.asarray(die.count) == 1) for die in spec.dies if die.name == link.to):
        message = f"joins die {link.to!r} to itself, and there is one of it; leave it out, or give the die a count"
        yield Violation(("links", position), message)


def _unused(spec: ArchitectureSpec, link: Link, position: int) -> Iterator[Violation]:
    """A link between groups that hand nothing to each other, or a way of sharing vectors that nothing uses."""
    ends = {link.from_, link.to}
    if not spec.digital_units or len(ends) == 1:
        return
    host = spec.digital_units[0]
    analog, digital = ends & {core.die for core in spec.analog_cores}, ends & {unit.die for unit in spec.digital_units}
    if host.die not in ends and ends == analog | digital:
        message = (
            f"carries nothing: all vectors come from and go to die {host.die!r} of the first digital unit, "
            f"{host.name!r}; leave it out, or join one of its ends to that die"
        )
        yield Violation(("links", position), message)
    elif ends == digital and not analog - {host.die}:
        for key in (key for key, used in (("broadcast", link.broadcast), ("reduce", link.reduce == "die")) if used):
            message = "is modelled for dies with analog cores only, and there are none at its ends; leave it out"
            yield Violation(("links", position, key), message)


def _one_link(link: Link, position: int, earlier: int | None) -> Iterator[Violation]:
    if earlier is not None:
        message = f"joins the same dies as links[{earlier}]; a link serves both directions"
        yield Violation(("links", position), message)
    if link.reduce == "die" and link.add_pj is None:
        message = "die needs the energy of an addition there; add add_pj: … [pJ], or write reduce: host"
        yield Violation(("links", position, "reduce"), message)
