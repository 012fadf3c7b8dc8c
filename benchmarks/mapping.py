"""Time to map OLMoE's 1 024 experts: by the published rule, and with a proof."""

import time
from collections.abc import Callable

from dse.cost.table import cost_table
from dse.mapping.baseline import rule_mapping
from dse.mapping.pack import pack
from dse.mapping.solve import solve_mapping
from dse.sensitivity.options import option_scores
from dse.sensitivity.score import score_blocks
from dse.spec.load import load_architecture
from dse.workload.build import load_workload

CASES: dict[str, tuple[str, dict[str, float]]] = {
    "sensitivity, 16 digital experts per layer": ("sensitivity", {"max_digital_experts_per_layer": 16}),
    "sensitivity, energy limit": ("sensitivity", {"max_energy_pj_per_token": 1.3e10}),
    "energy": ("energy", {}),
    "energy, sensitivity share <= 0.3": ("energy", {"max_sensitivity_share": 0.3}),
    "energy, sensitivity share <= 0.8": ("energy", {"max_sensitivity_share": 0.8}),
    "energy, a fifth digital": ("energy", {"digital_fraction": 0.2}),
}


def rows() -> list[tuple[str, float, str]]:
    """What was measured, its value, its unit."""
    found: list[tuple[str, float, str]] = []
    arch = load_architecture("server_pcm3d")
    for name in ("olmoe", "olmoe_zipf"):
        workload = load_workload(name)
        scores, costs = score_blocks(workload), cost_table(arch, workload)
        options = option_scores(scores, workload, arch)
        rule_mapping(arch, workload, scores, costs=costs)
        found.append(
            (
                f"{name}: rule_mapping",
                seconds(lambda w=workload, s=scores, c=costs: rule_mapping(arch, w, s, costs=c)),
                "s",
            )
        )
        for case, (objective, limits) in CASES.items():
            begin = time.perf_counter()
            mapping = solve_mapping(costs, options, workload, arch, objective=objective, limits=limits, gap=1e-3)
            found.append((f"{name}: {case}", time.perf_counter() - begin, "s"))
            found.append((f"{name}: {case}, proven gap", mapping.gap, "-"))
    workload = load_workload("olmoe")
    analog = rule_mapping(arch, workload, score_blocks(workload), rule="all_analog")
    found.append(("olmoe: pack 24 576 slices", seconds(lambda: pack(analog, arch, workload)), "s"))
    return found


def seconds(run: Callable[[], object]) -> float:
    """Wall-clock time of one run [s]."""
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


if __name__ == "__main__":
    for label, value, unit in rows():
        print(f"{label:60} {value:10.3g} {unit}")
