"""Which workload fits on which architecture, by how much."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from dse.cost.option import Option, dense_precision
from dse.cost.table import CostTable, cost_table
from dse.spec.architecture import Architecture
from dse.units import BITS, at_point
from dse.workload.build import Workload


def fit(arch: Architecture, workload: Workload) -> dict[str, str | float | int]:
    """Capacity of one architecture against the need of one workload, dense blocks on the host unit.

    As many experts as there is room for go to analog tiles, the others to the host's memory: in the format of its
    dense weights, or in the widest of its narrower ones in which they fit.
    """
    costs = cost_table(arch, workload)
    unit = arch.unit(costs.host)
    dense_format = dense_precision(unit, workload)
    index = {c: i for i, c in enumerate(costs.classes)}
    classes = [(block.kind, index[block.block_class]) for block in workload.blocks]
    experts = [c for kind, c in classes if kind == "expert"]
    at_host = costs.options.index(Option(costs.host, dense_format))
    bytes_dense = float(sum(at_point(costs.of(c, at_host).units) for kind, c in classes if kind != "expert"))
    needed, available, most_analog = analog_room(arch, costs, experts)
    memory = float(costs.capacity_units[costs.resource[costs.host]][0])
    narrower = sorted((p for p in unit.precisions if BITS[p] <= BITS[dense_format]), key=lambda p: -BITS[p])
    for precision in (dense_format, *narrower):
        per_expert = at_point(costs.of(experts[0], costs.options.index(Option(costs.host, precision))).units)
        bytes_needed = bytes_dense + (len(experts) - most_analog) * per_expert
        if bytes_needed <= memory:
            break
    return {
        "architecture": arch.name,
        "workload": workload.name,
        "fits": "yes" if bytes_needed <= memory else "no",
        "analog_experts_fraction": most_analog / len(experts),
        "digital_experts_format": precision if most_analog < len(experts) else "",
        "crossbars_needed": needed,
        "crossbars_available": available,
        "memory_needed_bytes": bytes_needed,
        "memory_available_bytes": memory,
    }


def analog_room(arch: Architecture, costs: CostTable, experts: Sequence[int]) -> tuple[int, int, int]:
    """Crossbars that all experts need on the first analog group, crossbars there are in all, experts that fit."""
    room = needed = available = 0
    for core in arch.analog_cores:
        option = costs.options.index(Option(core.name, "analog"))
        per_expert = int(at_point(costs.of(experts[0], option).units))
        have = int(costs.capacity_units[core.name][0])
        needed = needed or per_expert * len(experts)
        available += have
        room += have // per_expert
    return needed, available, min(room, len(experts))


def fits_table(architectures: Sequence[Architecture], workloads: Sequence[Workload]) -> pd.DataFrame:
    """One row per pair of architecture and workload; macros without a digital unit run none."""
    machines = [arch for arch in architectures if arch.digital_units]
    return pd.DataFrame([fit(arch, workload) for arch in machines for workload in workloads])


def share_text(need: float, have: float) -> str:
    """Need over have: in per cent, or as a factor from 10 on."""
    return f"{100 * need / have:.1f} %" if need < 10 * have else f"{need / have:.0f}x"


def fits_markdown(table: pd.DataFrame) -> str:
    """The table as Markdown."""
    lines = [
        "# Which shipped workload fits on which shipped architecture",
        "",
        "Dense blocks, KV cache and activations in the host unit's memory; as many experts as there is room for on",
        "analog tiles, the others in that memory, in the format of the dense weights or the widest narrower one in",
        "which they fit. Made by `dse examples --fits -o reports/fits.md`.",
        "",
        "| architecture | workload | fits | on analog | others | crossbars needed / there | memory needed / there |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in table.to_dict(orient="records"):
        crossbars, memory = "none", "the KV cache alone does not fit"
        need, have = row["crossbars_needed"], row["crossbars_available"]
        if have:
            crossbars = f"{need} / {have} ({share_text(need, have)})"
        need, have = row["memory_needed_bytes"], row["memory_available_bytes"]
        if have > 0:
            memory = f"{need / 1e9:.3f} / {have / 1e9:.3f} GB ({share_text(need, have)})"
        analog = f"{100 * row['analog_experts_fraction']:.1f} %"
        others = row["digital_experts_format"] or "–"
        cells = (row["architecture"], row["workload"], row["fits"], analog, others, crossbars, memory)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
