"""A mapping as text: how far it is proven, where the blocks are, what binds."""

from __future__ import annotations

from collections.abc import Mapping as MappingABC
from typing import Any

from dse.evaluation.result import Evaluation
from dse.mapping.model import Mapping
from dse.report.tables import align, quantity_text, significant
from dse.report.text import capacity_row, wrapped
from dse.units import at_point
from dse.workload.build import Workload


def mapping_text(mapping: Mapping, workload: Workload, share: float, evaluation: Evaluation) -> str:
    """The result of ``dse map``."""
    kinds = {block.name: block.kind for block in workload.blocks}
    frame = mapping.frame()
    frame["kind"] = frame["block"].map(kinds)
    columns = ["kind", "group", "precision", *(["copies"] if (frame["copies"] > 1).any() else [])]
    counts = frame.groupby(columns, sort=False).size().reset_index()
    rows = [[str(cell) for cell in row] for row in counts.itertuples(index=False, name=None)]
    used = [capacity_row(name, need, mapping.units_available[name]) for name, need in mapping.units_used.items()]
    return "\n".join(
        [
            wrapped(f"status: {mapping.status}; {objective_text(mapping)}"),
            wrapped(f"placed by: {mapping.solver}"),
            f"analog experts carry {100 * share:.1f} % of the experts' sensitivity",
            "",
            align(rows, ["blocks", *columns[1:], "number"], right={3, 4}),
            "",
            align(used, right={1, 3}),
            *(packing_line(packing) for packing in mapping.packing),
            wrapped("binding: " + (", ".join(mapping.binding) or "nothing")),
            wrapped(evaluation_line(evaluation)),
            *(wrapped(line) for line in robustness_lines(mapping)),
        ]
    )


def evaluation_line(evaluation: Evaluation) -> str:
    """What the mapping costs, what it waits for, and its busiest link."""
    link = None if evaluation.machine is None else evaluation.machine.worst_link
    busiest = "" if link is None else f"; busiest link {link.name}, {100 * link.load_fraction:.1f} % of the step"
    energy = quantity_text(at_point(evaluation.energy_pj_per_token), "pj")
    time = quantity_text(at_point(evaluation.latency_ns_per_step), "ns")
    return f"evaluated: {energy}/token, {time} a step, bound by {evaluation.binding}{busiest}"


def robustness_lines(mapping: Mapping) -> list[str]:
    """How sure the choice is; nothing where it was not asked for."""
    found = mapping.robustness
    if not found:
        return []
    fence = sorted(found["fence"], key=lambda name: abs(found["digital_share"][name] - 0.5))
    unsolved = found["n_infeasible"] + found["n_unsolved"]
    first = ", ".join(f"{name} ({100 * found['digital_share'][name]:.0f} %)" for name in fence[:4])
    more = f", and {len(fence) - 4} more" if len(fence) > 4 else ""
    samples = f"{found['n_samples']} samples, scores off by {100 * found['score_spread']:g} %"
    lost = f"; {found['n_infeasible']} without a mapping, {found['n_unsolved']} not solved in time" if unsolved else ""
    stays = f"{100 * found['agreement']:.1f} % of the placements stay"
    unsure = f"{len(fence)} of {len(found['digital_share'])} blocks are on the fence"
    named = f" (digital in): {first}{more}" if fence else ""
    inputs = f"{len(found['inputs'])} inputs of the machine by their spreads"
    return [f"robustness: {samples}, {inputs}{lost}; {stays}, {unsure}{named}"]


def packing_line(packing: MappingABC[str, Any]) -> str:
    """How full the tiles of a group are, how evenly they work, and over how many dies a token spreads."""
    p = packing
    dies = "" if p["dies_per_token"] is None else f", the experts of a token on {significant(p['dies_per_token'])}"
    n_stages = len(p["stages"])
    where = (
        f"{significant(p['peak_visits'] / n_stages)} times a stage on average ({n_stages} stages a step)"
        if n_stages
        else f"{significant(p['peak_visits'])} times a step, over all layers"
    )
    return wrapped(
        f"packed {p['group']}: {p['slices']} of {p['crossbars']} crossbars on {p['tiles_used']} of {p['tiles']} tiles, "
        f"{p['dies_used']} of {p['dies']} dies; a block is on {significant(p['dies_per_block'])} dies{dies}; "
        f"the busiest tile is visited {where}; gap of the packing {100 * p['gap']:.3g} %"
    )


def problem_text(mapping: Mapping) -> str:
    """The result of ``dse map --problem``."""
    counts = mapping.frame().groupby(["group", "precision", "copies"], sort=False).size().reset_index()
    rows = [[str(cell) for cell in row] for row in counts.itertuples(index=False, name=None)]
    metrics = [[name, significant(value)] for name, value in mapping.metrics.items()]
    limits = [
        [str(check["limit"]), significant(check["need"]), "of", significant(check["have"]), str(check["unit"])]
        for check in mapping.limits
    ]
    return "\n".join(
        [
            wrapped(f"status: {mapping.status}; {objective_text(mapping)}"),
            wrapped(f"placed by: {mapping.solver}"),
            "",
            align(rows, ["group", "precision", "copies", "blocks"], right={2, 3}),
            "",
            align(metrics, right={1}),
            "",
            align(limits, right={1, 3}),
            wrapped("binding: " + (", ".join(mapping.binding) or "nothing")),
        ]
    )


def objective_text(mapping: Mapping) -> str:
    """What was minimised, its value and how far that is proven."""
    is_energy = mapping.objective == "energy_pj_per_token"

    def number(value: float) -> str:
        return quantity_text(value, "pj") + "/token" if is_energy else significant(value)

    if mapping.status == "rule":
        return f"rule {mapping.objective} leaves a sensitivity of {number(mapping.value)}; no optimum is claimed"
    least = f"least {'energy' if is_energy else mapping.objective} found {number(mapping.value)}"
    if mapping.bound == float("-inf"):
        return f"{least}; no bound"
    return f"{least}; proven bound {number(mapping.bound)}; gap {100 * mapping.gap:.3g} %"
