"""The machine behind a design as text: links, programming, dies."""

from __future__ import annotations

import textwrap

from dse.evaluation.machine import Machine
from dse.evaluation.programming import GroupProgramming
from dse.report.tables import quantity_text, significant
from dse.units import S_PER_YEAR, at_point


def machine_lines(machine: Machine) -> list[str]:
    """Worst link, dies of a token, programming, dies and wafers; lines of 80 columns."""
    lines = []
    if machine.worst_link is not None:
        link = machine.worst_link
        lines.append(f"worst link {link.name}: {100 * link.load_fraction:.1f} % of the step busy")
    for spread in machine.spreads:
        packed = "" if spread.packed is None else f", {significant(spread.packed)} as packed"
        n_dies, random = at_point(spread.n_dies), at_point(spread.at_random)
        if n_dies > 1:
            experts = f"{significant(spread.experts_per_token)} experts of a token on {spread.group}"
            lines.append(f"{experts}: on {significant(random)} of {n_dies:g} dies at random{packed}")
    lines += [programming_line(group) for group in machine.programming]
    dies = "; ".join(
        f"{at_point(die.count):.0f} x {die.name} of {quantity_text(at_point(die.area_mm2), 'mm2')}"
        for die in machine.dies
    )
    packages = f"{machine.packages:.0f} package{'' if machine.packages == 1 else 's'}"
    lines.append(f"silicon: {dies}; {packages}, {significant(machine.wafers)} wafers")
    return [textwrap.fill(line, 80, subsequent_indent="  ") for line in lines]


def programming_line(group: GroupProgramming) -> str:
    """Programming and refresh of one analog group in one sentence."""
    parts = [
        f"programming {group.group}: {group.crossbars:.0f} crossbars in {quantity_text(group.time_ns, 'ns')} "
        f"({group.bound_by}), {quantity_text(group.energy_pj, 'pj')}"
    ]
    if group.endurance_fraction is not None:
        parts.append(f"{100 * group.endurance_fraction:.3g} % of the endurance")
    if group.refresh_interval_s is not None:
        parts.append(
            f"refreshed every {group.refresh_interval_s:g} s: {quantity_text(group.refresh_power_mw, 'mw')}, "
            f"{100 * group.refresh_time_fraction:.3g} % of all time"
        )
    if group.lifetime_s is not None:
        parts.append(f"endurance lasts {lifetime_text(group.lifetime_s)}")
    return ", ".join(parts)


def lifetime_text(lifetime_s: float) -> str:
    """A lifetime in years from one year on.

    >>> lifetime_text(1.2e8), lifetime_text(3600)
    ('3.80 years', '3600 s')
    """
    years = lifetime_s / S_PER_YEAR
    return f"{significant(years)} years" if years >= 1 else quantity_text(lifetime_s, "s")
