"""The page of the reference machines: what each is, where its numbers come from, what holds it back."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from dse.cost.package import die_counts, n_packages
from dse.evaluation.source import assumed_fraction, sourced_breakdown
from dse.exploration.design import design
from dse.report.tables import quantity_text, significant
from dse.spec.architecture import Architecture
from dse.spec.load import load_architecture
from dse.spec.shipped import shipped_root
from dse.units import at_point
from dse.workload.build import load_workload

MACHINES: Final[Mapping[str, tuple[str, ...]]] = {
    "server_pcm3d": ("olmoe", "olmoe_batch1"),
    "edge_pcm3d": ("olmoe_batch1", "olmoe_batch1 at int4", "olmoe_zipf"),
    "rack_pcm3d_1t": ("kimi_k2", "deepseek_v3"),
    "hermes_2d": ("tiny_moe",),
    "h200_fp8": ("olmoe at fp8",),
    "h200x8_fp8": ("olmoe at fp8", "kimi_k2 at fp8"),
    "dimc_hbm": ("olmoe at fp8", "olmoe at int4"),
}
"""Machine → shipped workloads that it is shown with, and the format of their weights where it is another."""
EVIDENCE: Final = ("measured", "simulated", "derived", "assumed")
COMMAND: Final = "dse examples --machines -o arch_specs/README.md"


def machines_markdown() -> str:
    """The page, every figure evaluated anew."""
    head = [
        "# Reference machines",
        "",
        "What each machine is, where its numbers come from, and what holds it back: the least-energy mapping under",
        f"capacity, no accuracy limit; every figure by `{COMMAND}`.",
        "`dse show NAME` lists every value with its source, `dse explain NAME METRIC --workload W` opens a figure.",
    ]
    return "\n".join([*head, *(line for name in MACHINES for line in section(name))]) + "\n"


def section(name: str) -> list[str]:
    """One machine."""
    arch = load_architecture(name)
    figures = [row(arch, workload) for workload in MACHINES[name]]
    return [
        "", f"## {name}", "", *textwrap.wrap(head_comment(name), 116), "", origins_text(arch), "",
        "| workload | experts on tiles | step | tokens/s | tokens/J | power | on assumed values | best all-digital |",
        "|---|---|---|---|---|---|---|---|",
        *(cells for cells, _ in figures), "", *(sentence for _, sentence in figures),
    ]  # fmt: skip


def head_comment(name: str) -> str:
    """What the file says of itself."""
    path = Path(shipped_root()) / "arch_specs" / f"{name}.yaml"
    lines = path.read_text(encoding="utf-8").splitlines()
    said = [line.removeprefix("#").strip() for line in lines if line.startswith("#")]
    return " ".join(line for line in said if not line.startswith("yaml-language-server"))


def origins_text(arch: Architecture) -> str:
    """How many values are measured, simulated, derived and assumed; area, dies and energy boundary."""
    stated = [origin.evidence for origin in arch.provenance.values() if origin.evidence in EVIDENCE]
    counts = ", ".join(f"{stated.count(kind)} {kind}" for kind in EVIDENCE if kind in stated)
    dies = die_counts(arch)
    kinds = ", ".join(
        f"{at_point(die.count):g} {die.name} of {quantity_text(at_point(die.area_mm2), 'mm2')}" for die in dies
    )
    packages, wafers = at_point(n_packages(arch)), sum(at_point(die.wafers) for die in dies)
    silicon = f"{kinds}; {packages:g} package{'' if packages == 1 else 's'}, {significant(wafers)} wafers"
    return (
        f"Values: {counts}. Dies: {silicon}. Energy boundary: {arch.energy_boundary}; composition: {arch.composition}."
    )


def row(arch: Architecture, name: str) -> tuple[str, str]:
    """The table row of one workload, and the sentence on what holds the machine back."""
    shipped, _, weights = name.partition(" at ")
    workload = load_workload(shipped, {"scenario.precision.weights": weights} if weights else {})
    found = design(arch, workload)
    e, mapping, kinds = found.evaluation, found.mapping, {block.name: block.kind for block in workload.blocks}
    experts = [option for block, option in mapping.placement.items() if kinds[block] == "expert"]
    on_tiles = sum(option.precision == "analog" for option in experts) / len(experts)
    assumed = assumed_fraction(sourced_breakdown(arch, e))
    best = e.best_digital
    versus = "none fits" if best is None or best.tokens_per_j is None else (
        f"{best.name}: {significant(best.tokens_per_j / at_point(e.tokens_per_j))}x tokens/J"
    )  # fmt: skip
    cells = [name, f"{100 * on_tiles:.0f} %", quantity_text(at_point(e.latency_ns_per_step), "ns"),
             significant(at_point(e.tokens_per_s)), significant(at_point(e.tokens_per_j)),
             quantity_text(at_point(e.power_mw), "mw"), f"{100 * assumed:.0f} %", versus]  # fmt: skip
    binding = str(e.binding)
    share = at_point(e.critical_ns[binding]) / at_point(e.latency_ns_per_step) if binding in e.critical_ns else 1.0
    first = e.breakdown().iloc[0]
    part = first["energy_pj_per_token"] / at_point(e.energy_pj_per_token)
    limit = e.ceiling["speedup_limit"] / e.ceiling["speedup"] if e.ceiling else 1.0
    sentence = (
        f"- {name}: held back by {binding} ({100 * share:.0f} % of the step); {first['component']} of {first['group']} "
        f"is {100 * part:.0f} % of the energy; experts at no cost would make it {significant(limit)}x as fast."
    )
    return f"| {' | '.join(cells)} |", sentence
