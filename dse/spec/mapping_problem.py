"""A mapping problem of the user's own: groups, blocks with their costs, an objective and limits, as a JSON file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field

from dse.spec.quantity import CONFIG, Number

LARGEST = 1e30
"""Largest number: beyond it solvers lose every other one beside it."""
Amount = Annotated[float, Number(ge=0, le=LARGEST)]
Score = Annotated[float, Number(ge=-LARGEST, le=LARGEST)]
AtLeastOne = Annotated[int, Number(ge=1, integer=True)]
PerGroup = Mapping[str, Amount]
Pair = Annotated[tuple[str, ...], Field(min_length=2, max_length=2)]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ProblemGroup:
    """A group of identical cores."""

    __pydantic_config__ = CONFIG

    name: str
    """Name that blocks and limits use."""
    kind: Literal["analog", "digital"]
    """Scores count on analog groups."""
    count: AtLeastOne = 1
    """Cores of the group; they share its work evenly."""
    capacity_units: Amount | None = None
    """Capacity of the whole group in the unit of the blocks' ``units``; absent: not limited."""
    noise_factor: Amount = 1.0
    """Factor on the sensitivity of blocks on an analog group."""
    memory: str | None = None
    """Memory that holds the bytes of the group's blocks; absent: one of the group's own name."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ProblemOption:
    """One way to place a block (format 2)."""

    __pydantic_config__ = CONFIG

    group: str
    """Core group."""
    precision: str = ""
    """Format of the weights: ``analog``, fp16, int8, …; absent: ``analog`` or ``digital``, as the group is."""
    copies: AtLeastOne = 1
    """Copies of the block."""
    units: Amount = 0.0
    """Capacity units, of all copies."""
    bytes: Amount = 0.0
    """Bytes in the memory of the group [byte]."""
    energy_pj_per_token: Amount = 0.0
    """Energy per token [pJ]."""
    busy_ns_per_token: Amount = 0.0
    """Work of the group per token, before it is shared by its cores [ns]."""
    sensitivity: Score = 0.0
    """What the option adds to the sensitivity; no noise factor is applied."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ProblemBlock:
    """A block to place."""

    __pydantic_config__ = CONFIG

    name: str
    """Name, e.g. ``layers.3.experts.17``."""
    layer: Annotated[int, Number(ge=0, integer=True)] | None = None
    """Layer; absent: outside the layers, e.g. the head."""
    kind: str = "expert"
    """``expert`` counts in limits on experts."""
    visits_per_token: Amount | None = None
    """Uses per token; multiplies the costs of links between dies."""
    sensitivity: Score | Mapping[str, Score] | None = None
    """Score on analog groups, one number or one for each group."""
    units: PerGroup = field(default_factory=dict)
    """Group → capacity units."""
    bytes: PerGroup = field(default_factory=dict)
    """Group → bytes in its memory [byte]."""
    energy_pj_per_token: PerGroup = field(default_factory=dict)
    """Group → energy per token [pJ]."""
    busy_ns_per_token: PerGroup = field(default_factory=dict)
    """Group → work per token, before the group's cores share it [ns]."""
    allowed_groups: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """Groups that may hold the block; absent: any."""
    options: Annotated[tuple[ProblemOption, ...], Field(min_length=1)] | None = None
    """Ways to place it (format 2), instead of numbers by group."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LinkCost:
    """What a visit costs between two dies."""

    __pydantic_config__ = CONFIG

    energy_pj_per_visit: Amount = 0.0
    """Energy [pJ]."""
    busy_ns_per_visit: Amount = 0.0
    """Work added to the group that holds the block [ns]."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ProblemDie:
    """A die: the groups on it, the layers whose tokens come from it, and what it costs to reach others."""

    __pydantic_config__ = CONFIG

    name: str
    """Name that links use."""
    groups: tuple[str, ...]
    """Groups on the die."""
    layers: tuple[Annotated[int, Number(ge=0, integer=True)], ...] = ()
    """Layers whose tokens start and end here."""
    link: Mapping[str, LinkCost] = field(default_factory=dict)
    """Other die → cost of a visit of a block there by a token from here."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ProblemLimits:
    """Limits besides the capacities."""

    __pydantic_config__ = CONFIG

    max_sensitivity: Amount | None = None
    """Largest sum of scores on analog groups."""
    max_energy_pj_per_token: Amount | None = None
    """Largest energy per token [pJ]."""
    max_group_load_ns: Amount | None = None
    """Largest work of any group per token [ns]."""
    max_layer_latency_ns: Amount | None = None
    """Largest sum over the layers of their slowest group [ns]."""
    max_digital_experts: Amount | None = None
    """Most experts on digital groups."""
    max_digital_experts_per_layer: Amount | None = None
    """Most experts of one layer on digital groups."""
    max_units: PerGroup = field(default_factory=dict)
    """Group → most capacity units in use."""
    max_bytes: PerGroup = field(default_factory=dict)
    """Memory → most bytes."""
    max_blocks: PerGroup = field(default_factory=dict)
    """Group → most blocks."""
    together: tuple[Pair, ...] = ()
    """Pairs of blocks on one group."""
    apart: tuple[Pair, ...] = ()
    """Pairs of blocks on different groups."""
    dies: tuple[ProblemDie, ...] = ()
    """Dies with what a visit between them costs."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class MappingProblemSpec:
    """A mapping problem. Each block goes to exactly one of its options; a group's load is its work over its count."""

    __pydantic_config__ = CONFIG

    format: Literal[1, 2] = 1
    """1: numbers by group; 2: also options, objectives layer_latency and lexicographic, more limits."""
    groups: Annotated[tuple[ProblemGroup, ...], Field(min_length=1)]
    """Core groups."""
    blocks: Annotated[tuple[ProblemBlock, ...], Field(min_length=1)]
    """Blocks to place."""
    objective: Literal["sensitivity", "energy", "bottleneck", "weighted", "layer_latency", "lexicographic"]
    """What is minimised."""
    weights: Mapping[str, Amount] = field(default_factory=dict)
    """Metric → factor, for ``weighted``."""
    order: tuple[str, ...] = ()
    """Metrics from the most important one, for ``lexicographic``."""
    slack: Annotated[float, Number(ge=0, le=1)] = 1e-4
    """Share by which each metric of the order may get worse for the next."""
    limits: ProblemLimits = field(default_factory=ProblemLimits)
    """Limits besides the capacities."""
    id: str = ""
    """Name of the problem; ``FILE#id`` chooses one of several under ``instances``."""
    what: str = ""
    """What it shows."""
    note: str = ""
    """Remarks."""
    expected: Any = None
    """A known answer; not read."""
