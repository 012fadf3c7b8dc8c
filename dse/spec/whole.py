"""Whether the value at a dotted path is a count, told from the spec classes alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dse.spec.architecture import ArchitectureSpec
from dse.spec.fields import Kind, fields_of
from dse.spec.scenario import WorkloadSpec


def takes_whole_numbers(path: str) -> bool:
    """Whether a path leads to a number that must be whole, in whatever class its file uses there.

    >>> takes_whole_numbers("analog_cores.pcm.adc.bits"), takes_whole_numbers("links.a-b.latency_ns")
    (True, False)
    """
    first, *steps = path.split(".")
    roots = (fields_of(spec_class).get(first) for spec_class in (ArchitectureSpec, WorkloadSpec))
    kinds = [root.kind for root in roots if root is not None]
    for step in steps:
        kinds = list(_inside(kinds, step))
    numbers = [kind.number for kind in kinds if kind.number is not None]
    return bool(numbers) and all(number.integer for number in numbers)


def _inside(kinds: Iterable[Kind], step: str) -> Iterator[Kind]:
    """What may stand one step further: an entry of a list or mapping by its name, or a field."""
    for kind in kinds:
        if kind.entries is not None:
            yield kind.entries
        for spec_class in kind.classes:
            field = fields_of(spec_class).get(step)
            if field is not None:
                yield field.kind
