"""What must hold between the values of a spec: names, references, precisions, links, noise."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from dse.spec.converter_range import range_violations
from dse.spec.cost_checks import cost_violations
from dse.spec.device_checks import device_violations, lowest_sigma
from dse.spec.link_checks import link_violations, missing_link
from dse.spec.model import Model
from dse.spec.model_checks import model_contradictions
from dse.spec.scenario_checks import scenario_violations
from dse.spec.upkeep_checks import upkeep_violations
from dse.spec.violation import Violation, reference_violations
from dse.spec.weight_checks import weight_violations
from dse.units import BITS

if TYPE_CHECKING:
    from dse.spec.architecture import ArchitectureSpec, DigitalUnit
    from dse.spec.scenario import Routing, WorkloadSpec

__all__ = ["Violation", "architecture_violations", "device_violations", "lowest_sigma", "workload_violations"]

_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_+-]*")


def architecture_violations(spec: ArchitectureSpec) -> Iterator[Violation]:
    """Every broken rule of an architecture."""
    groups = [
        ("analog_cores", [c.name for c in spec.analog_cores]),
        ("digital_units", [u.name for u in spec.digital_units]),
    ]
    for parts in (
        [("dies", [die.name for die in spec.dies])],
        [("memories", [memory.name for memory in spec.memories])],
        groups,
    ):
        yield from _names(parts)
    if not spec.digital_units and spec.energy_boundary != "macro":
        message = "needs at least one, for attention scores, norms, routing; only energy_boundary: macro has none"
        yield Violation(("digital_units",), message)
    dies = [die.name for die in spec.dies]
    for core in spec.analog_cores:
        yield from reference_violations(("analog_cores", core.name, "die"), core.die, dies, "die")
        yield from missing_link(spec, core)
        yield from cost_violations(core)
        yield from upkeep_violations(core)
        yield from weight_violations(core)
        yield from range_violations(core)
        yield from device_violations(core.device, ("analog_cores", core.name, "device"))
    for unit in spec.digital_units:
        yield from reference_violations(("digital_units", unit.name, "die"), unit.die, dies, "die")
        known = [memory.name for memory in spec.memories]
        yield from reference_violations(("digital_units", unit.name, "memory"), unit.memory, known, "memory")
        yield from _precisions(unit)
    yield from link_violations(spec, dies)
    if spec.composition == "pipelined" and spec.micro_batches is None:
        yield Violation(("composition",), "pipelined needs micro_batches: 2 or more, at most one per sequence")


def workload_violations(spec: WorkloadSpec, given: Iterable[str]) -> Iterator[Violation]:
    """Every broken rule of a workload; ``given`` are the dotted paths that the file states."""
    paths = set(given)
    yield from routing_violations(spec.routing, paths)
    if isinstance(spec.model, Model):
        for field, message in model_contradictions(spec.model):
            yield Violation(("model", field), message)
    if (spec.sensitivity.rule is None) == (spec.sensitivity.file is None):
        both = "not both" if spec.sensitivity.rule else "none is given"
        yield Violation(("sensitivity",), f"give exactly one of rule and file ({both})")
    yield from scenario_violations(spec.scenario, paths)


def routing_violations(routing: Routing, paths: Collection[str]) -> Iterator[Violation]:
    """Routing values that are missing for the kind, or have no meaning with it."""
    kind = routing.kind
    if kind == "zipf" and "routing.zipf_exponent" not in paths:
        yield Violation(("routing", "kind"), "zipf needs a zipf_exponent; add zipf_exponent: 1.0")
    if kind != "zipf" and np.any(np.asarray(routing.zipf_exponent) != 0):
        message = f"has no meaning with kind: {kind}; write kind: zipf or leave it out"
        yield Violation(("routing", "zipf_exponent"), message)
    if kind != "zipf" and np.any(np.asarray(routing.norm_load_rank_correlation) != 0):
        why = "all experts are equally busy" if kind == "uniform" else "the file says how busy each expert is"
        message = f"has no meaning with kind: {kind}, {why}; write kind: zipf or leave it out"
        yield Violation(("routing", "norm_load_rank_correlation"), message)
    if kind == "trace" and np.any(np.asarray(routing.correlation) != 0):
        message = "has no meaning with kind: trace, whose tokens are as correlated as they are; leave it out"
        yield Violation(("routing", "correlation"), message)
    if kind in ("measured", "trace") and routing.file is None:
        columns = "layer,expert,probability" if kind == "measured" else "token,layer,expert"
        yield Violation(("routing", "kind"), f"{kind} needs a file; add file: routing.csv with columns {columns}")
    if kind in ("uniform", "zipf") and routing.file is not None:
        message = f"has no meaning with kind: {kind}; write kind: measured or kind: trace, or leave it out"
        yield Violation(("routing", "file"), message)


def _names(parts: Sequence[tuple[str, Sequence[str]]]) -> Iterator[Violation]:
    seen: dict[str, str] = {}
    for key, names in parts:
        for position, name in enumerate(names):
            if not _NAME.fullmatch(name):
                message = f"a name is made of letters, digits, _, - and + (got {name!r})"
                yield Violation((key, position, "name"), message)
            if name in seen:
                message = f"name {name!r} is taken by {seen[name]}; core groups, dies and memories need their own"
                yield Violation((key, position, "name"), message)
            seen.setdefault(name, f"{key}[{position}]")


def _precisions(unit: DigitalUnit) -> Iterator[Violation]:
    steps = ("digital_units", unit.name)
    widest = max(BITS[precision] for precision in unit.peak_ops_per_ns)
    for position, precision in enumerate(unit.precisions):
        if BITS[precision] > widest:
            message = (
                f"{precision} weights need a precision of {BITS[precision]} bits or more in peak_ops_per_ns, "
                f"which lists {', '.join(unit.peak_ops_per_ns)}"
            )
            yield Violation((*steps, "precisions", position), message)
        if precision in unit.precisions[:position]:
            yield Violation((*steps, "precisions", position), f"{precision} is listed twice")
    if unit.energy.model == "per_operation":
        for precision in unit.peak_ops_per_ns:
            if precision not in unit.energy.op_pj:
                message = f"no energy for {precision}, which peak_ops_per_ns lists; add {precision}: … [pJ]"
                yield Violation((*steps, "energy", "op_pj"), message)
