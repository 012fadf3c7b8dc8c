"""Pins: which core groups each block may use, by default and by the user's word."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from typing import Final, get_args

from dse.cost.option import host_unit
from dse.errors import Problem, SpecError
from dse.spec.architecture import Architecture
from dse.spec.suggest import did_you_mean
from dse.workload.blocks import BlockKind
from dse.workload.build import Workload

DENSE_KINDS: Final = ("attention", "router", "shared", "ffn", "head")
"""Kinds that every token visits; they go to the first digital unit unless a pin says otherwise."""
TECHNOLOGIES: Final = ("digital", "analog", "any")
WILDCARDS: Final = frozenset("*?[")

Groups = frozenset[str]


def resolve_pins(arch: Architecture, workload: Workload, pins: Mapping[str, str] | None = None) -> dict[str, Groups]:
    """Block name → groups it may use, for every block but the embedding.

    A key is a block kind (``attention``), a pattern (``layers.0.experts.*``) or a block name; a name wins over a
    pattern, a pattern over a kind, a kind over the default. A value is a group, or ``digital``, ``analog``, ``any``.
    Default: dense blocks (attention, router, shared, ffn, head) on the first digital unit, experts anywhere.

    Raises:
        SpecError: unknown group, kind or block, the embedding, or two pins of the same rank that contradict.
    """
    pins = pins or {}
    blocks = [block for block in workload.blocks if block.kind != "embedding"]
    names = {block.name for block in blocks}
    problems = check_pins(arch, names, pins)
    if problems:
        raise SpecError(problems)
    host = frozenset({host_unit(arch).name})
    by_kind: dict[str, Groups] = dict.fromkeys(DENSE_KINDS, host) | {"expert": groups_of(arch, "any")}
    by_kind |= {key: groups_of(arch, value) for key, value in pins.items() if key in by_kind}
    allowed = {block.name: by_kind[block.kind] for block in blocks}
    pinned_by: dict[str, str] = {}
    for pattern in (key for key in pins if key not in by_kind and WILDCARDS & set(key)):
        for name in fnmatch.filter(names, pattern):
            other = pinned_by.setdefault(name, pattern)
            if groups_of(arch, pins[other]) != groups_of(arch, pins[pattern]):
                problems.append(
                    Problem(f"{pattern!r} says {pins[pattern]}, {other!r} says {pins[other]}", f"pins.{name}")
                )
            allowed[name] = groups_of(arch, pins[pattern])
    if problems:
        raise SpecError(problems)
    allowed |= {key: groups_of(arch, value) for key, value in pins.items() if key in names}
    return allowed


def check_pins(arch: Architecture, names: set[str], pins: Mapping[str, str]) -> list[Problem]:
    """What is wrong with each pin on its own."""
    groups = [core.name for core in arch.analog_cores] + [unit.name for unit in arch.digital_units]
    kinds = get_args(BlockKind)
    problems = []
    for key, value in pins.items():
        path = f"pins.{key}"
        if key == "embedding":
            problems.append(Problem("the embedding is a look-up in the host's memory and is never placed", path))
        elif key not in kinds and key not in names and not (WILDCARDS & set(key) and fnmatch.filter(names, key)):
            problems.append(Problem(f"no block or kind of that name{did_you_mean(key, [*kinds, *names])}", path))
        if value not in groups and value not in TECHNOLOGIES:
            problems.append(Problem(f"unknown group {value!r}{did_you_mean(value, [*groups, *TECHNOLOGIES])}", path))
        elif not groups_of(arch, value):
            problems.append(Problem(f"{arch.name} has no {value} group", path))
    return problems


def groups_of(arch: Architecture, value: str) -> Groups:
    """The groups that the value of a pin stands for; a group named like a technology is meant itself."""
    analog = frozenset(core.name for core in arch.analog_cores)
    digital = frozenset(unit.name for unit in arch.digital_units)
    if value in analog | digital:
        return frozenset({value})
    return {"digital": digital, "analog": analog, "any": analog | digital}.get(value, frozenset())
