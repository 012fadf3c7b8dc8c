"""``explain``: a metric as a tree of parts, each leaf with formula, stated values, their file, line and source."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from collections.abc import Mapping as MappingABC
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from dse.errors import SpecError
from dse.evaluation.formulas import AREA, TRAFFIC, WAITS, energy_formula, time_formula
from dse.evaluation.influence import influence
from dse.evaluation.leaf import EXACT, Opened, leaf
from dse.evaluation.source import energy_path, origin_of
from dse.evaluation.timeline import GroupTime, StageTime
from dse.evaluation.tree import UNSTATED, Input, Node, node_of_document
from dse.mapping.model import Mapping
from dse.spec.architecture import Architecture
from dse.spec.suggest import did_you_mean
from dse.spec.values import n_points
from dse.units import NS_PER_S, PJ_PER_J, Quantity, at_point, ratio
from dse.workload.build import Workload

# P = 1 + n inputs design points: the nominal design, then one with each input changed


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Explanation:
    """The trees of one design; every metric is one of them, or one over another."""

    energy: Node
    """Of a token."""
    latency: Node
    """Of a step."""
    area: Node
    traffic: Node
    """Bytes of a token."""
    waits: Node
    """What dependent products wait for others on shared tiles, in a step."""
    tokens_per_step: float
    serving_fraction: float = 1.0
    """Share of all time that is left beside drift refresh."""

    def tree(self, metric: str) -> Node:
        """The tree of a metric.

        Raises:
            SpecError: no such metric.
        """
        if metric not in METRICS:
            raise SpecError(f"unknown metric {metric!r}{did_you_mean(metric, METRICS)}")
        return METRICS[metric](self)

    def to_dict(self) -> dict[str, Any]:
        """The trees as JSON objects."""
        trees = {name: getattr(self, name).to_dict() for name in TREES}
        return {**trees, "tokens_per_step": self.tokens_per_step, "serving_fraction": self.serving_fraction}


def explanation_of_document(record: MappingABC[str, Any]) -> Explanation:
    """The explanation that ``to_dict`` wrote.

    Raises:
        KeyError, TypeError: it is none.
    """
    trees = {name: node_of_document(record[name]) for name in TREES}
    return Explanation(
        **trees,
        tokens_per_step=float(record["tokens_per_step"]),
        serving_fraction=float(record["serving_fraction"]),
    )


def explain_design(arch: Architecture, workload: Workload, mapping: Mapping) -> Explanation:
    """All trees of one design.

    The inputs of a leaf are found by evaluating the design once with each input changed, so that none is missing; the
    stated values that a leaf is proportional to are its factors, and what is left is the quantity they multiply.

    Raises:
        SpecError: architecture or workload stand for several design points, or do not fit the mapping.
    """
    if n_points(arch) > 1 or n_points(workload) > 1:
        raise SpecError("one design is explained at a time, the architecture or workload stands for several")
    design = Opened(arch=arch, workload=workload, influence=influence(arch, workload, mapping))
    evaluation = design.influence.evaluation
    return Explanation(
        energy=explain_energy(design),
        latency=explain_latency(design),
        area=explain_area(design),
        traffic=explain_bytes(design),
        waits=leaf(design, "waits", evaluation.contended_latency_ns - evaluation.latency_ns, "ns", WAITS),
        tokens_per_step=at_point(evaluation.tokens_per_step),
        serving_fraction=1.0 - at_point(evaluation.time_lost_fraction),
    )


def explain(arch: Architecture, workload: Workload, mapping: Mapping, metric: str) -> Node:
    """A metric of one design as a tree whose parts add up to it.

    Args:
        arch: architecture of one design.
        workload: workload of one design.
        mapping: placement of every block.
        metric: one of ``METRICS``.

    Raises:
        SpecError: no such metric, several design points, or a mapping of something else.
    """
    return explain_design(arch, workload, mapping).tree(metric)


def explain_energy(design: Opened) -> Node:
    """Energy of a token: by component, then by block kind and group."""
    evaluation, unit = design.influence.evaluation, "pJ/token"
    tokens = np.asarray(evaluation.tokens_per_step)
    by_component: dict[str, list[Node]] = {}
    for part, energy in evaluation.energy_parts_pj.items():
        path = energy_path(design.arch, part.component, part.group)
        name = f"{part.component}, {part.block_kind}, {part.group}"
        node = leaf(design, name, energy / tokens, unit, energy_formula(part.component), path=path)
        by_component.setdefault(part.component, []).append(node)
    parts = [
        nodes[0] if len(nodes) == 1 else total(component, nodes, unit) for component, nodes in by_component.items()
    ]
    return total("energy_pj_per_token", parts, unit)


def explain_latency(design: Opened) -> Node:
    """Time of a step: by stage, then by group and by what the group waits for; or by what the busiest resource does."""
    evaluation = design.influence.evaluation
    step = float(evaluation.latency_ns[0])
    children = stage_nodes(design)
    if abs(sum(child.value for child in children) - step) > EXACT * step:
        children = [
            leaf(design, name, time, "ns", time_formula(name)) for name, time in evaluation.critical_ns.items()
            if at_point(time) > 0
        ]  # fmt: skip
    return total("latency_ns_per_step", children, "ns")


def stage_nodes(design: Opened) -> list[Node]:
    """One node per stage of all layers; what is hidden behind a slower group is listed beside it."""
    stages = design.influence.evaluation.stages
    found = []
    for name in dict.fromkeys(stage.stage for stage in stages):
        waited: dict[str, Quantity] = {}
        hidden: dict[str, Quantity] = {}
        for stage in (s for s in stages if s.stage == name):
            slowest = slowest_group(stage)
            for group, time in stage.groups.items():
                counts = waited if not stage.side_by_side or group == slowest else hidden
                for resource, value in spent(time):
                    counts[resource] = counts.get(resource, 0.0) + stage.multiplicity * value
        nodes = [leaf(design, resource, value, "ns", time_formula(resource)) for resource, value in waited.items()]
        beside = [leaf(design, resource, value, "ns", time_formula(resource)) for resource, value in hidden.items()]
        found.append(total(f"{name} stage", nodes, "ns", hidden=tuple(beside)))
    return found


def slowest_group(stage: StageTime) -> str:
    """The group that the nominal design waits for."""
    return max(stage.groups, key=lambda group: at_point(stage.groups[group].total))


def spent(time: GroupTime) -> Iterator[tuple[str, Quantity]]:
    """The resource that a group waits for in the nominal design, and everything that adds to it."""
    bound = max(time.bound_by, key=lambda resource: at_point(time.bound_by[resource]))
    for resource, value in ((bound, time.bound_by[bound]), *time.added.items()):
        if at_point(value) != 0.0:
            yield resource, value


def explain_area(design: Opened) -> Node:
    """Silicon area by part and die."""
    parts = [
        leaf(design, f"{part.part}, {part.die}", part.area_mm2, "mm²", AREA)
        for part in design.influence.evaluation.area
    ]
    return total("area_mm2", [part for part in parts if part.value], "mm²")


def explain_bytes(design: Opened) -> Node:
    """Bytes per token by memory and by what is read; they follow from the model and what is chosen to run."""
    evaluation = design.influence.evaluation
    parts = []
    for (memory, what), moved in evaluation.traffic_bytes.items():
        values = moved / evaluation.tokens_per_step
        part = leaf(design, f"{what}, {memory}", values, "byte/token", TRAFFIC[what])
        chosen = chosen_inputs(design.workload, what)
        parts.append(
            dataclasses.replace(
                part, inputs=(*chosen, *part.inputs), is_chosen=True,
                primary=chosen[0].path, primary_origin=chosen[0].origin or UNSTATED,
            )
        )  # fmt: skip
    return total("bytes_per_token", parts, "byte/token")


def chosen_inputs(workload: Workload, what: str) -> tuple[Input, ...]:
    """The stated choices that bytes of a kind follow from: the model, and how its experts or numbers are taken."""
    precision = workload.scenario.precision
    value, path = {
        "dense weights": (precision.weights, "scenario.precision.weights"),
        "digital experts": (workload.routing.kind, "routing.kind"),
        "KV cache": (precision.kv_cache, "scenario.precision.kv_cache"),
    }[what]
    stated = {"model": workload.model.name, path: value}
    return tuple(Input(path=p, value=v, origin=origin_of(workload, p)) for p, v in stated.items())


def contended_latency_ns(found: Explanation) -> Node:
    """Time of a step, and what is waited for on shared tiles beyond it."""
    return total("contended_latency_ns_per_step", [n for n in (found.latency, found.waits) if n.value], "ns")


def tokens_per_s(found: Explanation) -> Node:
    """Tokens of a step over its time, less the time of drift refresh."""
    tokens = Node(name="tokens of a step", value=found.tokens_per_step, unit="", rule="product", is_chosen=True)
    return quotient("tokens_per_s", tokens, found.latency, "1/s", scale=found.serving_fraction * NS_PER_S)


def tokens_per_j(found: Explanation) -> Node:
    """One token over its energy."""
    one = Node(name="one token", value=1.0, unit="", rule="product", is_chosen=True)
    return quotient("tokens_per_j", one, found.energy, "1/J", scale=PJ_PER_J)


def power_mw(found: Explanation) -> Node:
    """Energy of a token times the tokens of a step, over the time of the step."""
    return quotient("power_mw", found.energy, found.latency, "mW", scale=found.tokens_per_step)


TREES: Final = ("energy", "latency", "area", "traffic", "waits")
METRICS: Final[dict[str, Callable[[Explanation], Node]]] = {
    "energy_pj_per_token": lambda found: found.energy,
    "latency_ns_per_step": lambda found: found.latency,
    "contended_latency_ns_per_step": contended_latency_ns,
    "tokens_per_s": tokens_per_s,
    "tokens_per_j": tokens_per_j,
    "power_mw": power_mw,
    "area_mm2": lambda found: found.area,
    "bytes_per_token": lambda found: found.traffic,
}
"""Metric → its tree."""


def total(name: str, parts: list[Node], unit: str, *, hidden: tuple[Node, ...] = ()) -> Node:
    """The sum of parts, largest first."""
    ordered = tuple(sorted(parts, key=lambda part: -part.value))
    return Node(name=name, value=sum(part.value for part in ordered), unit=unit, children=ordered, hidden=hidden)


def quotient(name: str, above: Node, below: Node, unit: str, *, scale: float = 1.0) -> Node:
    """One tree over another."""
    said = f"{above.name} / {below.name}" + (f" · {scale:g}" if scale != 1 else "")
    value = scale * ratio(above.value, below.value)
    return Node(name=name, value=value, unit=unit, rule="quotient", scale=scale, formula=said, children=(above, below))
