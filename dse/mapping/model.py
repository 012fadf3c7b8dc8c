"""A mapping: which core group holds each block, at which precision, in how many copies, and the proof."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping as MappingABC
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import pandas as pd

from dse.cost.option import Option
from dse.errors import SpecError

SCHEMA_VERSION = 1
TABLES: Final = ("blocks", "stages", "slices")
"""Fields of a mapping that are tables."""
Status = Literal["optimal", "within_gap", "time_limit", "rule"]
"""``rule``: the mapping follows a stated rule, no optimality is claimed."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Mapping:
    """Placement of every block but the embedding, with objective, bound and gap."""

    placement: MappingABC[str, Option]
    """Block name → option."""
    objective: str
    """Name of what was minimised, or of the rule."""
    value: float
    """Value of the objective, recomputed from the placement."""
    bound: float
    """Proven lower bound of the objective (−inf where none is claimed)."""
    status: Status
    """How far the answer is proven."""
    units_used: MappingABC[str, float] = field(default_factory=dict)
    """Group → capacity units in use (crossbars, or bytes)."""
    units_available: MappingABC[str, float] = field(default_factory=dict)
    """Group → capacity units there are; groups without a limit are left out."""
    binding: tuple[str, ...] = ()
    """Limits without slack, by name."""
    solver: str = ""
    """Solver and its version, or the rule."""
    digests: MappingABC[str, str] = field(default_factory=dict)
    """Input (architecture, workload, scores) → digest."""
    metrics: MappingABC[str, float] = field(default_factory=dict)
    """Sensitivity, energy_pj_per_token, group_load_ns and layer_latency_ns of the placement."""
    limits: tuple[MappingABC[str, Any], ...] = ()
    """Every capacity and limit: limit, need, have, unit."""
    energy_terms: MappingABC[str, float] = field(default_factory=dict)
    """What the energy per token holds besides the blocks: ``background_pj_per_token`` and
    ``standing_mw`` · step time / ``tokens_per_step``."""
    blocks: pd.DataFrame | None = None
    """block, kind, layer, units, bytes, sensitivity, energy_pj_per_token, busy_ns: what each block's option adds."""
    stages: pd.DataFrame | None = None
    """step, weight, micro_batches, layer, stage, side_by_side, group, time_ns: what the step time is made of."""
    robustness: MappingABC[str, Any] = field(default_factory=dict)
    """Share of samples in which each block is digital, and the blocks on the fence; empty where it was not asked for
    (``dse.evaluation.robustness``)."""
    packing: tuple[MappingABC[str, Any], ...] = ()
    """How well the slices of each analog group are packed (``pack.GroupPacking``); empty before packing."""
    slices: pd.DataFrame | None = None
    """block, matrix, i, j, copy, group, die, tile, tier: where each slice of an analog block is."""

    @property
    def gap(self) -> float:
        """(value − bound) / |value|; 0 for an exact proof, inf without a bound."""
        if self.bound == float("-inf"):
            return float("inf")
        return max(0.0, self.value - self.bound) / max(abs(self.value), 1e-300)

    def digital_blocks(self) -> frozenset[str]:
        """Names of the blocks that are on digital units."""
        return frozenset(name for name, option in self.placement.items() if option.precision != "analog")

    def frame(self) -> pd.DataFrame:
        """block, group, precision, copies: one row per block."""
        rows = [(name, *option) for name, option in self.placement.items()]
        return pd.DataFrame(rows, columns=["block", "group", "precision", "copies"])

    def to_dict(self) -> dict[str, Any]:
        """The content of ``mapping.json``."""
        record = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        record["placement"] = {name: option._asdict() for name, option in self.placement.items()}
        record["bound"] = None if self.bound == float("-inf") else self.bound
        record["gap"] = None if self.bound == float("-inf") else self.gap
        for name in TABLES:
            table = getattr(self, name)
            record[name] = None if table is None else table.to_dict(orient="list")
        return {"schema_version": SCHEMA_VERSION, **record}

    def save(self, path: str | Path) -> None:
        """Writes ``mapping.json``."""
        Path(path).write_text(json.dumps(self.to_dict(), indent=1) + "\n", encoding="utf-8")

    def _repr_html_(self) -> str:
        return self.frame().groupby(["group", "precision"], as_index=False).size().to_html(index=False)


def load_mapping(path: str | Path) -> Mapping:
    """Reads ``mapping.json``, or that of a folder.

    Raises:
        SpecError: the file is missing, is no JSON, or has another schema version.
    """
    path = Path(path) / "mapping.json" if Path(path).is_dir() else Path(path)
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SpecError(f"{path}: no such file; `dse map ARCH WORKLOAD -o {path}` writes one") from None
    except json.JSONDecodeError as error:
        raise SpecError(f"{path}:{error.lineno}:{error.colno}: not a JSON file: {error.msg}") from None
    if not isinstance(record, dict) or record.get("schema_version") != SCHEMA_VERSION:
        found = record.get("schema_version") if isinstance(record, dict) else None
        raise SpecError(f"{path}: expected a mapping with schema_version {SCHEMA_VERSION} (got {found})")
    try:
        placement = {name: Option(**option) for name, option in record["placement"].items()}
        values = {field.name: record[field.name] for field in dataclasses.fields(Mapping) if field.name in record}
        values |= {name: None if values.get(name) is None else pd.DataFrame(values[name]) for name in TABLES}
        values |= {name: tuple(values[name]) for name in ("binding", "limits", "packing") if name in values}
        values["bound"] = float("-inf") if record["bound"] is None else record["bound"]
        return Mapping(**values | {"placement": placement})
    except (KeyError, TypeError, AttributeError) as error:
        raise SpecError(f"{path}: not a complete mapping ({error}); write it again with `dse map`") from None
