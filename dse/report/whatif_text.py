"""Changes beside the base design, as text."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Hashable, Mapping
from typing import Any, Final

import pandas as pd

from dse.report.tables import align, quantity_text

COMPARED: Final = {"energy_pj_per_token": "pj", "latency_ns_per_step": "ns"}
"""Metric → unit; the other metrics but the area follow from these."""
UNKNOWN: Final = ("infeasible", "", "", "", "", "")


def whatif_text(frame: pd.DataFrame) -> str:
    """One line per design: its metrics, their change against the base, and what binds; a heading per input."""
    base, *others = frame.to_dict(orient="records")
    rows = [["base", *cells(base, None), f"{base['digital_experts']:.0f}", base["binding"]]]
    rows += [[f"  {value_text(row['value'])}", *(cells_of_change(row, base)), row["binding"]] for row in others]
    header = ["", "energy", "", "step time", "", "area", "dig.", "bound by"]
    title, first, *lines = align(rows, header, right={1, 2, 3, 4, 5, 6}).split("\n")
    said, path = [title, first], ""
    for row, line in zip(others, lines, strict=True):
        if row["path"] != path:
            path = str(row["path"])
            said.append(f"  {path}")
        said.append(line)
        if row["status"] != "ok":
            said.append(textwrap.fill(row["reason"], 80, initial_indent="      ", subsequent_indent="      "))
    return "\n".join(said)


def cells_of_change(row: Mapping[Hashable, Any], base: Mapping[Hashable, Any]) -> list[str]:
    """Each metric with its change, and the number of digital experts; or that there is no design."""
    return [*cells(row, base), f"{row['digital_experts']:.0f}"] if row["status"] == "ok" else list(UNKNOWN)


def value_text(value: object) -> str:
    """A value as it would be written."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def cells(row: Mapping[Hashable, Any], base: Mapping[Hashable, Any] | None) -> list[str]:
    """Each metric and its change."""
    found = []
    for metric, unit in COMPARED.items():
        found += [quantity_text(row[metric], unit), "" if base is None else change(row[metric], base[metric])]
    return [*found, quantity_text(row["area_mm2"], "mm2")]


def change(value: float, base: float) -> str:
    """Relative change in per cent, from tenfold on as a factor."""
    fraction = value / base - 1 if base else math.nan
    if abs(fraction) < 5e-4:
        return "="
    return f"{100 * fraction:+.3g} %" if fraction < 9 else f"{fraction + 1:.3g}x"
