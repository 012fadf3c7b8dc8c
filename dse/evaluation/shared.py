"""Memories and links that several core groups use: groups that work side by side share their rate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from dse.spec.architecture import Architecture


def shared_memories(arch: Architecture) -> Mapping[str, str]:
    """Digital group → what it waits for of a memory that feeds other groups too."""
    users = Counter(unit.memory for unit in arch.digital_units)
    return {unit.name: f"{unit.memory} bandwidth" for unit in arch.digital_units if users[unit.memory] > 1}


def shared_links(arch: Architecture) -> Mapping[str, str]:
    """Analog group → what it waits for of the link and network of its die, where other groups are on it."""
    users = Counter(core.die for core in arch.analog_cores)
    return {core.name: f"{core.die} link bandwidth" for core in arch.analog_cores if users[core.die] > 1}
