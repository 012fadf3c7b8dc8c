"""Intervals of the metrics and what they come from, as text."""

from __future__ import annotations

import textwrap
from typing import Final

from dse.evaluation.uncertainty import Uncertainty
from dse.report.names import metric
from dse.report.tables import align, interval_text, quantity_text, significant

UNITS: Final = {
    "energy_pj_per_token": "pj", "latency_ns_per_step": "ns", "tokens_per_s": "tokens_per_s",
    "tokens_per_j": "tokens_per_j", "power_mw": "mw", "area_mm2": "mm2",
}  # fmt: skip
NAMED: Final = 12
"""Inputs that are held fixed and listed; the others are counted."""
BAR: Final = 20
"""Characters of the longest bar on either side."""


def uncertainty_text(found: Uncertainty) -> str:
    """Low, nominal, high and 95 % interval of every metric, and what is held fixed."""
    rows = [
        [
            metric(row["metric"]).label,
            interval_text(row["nominal"], *found.interval(row["metric"]), UNITS[row["metric"]]),
            " to ".join(quantity_text(row[end], UNITS[row["metric"]]) for end in ("low", "high")),
        ]
        for row in found.summary().to_dict(orient="records")
    ]
    left_out = f" ({found.n_refused} more left out, whose values contradict each other)" if found.n_refused else ""
    said = (
        f"from the stated spreads of {len(found.spreads)} inputs, {len(found.samples)} samples{left_out}; at most: "
        "every input at the end of its spread that lowers, or raises, the metric"
    )
    lines = [align(rows, ["uncertainty", "nominal [95 % interval]", "at most"], right=()), wrapped(said)]
    if found.without_spread:
        first, more = found.without_spread[:NAMED], len(found.without_spread) - NAMED
        held = ", ".join(first) + (f" and {more} more (--json)" if more > 0 else "")
        lines.append(
            wrapped(
                f"held fixed, so that intervals are too narrow: assumed or of no evidence, without a spread: {held}"
            )
        )
    if found.not_sampled:
        paths = ", ".join(found.not_sampled)
        lines.append(wrapped(f"held fixed although a spread is stated (`dse whatif --set` evaluates others): {paths}"))
    return "\n".join(lines)


def tornado_text(found: Uncertainty, name: str) -> str:
    """One line per input, largest first: the metric with the input at its low and at its high end."""
    frame, nominal = found.tornado[found.tornado["metric"] == name], found.nominal[name]
    shown = quantity_text(nominal, UNITS[name])
    title = textwrap.fill(
        f"{metric(name).label}: {shown} at the stated inputs; each alone at either end of its spread",
        80, subsequent_indent="  ",
    )  # fmt: skip
    if frame.empty:
        return f"{title}\n  no input with a stated spread changes it"
    longest = frame["change_fraction"].max()
    lines = [title]
    for row in frame.to_dict(orient="records"):
        low, high = row["at_low"] / nominal - 1, row["at_high"] / nominal - 1
        lines.append(f"  {row['path']}: {significant(row['input_low'])} to {significant(row['input_high'])}")
        lines.append(f"    {100 * low:+8.1f} % {bar(low, high, longest)} {100 * high:+8.1f} %")
    return "\n".join(lines)


def bar(low: float, high: float, longest: float) -> str:
    """The change to the left and right of a middle line."""
    left, right = min(low, high, 0.0), max(low, high, 0.0)
    n_left, n_right = (round(BAR * abs(change) / longest) for change in (left, right))
    return " " * (BAR - n_left) + "█" * n_left + "|" + "█" * n_right + " " * (BAR - n_right)


def wrapped(text: str) -> str:
    """A sentence in 80 columns."""
    return textwrap.fill(text, 80, initial_indent="  ", subsequent_indent="  ")
