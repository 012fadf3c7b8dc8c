"""Measured accuracy and scores of experts as text."""

from __future__ import annotations

import pandas as pd

from dse.noise.result import AccuracyReport
from dse.report.tables import align, interval_text, quantity_text, significant
from dse.report.text import wrapped


def accuracy_text(report: AccuracyReport) -> str:
    """The result of ``dse accuracy``."""
    units = {"top1_fraction": "fraction", "multiple_choice_fraction": "fraction"}
    rows = []
    for row in report.summary.to_dict(orient="records"):
        unit = units.get(row["metric"], "")
        mean = interval_text(row["mean"], row["low"], row["high"], unit)
        change = interval_text(row["increase"], row["increase_low"], row["increase_high"], unit)
        rows.append([row["metric"], quantity_text(row["digital"], unit), mean, change])
    n_pairs = int(report.summary["n_pairs"].iloc[0])
    draws = [
        [
            str(row["pair"]),
            f"{row['sign']:+d}",
            f"{row['loss_nats']:.5f}",
            f"{row['perplexity']:.4f}",
            f"{100 * row['top1_fraction']:.2f}",
        ]
        for row in report.draws.to_dict(orient="records")
    ]
    return "\n".join(
        [
            wrapped(
                f"{report.analog_blocks} analog blocks; {len(report.draws)} chips in {n_pairs} antithetic pairs; "
                f"{report.n_tokens} tokens, {report.n_items} items; noise scale {report.scale:g}; "
                f"{report.seconds:.1f} s"
            ),
            "",
            align(rows, ["metric", "digital", "mean [95 % interval]", "change [95 %]"], right={1}),
            "",
            align(draws, ["pair", "sign", "loss nats", "perplexity", "top-1 %"], right={0, 1, 2, 3, 4}),
            "",
            wrapped("simulated: " + (", ".join(report.effects) or "nothing, no block is analog")),
            wrapped("not simulated: " + ", ".join(report.unmodelled)),
        ]
    )


def scores_text(scores: pd.DataFrame, n_rows: int) -> str:
    """The result of ``dse score``."""
    top = scores.sort_values("score", ascending=False, kind="stable").head(n_rows)
    head = f"rule {scores.attrs['rule']}, unit {scores.attrs['unit']}, {scores.attrs['status']}"
    rows = [
        [row["block"], str(row["layer"]), str(row["expert"]), significant(row["score"])]
        for row in top.to_dict(orient="records")
    ]
    table = align(rows, ["block", "layer", "expert", "score"], right={1, 2, 3})
    return f"{head}; the {len(top)} highest of {len(scores)}\n{table}"
