"""Which value of the architecture an energy rests on, and where that value comes from."""

from __future__ import annotations

from typing import Final

import pandas as pd

from dse.cost.buffer import BUFFER
from dse.cost.crossbar_components import COMPONENTS
from dse.cost.option import host_unit
from dse.cost.tile import LUMPED, energy_source
from dse.evaluation.result import Evaluation
from dse.spec.architecture import Architecture
from dse.spec.provenance import Provenance, stated_origin
from dse.workload.build import Workload

UNIT_PATHS: Final = {
    BUFFER: "buffer.read_pj_per_bit",
    "vector work": "vector.op_pj",
    "flat power": "energy.power_mw",
}
"""Component → key of the digital unit that it is proportional to (activations also write to the buffer)."""


def energy_path(arch: Architecture, component: str, group: str) -> str:
    """Dotted path of the value that a component of the energy of a group is proportional to."""
    if component in (LUMPED, *COMPONENTS):
        return f"analog_cores.{group}.cost.{energy_source(arch.core(group), component)}"
    if component in UNIT_PATHS:
        return f"digital_units.{group}.{UNIT_PATHS[component]}"
    match component:
        case "weight memory" | "KV cache":
            return f"memories.{arch.unit(group).memory}.energy_pj_per_bit"
        case "links" | "die sums" | "exchange":
            return link_path(arch, component, group)
        case "network":
            return f"links.{arch.core(group).die}.energy_pj_per_bit_hop"
        case "wake-up":
            return f"analog_cores.{group}.idle.wake_pj"
        case "drift refresh":
            return f"analog_cores.{group}.program.energy_pj_per_cell"
        case "tiles on":
            return f"analog_cores.{group}.idle.on_mw"
        case "idle":
            return idle_path(arch, group)
        case "partial sums" if arch.unit(group).vector is not None:
            return f"digital_units.{group}.vector.op_pj"
        case _:
            return f"digital_units.{group}.energy.op_pj"


def link_path(arch: Architecture, component: str, group: str) -> str:
    """Dotted path of the energy of a link: from a group to the host, or between the group's own dies."""
    dies = {c.name: c.die for c in arch.analog_cores} | {u.name: u.die for u in arch.digital_units}
    own = dies[group]
    link = arch.link_between(own, own if component == "exchange" else host_unit(arch).die)
    return f"links.{link.name}.{'add_pj' if component == 'die sums' else 'energy_pj_per_bit'}" if link else "links"


def idle_path(arch: Architecture, group: str) -> str:
    """Dotted path of the idle power of a group: that of tiles which are off where they are gated."""
    core = next((core for core in arch.analog_cores if core.name == group), None)
    if core is None:
        return f"digital_units.{group}.energy.idle_mw"
    is_gated = core.idle is not None and core.idle.is_gated
    return f"analog_cores.{group}.idle.{'gated_mw' if is_gated else 'on_mw'}"


def origin_of(stated: Architecture | Workload, path: str) -> Provenance | None:
    """Origin of a value, or of the first value below a path."""
    found = stated_origin(stated.provenance, path)
    return found or next((p for name, p in stated.provenance.items() if name.startswith(path + ".")), None)


def sourced_breakdown(arch: Architecture, evaluation: Evaluation, point: int = 0) -> pd.DataFrame:
    """The breakdown of one design with path, file, line, evidence and source of the value behind each part."""
    frame = evaluation.breakdown(point)
    paths = [energy_path(arch, str(row["component"]), str(row["group"])) for row in frame.to_dict(orient="records")]
    origins = [origin_of(arch, path) or Provenance() for path in paths]
    return frame.assign(
        path=paths,
        evidence=[origin.evidence or "" for origin in origins],
        source=[origin.source or "" for origin in origins],
        file=[origin.file for origin in origins],
        line=pd.Series([origin.line for origin in origins], dtype=object),
    )


def assumed_fraction(breakdown: pd.DataFrame) -> float:
    """Share of the energy that rests on values whose evidence is ``assumed``, or that name none."""
    total = breakdown["energy_pj_per_token"].sum()
    assumed = breakdown["evidence"].isin(["assumed", ""])
    return float(breakdown.loc[assumed, "energy_pj_per_token"].sum() / total) if total else 0.0
