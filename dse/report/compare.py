"""The comparison of two results as text."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any, Final

import pandas as pd

from dse.errors import Problem
from dse.exploration.compare import as_text, input_changes
from dse.exploration.outcome import Outcome
from dse.report.tables import MISSING, align, quantity_text

MOST_PARTS: Final = 12
"""Parts shown of one table; --json has all."""
MOST_CHARACTERS: Final = 16
"""Width of an input value."""
HEADS: Final = {
    "metric": "", "energy_pj_per_token": "energy per token", "time_ns_per_step": "time of the critical path",
    "area_mm2": "area", "bytes_per_token": "bytes per token",
}  # fmt: skip
UNITS: Final = {
    "energy_pj_per_token": "pj", "latency_ns_per_step": "ns", "time_ns_per_step": "ns", "tokens_per_s": "",
    "tokens_per_j": "", "area_mm2": "mm2", "power_mw": "mw", "bytes_per_token": "bytes",
}  # fmt: skip


def comparison_text(before: Outcome, after: Outcome, frame: pd.DataFrame, objections: Sequence[Problem]) -> str:
    """The result of ``dse compare``."""
    remarks = [f"NOTE {problem.message}" for problem in objections]
    if before.digital_energy_model != after.digital_energy_model:
        one, two = (o.digital_energy_model.replace("_", " ") for o in (before, after))
        remarks.append(f"NOTE digital energy is counted by {one} before and {two} after; they differ several-fold")
    head = [f"before: {before.name}", f"after:  {after.name}", *(textwrap.fill(r, 80) for r in remarks)]
    tables = [part_table(str(table), rows) for table, rows in frame.groupby("table", sort=False)]
    return "\n".join([*head, "", inputs_table(before, after), *(f"\n{table}" for table in tables if table)])


def inputs_table(before: Outcome, after: Outcome) -> str:
    """What differs in the inputs, by path; a part that one side has not at all in one line."""
    changes = input_changes(before, after)
    if not changes:
        known = before.inputs and after.inputs
        return "  inputs: no difference" if known else "  inputs: not stated by both results"
    rows: dict[str, list[str]] = {}
    for path, (old, new) in changes.items():
        part = ".".join(path.split(".")[:2])
        sides = [any(p == part or p.startswith(f"{part}.") for p in side.inputs) for side in (before, after)]
        if all(sides):
            rows[path] = [path, shown(old), shown(new)]
        else:
            count = sum(p == part or p.startswith(f"{part}.") for p in changes)
            said = shown(old if sides[0] else new) if count == 1 else f"{count} values"
            rows[part] = [part, *(said if there else MISSING for there in sides)]
    return align(list(rows.values()), ["differs in the inputs", "before", "after"], right=())


def shown(value: Any) -> str:
    """An input value short enough for its column, or a dash where there is none."""
    return MISSING if value is None else textwrap.shorten(as_text(value), MOST_CHARACTERS, placeholder="…")


def part_table(table: str, rows: pd.DataFrame) -> str:
    """The parts of one table, the largest changes first; metrics in their order."""
    is_metric = table == "metric"
    if not is_metric:
        rows = rows[(rows["before"] != 0) | (rows["after"] != 0)]
        rows = rows.iloc[rows["change"].abs().argsort(kind="stable")[::-1]].head(MOST_PARTS)
    cells = []
    for row in rows.to_dict(orient="records"):
        unit = UNITS[row["component"] if is_metric else table]
        numbers = [quantity_text(float(row[name]), unit) for name in ("before", "after", "change")]
        cells.append([row["component"], *numbers, relative(row["before"], row["after"])])
    return align(cells, [HEADS[table], "before", "after", "change", ""], right={1, 2, 3, 4}) if cells else ""


def relative(before: float, after: float) -> str:
    """A change in per cent, from tenfold on as a factor."""
    if before == after:
        return "="
    if not before:
        return "new"
    ratio = after / before
    return f"{100 * (ratio - 1):+.1f} %".replace("-", "−") if ratio < 10 else f"{ratio:.3g}x"
