"""Names of the scenarios of a mix whose file gives none."""

from __future__ import annotations

from dse.spec.node import Node, name_of


def with_scenario_names(root: Node) -> Node:
    """The tree of a workload in which every scenario of a mix has a name: its phase, with a number from the second on.

    ``decode``, ``prefill``, ``decode2``: in paths (``scenario.decode2.batch``) and in results.
    """
    given = root.value.get("scenario") if isinstance(root.value, dict) else None
    if given is None or not isinstance(given.value, list):
        return root
    assert isinstance(root.value, dict)
    taken = [name_of(entry) for entry in given.value]
    entries = []
    for entry in given.value:
        phase = entry.value.get("phase") if isinstance(entry.value, dict) else None
        if name_of(entry) is None and phase is not None and isinstance(phase.value, str):
            assert isinstance(entry.value, dict)
            name = next(n for n in (phase.value, *(f"{phase.value}{i}" for i in range(2, 10**6))) if n not in taken)
            taken.append(name)
            entry = entry.with_value({"name": phase.with_value(name), **entry.value})  # noqa: PLW2901
        entries.append(entry)
    return root.with_value({**root.value, "scenario": given.with_value(entries)})
