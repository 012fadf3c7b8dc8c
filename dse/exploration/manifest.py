"""What a reader needs to know of a run: inputs, versions, counts, what is not modelled."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from collections.abc import Mapping as MappingABC
from typing import Any, Final

import numpy as np
import pandas as pd

from dse.cost.option import host_unit
from dse.cost.table import cost_table
from dse.cost.warnings import pair_warnings
from dse.evaluation.all_digital import all_digital_mapping
from dse.evaluation.ceiling import ceiling
from dse.evaluation.points import evaluate_points
from dse.exploration.inputs import data_files
from dse.exploration.points import DIGITAL_FRACTION
from dse.exploration.space import Space
from dse.exploration.study import SCHEMA_VERSION
from dse.mapping.model import Mapping
from dse.spec.architecture import AnalogCore, Architecture, DigitalUnit, FlatPower
from dse.workload.steps import scenario_facts

VECTOR_WORK: Final = "vector work: norms, softmax, activation functions, routing decisions, residual additions"
UNMODELLED: Final = (
    "the embedding look-up (its bytes count against memory capacity)",
    "drift of conductances between refreshes",
    "loss from the precision of digital experts",
)
"""What evaluation leaves out on every architecture, in words."""


def unmodelled(arch: Architecture) -> list[str]:
    """What evaluation leaves out on an architecture, in words."""
    host = host_unit(arch)
    return [
        *([] if host.vector else [f"{VECTOR_WORK} (the host has no vector unit)"]),
        *(f"{what} of {c.name} ({key} is left out)" for c in arch.analog_cores for key, what in unset(arch, c)),
        *(f"exchange between the dies of {u.name} (no link joins {u.die} to itself)" for u in unjoined(arch)),
        *(f"hand-off to {u.name} (no link joins {u.die} to {host.die})" for u in apart(arch, host)),
        *UNMODELLED,
    ]


def unjoined(arch: Architecture) -> Iterator[DigitalUnit]:
    """Digital groups on several dies that no link joins to each other."""
    for unit in arch.digital_units:
        if np.any(np.asarray(arch.die(unit.die).count) > 1) and arch.link_between(unit.die, unit.die) is None:
            yield unit


def apart(arch: Architecture, host: DigitalUnit) -> Iterator[DigitalUnit]:
    """Digital groups on another kind of die than the host that no link joins to it."""
    for unit in arch.digital_units:
        if unit.die != host.die and arch.link_between(unit.die, host.die) is None:
            yield unit


def unset(arch: Architecture, core: AnalogCore) -> Iterator[tuple[str, str]]:
    """Keys that a core leaves out, and what costs nothing therefore."""
    if core.idle is None:
        yield "idle", "idle power"
    if core.program is None:
        yield "program", "programming of the weights"
    if arch.network_within(core.die) is None:
        yield f"links: within: {core.die}", "traffic between tiles"


def space_manifest(
    space: Space, points: pd.DataFrame, scores: pd.DataFrame, n_points: int, mappings: MappingABC[str, Mapping]
) -> dict[str, Any]:
    """The manifest of a run."""
    arch, workload = space.architecture, space.workload
    counts = points["status"].value_counts().to_dict()
    pending = n_points - len(points)
    status_counts = {"ok": int(counts.get("ok", 0)), "infeasible": int(counts.get("infeasible", 0))}
    return {
        "schema_version": SCHEMA_VERSION,
        "title": space.title or f"{arch.name} x {workload.name}",
        "command": command_text(space),
        "dse_version": importlib.metadata.version("dse-moe"),
        "versions": {name: importlib.metadata.version(name) for name in ("numpy", "pandas", "pulp", "highspy")},
        "seed": space.seed,
        "architecture": {
            "name": arch.name,
            "digest": arch.digest,
            "composition": arch.composition,
            "energy_boundary": arch.energy_boundary,
        },
        "workload": {
            "name": workload.name,
            "digest": workload.digest,
            **scenario_facts(workload),
            "files": data_files(workload),
        },
        "axes": {path: list(values) for path, values in space.axes.items()},
        "metrics": dict(space.metrics),
        "limits": dict(space.limits),
        "mapping_policy": space.mapping.policy,
        "ranking": space.mapping.ranking,
        "n_points": n_points,
        "status_counts": status_counts | ({"pending": pending} if pending else {}),
        "accuracy_status": "score_only",
        "score": dict(scores.attrs),
        "energy_accounting": "flat power" if isinstance(host_unit(arch).energy, FlatPower) else "per operation",
        "unmodelled": unmodelled(arch),
        "warnings": list(pair_warnings(arch, workload)),
        "reference_point": reference_point(points),
        "ceiling": base_ceiling(space, mappings),
    }


def command_text(space: Space) -> str:
    """The command that repeats the run."""
    sets = " ".join(f"--set {path}={','.join(str(v) for v in values)}" for path, values in space.axes.items())
    parts = [f"dse explore {space.architecture.name} {space.workload.name}", sets]
    if space.mapping.policy == "optimal":
        parts.append(f"--policy optimal --objective {space.mapping.objective} --certify {space.mapping.certify}")
        parts += [f"--mapping-limit {name}={value:g}" for name, value in space.mapping.limits.items()]
    elif space.mapping.ranking != "per_layer":
        parts.append(f"--ranking {space.mapping.ranking}")
    parts += [f"--limit {name}={value:g}" for name, value in space.limits.items()]
    if space.accuracy is not None:
        scales = ",".join(f"{s:g}" for s in space.accuracy.scales)
        parts.append(
            f"--accuracy --draws {space.accuracy.draws} --candidates {space.accuracy.candidates} --scales {scales}"
        )
        parts.append(f"--tokens {space.accuracy.n_tokens} --items {space.accuracy.n_items}")
    return " ".join(part for part in [*parts, f"--seed {space.seed}"] if part)


def reference_point(points: pd.DataFrame) -> int | None:
    """The feasible point with the most digital experts; among those the fastest."""
    ok = points[points["status"] == "ok"]
    if ok.empty:
        return None
    if DIGITAL_FRACTION in ok:
        ok = ok[ok[DIGITAL_FRACTION] == ok[DIGITAL_FRACTION].max()]
    return int(ok.index[int(ok["tokens_per_s"].to_numpy().argmax())])


def base_ceiling(space: Space, mappings: MappingABC[str, Mapping]) -> dict[str, float]:
    """The ceiling of the base design under its most analog mapping; all-digital where there is none."""
    costs = cost_table(space.architecture, space.workload)
    all_digital = all_digital_mapping(space.architecture, space.workload)
    found = [*mappings.values(), all_digital]
    mapping = max(found, key=lambda m: sum(o.precision == "analog" for o in m.placement.values()))
    evaluation = evaluate_points(space.architecture, space.workload, mapping, costs)
    digital = evaluate_points(space.architecture, space.workload, all_digital, costs)
    return ceiling(space.architecture, space.workload, mapping, evaluation, costs, digital=digital)
