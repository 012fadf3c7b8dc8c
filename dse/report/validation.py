"""The validation page: both errors of every comparison, what was left out, and the rows behind them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import pandas as pd

from dse.report.tables import MISSING, align, significant
from dse.validation.comparison import Claim, Comparison, Errors, Role, Row

MOST_ROWS: Final = 48
"""A comparison with more rows shows its largest errors; the table beside the page holds all."""
WORST_ROWS: Final = 8

ROLES: Final[dict[Role, str]] = {"calibrated": "calibrated", "held out": "not calibrated"}
HEAD: Final = """# Validation

What `dse` gives against what is stated elsewhere. Made by `dse validate -o reports/`; a test holds it current. All
rows: [`validation.csv`](validation.csv); the stated figures with their sources: [`validation/`](../validation).

**Calibrated** rows set a value of the model, so their errors say how well the formulas can follow. Rows **not
calibrated** had no parameter fitted to them: their errors say how well dse predicts, unless a comparison says that
settings were chosen with them in view. Errors are |found / stated − 1|.
*In band* is the share of rows whose stated figure lies inside the uncertainty that dse states for its own number.
"""


def validation_markdown(comparisons: Sequence[Comparison], figure: str | None = None) -> str:
    """The page.

    Args:
        comparisons: all comparisons.
        figure: file name of the figure beside the page.
    """
    parts = [HEAD, summary_markdown(comparisons)]
    if figure is not None:
        parts.append(f"![Predicted against published]({figure})\n")
    parts += [section_markdown(comparison) for comparison in comparisons]
    return "\n".join(parts)


def summary_markdown(comparisons: Sequence[Comparison]) -> str:
    """One line per comparison, calibrated and not calibrated errors in columns of their own."""
    head = (
        "comparison", "truth", "calibrated: rows", "mean", "max",
        "not calibrated: rows", "mean", "median", "max", "in band", "claimed of the latter", "kept", "left out",
    )  # fmt: skip
    rows = [
        (
            f"[{c.name}](#{anchor(c.name)})", c.truth,
            *errors_cells(c.errors("calibrated"), ("rows", "mean_fraction", "max_fraction")),
            *errors_cells(c.errors("held out"), Errors._fields),
            claim_text(c.claim), kept_text(c), f"{len(c.excluded)}",
        )
        for c in comparisons
    ]  # fmt: skip
    return markdown_table(head, rows)


def section_markdown(comparison: Comparison) -> str:
    """What is compared, the rows, what was left out and why."""
    lines = [
        f"## {comparison.name}",
        "",
        f"{comparison.what} Truth: {comparison.truth}. Source: {comparison.source}.",
        "",
        *(f"- {note}" for note in comparison.notes),
    ]
    if comparison.notes:
        lines.append("")
    shown, remark = listed_rows(comparison)
    if remark:
        lines += [remark, ""]
    if shown:
        lines.append(rows_markdown(shown))
    if comparison.excluded:
        lines += ["Left out:", "", markdown_table(("figure", "reason"), comparison.excluded)]
    return "\n".join(lines)


def listed_rows(comparison: Comparison) -> tuple[Sequence[Row], str]:
    """The rows that the page lists, and a remark on the others."""
    rows = comparison.rows
    if len(rows) <= MOST_ROWS:
        return rows, ""
    if all(abs(row.error_fraction) < 1e-12 for row in rows):
        return (), f"All {len(rows)} rows are equal to rounding."
    worst = sorted(rows, key=lambda row: -abs(row.error_fraction))[:WORST_ROWS]
    if abs(worst[0].error_fraction) < 1e-6:
        return (), f"All {len(rows)} rows agree to 1e-6."
    return worst, f"The {len(worst)} largest errors of {len(rows)} rows:"


def rows_markdown(rows: Sequence[Row]) -> str:
    """One line per row."""
    has_band, has_source = any(r.band_fraction is not None for r in rows), any(r.source for r in rows)
    head = ["case", "quantity", "stated", "found", "error", "role"]
    head += ["in band"] * has_band + ["source"] * has_source
    cells = [
        (
            r.case, r.quantity, number(r.stated), number(r.found), signed_percent(r.error_fraction), ROLES[r.role],
            *([band_text(r)] * has_band), *([r.source or MISSING] * has_source),
        )
        for r in rows
    ]  # fmt: skip
    return markdown_table(head, cells)


def validation_text(comparisons: Sequence[Comparison]) -> str:
    """The errors as text of 80 columns."""
    lines = []
    for role, title in ROLES.items():
        rows = [text_cells(c, role) for c in comparisons if c.errors(role)]
        if rows:
            lines.append(align(rows, (title, "rows", "mean", "median", "max", "in band", "kept")))
    n_claims = sum(c.claim is not None for c in comparisons)
    n_kept = sum(c.is_kept is True for c in comparisons)
    lines.append(f"{n_kept} of {n_claims} claims are kept; -o DIR writes the page with every row")
    return "\n\n".join(lines)


def text_cells(comparison: Comparison, role: Role) -> tuple[str, ...]:
    """A comparison's errors as cells."""
    kept = kept_text(comparison) if role == "held out" else ""
    return (comparison.name, *errors_cells(comparison.errors(role), Errors._fields), kept)


def kept_digits(value: float) -> float:
    """A figure as the table keeps it: counts whole, others to nine digits, which are the same on every machine."""
    return float(value) if float(value).is_integer() else float(f"{value:.9g}")


def validation_frame(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Every row of every comparison."""
    return pd.DataFrame(
        [
            {
                "comparison": c.name, "truth": c.truth, "case": r.case, "quantity": r.quantity, "role": ROLES[r.role],
                "stated": r.stated, "found": kept_digits(r.found),
                "error_fraction": float(f"{r.error_fraction:.3g}") if abs(r.error_fraction) > 1e-12 else 0.0,
                "band_fraction": r.band_fraction, "in_band": r.in_band, "source": r.source or c.source,
            }
            for c in comparisons
            for r in c.rows
        ]
    )  # fmt: skip


def validation_document(comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """The errors of every comparison, for JSON."""

    def errors(comparison: Comparison, role: Role) -> dict[str, Any] | None:
        found = comparison.errors(role)
        return None if found is None else found._asdict()

    return {
        "comparisons": [
            {
                "name": c.name, "truth": c.truth, "source": c.source, "calibrated": errors(c, "calibrated"),
                "not_calibrated": errors(c, "held out"), "is_claim_kept": c.is_kept,
                "excluded": [e._asdict() for e in c.excluded],
            }
            for c in comparisons
        ]
    }  # fmt: skip


def errors_cells(errors: Errors | None, fields: Sequence[str]) -> tuple[str, ...]:
    """Some fields of errors as text."""
    if errors is None:
        return (MISSING,) * len(fields)
    return tuple(f"{errors.rows}" if name == "rows" else percent(getattr(errors, name)) for name in fields)


def claim_text(claim: Claim | None) -> str:
    """A claim in words."""
    if claim is None:
        return MISSING
    if claim.max_fraction == 0:
        return "exact"
    names = (("mean", claim.mean_fraction), ("median", claim.median_fraction), ("max", claim.max_fraction))
    said = [f"{name} ≤ {percent(value)}" for name, value in names if value is not None]
    if claim.in_band_fraction is not None:
        said.append(f"in band ≥ {percent(claim.in_band_fraction)}")
    return ", ".join(said)


def kept_text(comparison: Comparison) -> str:
    """Whether the claim holds."""
    return {None: MISSING, True: "yes", False: "no"}[comparison.is_kept]


def band_text(row: Row) -> str:
    """Whether a row lies in its band."""
    return MISSING if row.in_band is None else f"{'yes' if row.in_band else 'no'} (±{percent(row.band_fraction)})"


def percent(value: float | None) -> str:
    """A share in per cent.

    >>> percent(0.123), percent(1e-16), percent(None)
    ('12.3 %', '0', '–')
    """
    if value is None:
        return MISSING
    return "0" if abs(value) < 1e-12 else f"{significant(100 * value)} %"


def signed_percent(value: float) -> str:
    """An error with its sign."""
    text = percent(value)
    return f"+{text}" if value > 0 and text != "0" else text


def number(value: float) -> str:
    """A figure: whole numbers in full, others with five digits."""
    return f"{int(value)}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:.5g}"


def anchor(title: str) -> str:
    """The anchor of a heading.

    >>> anchor("Area of logic between nodes")
    'area-of-logic-between-nodes'
    """
    return "".join(c for c in title.lower().replace(" ", "-") if c.isalnum() or c == "-")


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '∣') for cell in line)} |" for line in lines) + "\n"
