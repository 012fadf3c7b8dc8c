"""Limits that a mapping must keep besides the capacities of its problem."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, TypeAlias

from dse.errors import Problem, SpecError
from dse.mapping.instance import Instance
from dse.spec.suggest import did_you_mean

Pairs: TypeAlias = tuple[tuple[str, str], ...]
PerName: TypeAlias = Mapping[str, float]
LimitValue: TypeAlias = float | PerName | Sequence[Sequence[str]]


SHARES: Final = ("max_sensitivity_share", "digital_fraction")
PER_NAME: Final = ("max_units", "max_bytes", "max_blocks")
PAIRS: Final = ("together", "apart")


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingLimits:
    """Limits of one mapping task; None or empty: no limit."""

    max_sensitivity: float | None = None
    """Largest sum of scores that stays on analog cores [unit of the scores]."""
    max_loss_increase_nats: float | None = None
    """The same where scores are calibrated in nats: largest predicted increase of the loss [nats]."""
    max_sensitivity_share: float | None = None
    """Largest share of the experts' summed scores that stays on analog cores, in [0, 1]."""
    max_energy_pj_per_token: float | None = None
    """Largest energy per token [pJ]."""
    max_group_load_ns: float | None = None
    """Largest work of any group in a step [ns]."""
    max_layer_latency_ns: float | None = None
    """Largest sum over all stages of the time of their slowest group [ns]."""
    max_digital_ns: float | None = None
    """Largest work of any digital unit in a step [ns]."""
    max_power_mw: float | None = None
    """Largest mean power over a step [mW]."""
    max_area_mm2: float | None = None
    """Largest silicon of the crossbars in use [mm²]."""
    max_digital_experts: float | None = None
    """Most experts on digital units."""
    max_digital_experts_per_layer: float | None = None
    """Most experts of one layer on digital units."""
    digital_fraction: float | None = None
    """Share of all experts that is digital, exactly (rounded to a whole number of experts)."""
    max_units: PerName = field(default_factory=dict)
    """Resource (an analog group, a memory) → most capacity units in use, below its capacity."""
    max_bytes: PerName = field(default_factory=dict)
    """Memory → most bytes of weights."""
    max_blocks: PerName = field(default_factory=dict)
    """Core group → most blocks."""
    together: Pairs = ()
    """Pairs of blocks that share a core group."""
    apart: Pairs = ()
    """Pairs of blocks that do not share a core group."""

    def n_digital(self, n_experts: int) -> int | None:
        """Number of digital experts that ``digital_fraction`` asks for."""
        return None if self.digital_fraction is None else round(self.digital_fraction * n_experts)

    @property
    def paired(self) -> frozenset[str]:
        """Names of the blocks in pairs."""
        return frozenset(name for pair in (*self.together, *self.apart) for name in pair)


def read_limits(limits: Mapping[str, LimitValue] | MappingLimits | None) -> MappingLimits:
    """Limits from a plain mapping of names to numbers, names to numbers by group or memory, or pairs of blocks.

    Raises:
        SpecError: unknown limit, a negative or undefined number, a share above 1, a pair that is none.
    """
    if isinstance(limits, MappingLimits):
        return limits
    known = [field.name for field in dataclasses.fields(MappingLimits)]
    problems = []
    values: dict[str, object] = {}
    for name, value in (limits or {}).items():
        place = f"limits.{name}"
        if name not in known:
            problems.append(Problem(f"unknown limit{did_you_mean(name, known)} (limits: {', '.join(known)})", place))
        elif name in PAIRS:
            problems += check_pairs(value, place)
            values[name] = value if problems else tuple((str(a), str(b)) for a, b in value)  # type: ignore[union-attr]
        elif name in PER_NAME:
            entries = value if isinstance(value, Mapping) else {}
            if not isinstance(value, Mapping):
                problems.append(Problem(f"expected names with numbers, e.g. {{npu: 3}} (got {value!r})", place))
            problems += [p for key, number in entries.items() for p in check_number(number, f"{place}.{key}")]
            values[name] = MappingProxyType(dict(entries))
        else:
            found = check_number(value, place)
            if not found and name in SHARES and float(value) > 1:  # type: ignore[arg-type]
                found.append(Problem(f"expected a share within [0, 1] (got {value})", place))
            problems += found
            values[name] = value
    if problems:
        raise SpecError(problems)
    return MappingLimits(**values)  # type: ignore[arg-type]


def with_calibrated_limit(limits: MappingLimits, unit: object) -> MappingLimits:
    """A limit in nats as one on the sum of scores, which are in nats themselves.

    Raises:
        SpecError: the scores are in another unit.
    """
    most = limits.max_loss_increase_nats
    if most is None:
        return limits
    if unit != "nats":
        message = (
            "scores say which experts suffer more, not by how many nats: give a scores file whose unit is nats "
            "(sensitivity: {file: scores.csv}), or limit max_sensitivity_share"
        )
        raise SpecError([Problem(message, "limits.max_loss_increase_nats")])
    known = limits.max_sensitivity
    most = most if known is None else min(known, most)
    return dataclasses.replace(limits, max_sensitivity=most, max_loss_increase_nats=None)


def check_number(value: object, place: str) -> list[Problem]:
    """Whether a limit is a finite number of at least 0."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not (math.isfinite(value) and value >= 0):
        return [Problem(f"expected a number >= 0 (got {value})", place)]
    return []


def check_pairs(value: object, place: str) -> list[Problem]:
    """Whether a limit is a list of pairs of different block names."""
    pairs = list(value) if isinstance(value, list | tuple) else [value]
    return [
        Problem(f"expected two different block names (got {pair!r})", f"{place}[{index}]")
        for index, pair in enumerate(pairs)
        if not (isinstance(pair, list | tuple) and len({str(name) for name in pair}) == len(pair) == 2)
    ]


def require_known_names(instance: Instance, limits: MappingLimits) -> None:
    """Refuses limits on groups, memories and blocks that the problem does not have, and pairs that contradict.

    Raises:
        SpecError: every such name with its place.
    """
    memories = sorted({name for name in instance.memory if name})
    tables: tuple[tuple[str, PerName, Collection[str]], ...] = (
        ("max_units", limits.max_units, instance.resources),
        ("max_bytes", limits.max_bytes, memories),
        ("max_blocks", limits.max_blocks, instance.groups),
    )
    problems = [
        Problem(f"unknown name{did_you_mean(key, names)} (known: {', '.join(names)})", f"limits.{limit}.{key}")
        for limit, entries, names in tables
        for key in entries
        if key not in names
    ]
    blocks = set(instance.names)
    for limit, pairs in (("together", limits.together), ("apart", limits.apart)):
        problems += [
            Problem(f"no block of that name{did_you_mean(name, blocks)}", f"limits.{limit}[{index}]: {name}")
            for index, pair in enumerate(pairs)
            for name in pair
            if name not in blocks
        ]
    both = {frozenset(pair) for pair in limits.together} & {frozenset(pair) for pair in limits.apart}
    problems += [
        Problem(f"{' and '.join(sorted(pair))} are asked to be together and apart; drop one", "limits") for pair in both
    ]
    if problems:
        raise SpecError(problems)
