"""The result of an exploration as aligned text for a terminal, 80 columns."""

from __future__ import annotations

from typing import Final

import pandas as pd

from dse.exploration.study import Study
from dse.report.tables import MISSING, align, quantity_text, significant
from dse.report.text import wrapped

MOST_POINTS: Final = 20
"""Points of the front that are listed."""
MOST_REASONS: Final = 5
"""Reasons of infeasibility that are listed."""
COLUMNS: Final = 80
AXIS_COLUMNS: Final = 7
"""Least width of the column of an axis."""

UNMEASURED = {
    "score_only": "accuracy not measured (score_only: no weights known)",
    "weights": "accuracy not measured (--accuracy measures it)",
}


def study_text(study: Study) -> str:
    """The result of ``dse explore``."""
    counts = ", ".join(f"{n} {status}" for status, n in study.manifest["status_counts"].items())
    head = f"{len(study.points)} points: {counts}; {len(study.front)} on the front; "
    if study.manifest["accuracy_status"] == "measured":
        head += "loss increase measured, with the half width of its 95 % interval"
    else:
        head += UNMEASURED["score_only" if study.manifest["score"].get("status") == "score_only" else "weights"]
    body = reasons_text(study.points) if study.front.empty else front_table(study)
    return f"{wrapped(head)}\n\n{body}"


def front_table(study: Study) -> str:
    """The points of the front with the least energy."""
    front, axes = study.front.sort_values("energy_pj_per_token"), list(study.manifest["axes"])
    with_accuracy = study.manifest["accuracy_status"] == "measured"
    names = ["energy/token", "tokens/s", "sens. %", *(["loss nats"] if with_accuracy else [])]
    rows = []
    for row in front.head(MOST_POINTS).reset_index().to_dict(orient="records"):
        values = [f"{row[a]:.4g}" if isinstance(row[a], float | int) else str(row[a]) for a in axes]
        energy, speed = quantity_text(row["energy_pj_per_token"], "pj"), significant(row["tokens_per_s"])
        cells = [energy, speed, f"{100 * row['sensitivity_share']:.1f}"]
        if with_accuracy:
            cells.append(loss_text(row["loss_increase_nats"], row["loss_increase_low"], row["loss_increase_high"]))
        rows.append([str(row["point"]), *values, *cells])
    fixed = [max(len(name), *(len(row[-i]) for row in rows)) + 2 for i, name in enumerate(reversed(names), 1)]
    room = (COLUMNS - len("  point") - sum(fixed)) // max(len(axes), 1) - 2
    titles = [shortened(axis.rsplit(".", 1)[-1], max(room, AXIS_COLUMNS)) for axis in axes]
    rows = [[row[0], *(shortened(v, max(room, AXIS_COLUMNS)) for v in row[1 : 1 + len(axes)]), *row[1 + len(axes) :]]
            for row in rows]  # fmt: skip
    more = f"\n  … and {len(front) - MOST_POINTS} more" if len(front) > MOST_POINTS else ""
    return align(rows, ["point", *titles, *names]) + more


def loss_text(mean: float, low: float, high: float) -> str:
    """A loss increase with the half width of its interval.

    >>> loss_text(0.0254, 0.0240, 0.0268)
    '0.0254 ±0.0014'
    """
    if pd.isna(mean):
        return MISSING
    return f"{mean:.4f} ±{(high - low) / 2:.4f}".replace("-", "−")


def shortened(text: str, size: int) -> str:
    """A text cut to a size.

    >>> shortened("digital_fraction", 8)
    'digital…'
    """
    return text if len(text) <= size else text[: size - 1] + "…"


def reasons_text(points: pd.DataFrame) -> str:
    """Why points are infeasible, the most frequent reasons first."""
    counts = points["reason"].value_counts().head(MOST_REASONS).reset_index().to_dict(orient="records")
    return "\n".join(["no design is feasible:", *(wrapped(f"  {r['count']} points: {r['reason']}") for r in counts)])
