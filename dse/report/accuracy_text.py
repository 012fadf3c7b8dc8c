"""Measured accuracy and scores of experts as text."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

import pandas as pd

from dse.noise.result import AccuracyReport
from dse.report.tables import align, interval_text, quantity_text, significant
from dse.report.text import wrapped

SHARES: Final = ("_fraction", ".acc", ".acc_norm", ".exact_match")
"""Ends of the names of metrics that are shares of tokens, items or questions."""
SHOWN_CHIPS: Final = 12
"""Chips that the text lists one by one."""


def accuracy_text(report: AccuracyReport) -> str:
    """The result of ``dse accuracy``."""
    parts = [
        head_text(report),
        metric_table(report.summary),
        "\n".join(wrapped(line) for line in answers(report)),
        layer_table(report),
        chip_table(report.draws),
        wrapped("simulated: " + (", ".join(report.effects) or "nothing, no block is analog"))
        + "\n"
        + wrapped("not simulated: " + ", ".join(report.unmodelled))
        + "\n"
        + wrapped("digital under every mapping: " + ", ".join(numbered_alike(report.unplaced))),
    ]
    return "\n\n".join(part for part in parts if part)


def numbered_alike(names: Sequence[str]) -> list[str]:
    """Names with those that differ in a number only taken together."""
    counts = Counter(re.sub(r"\.\d+\.", ".N.", name) for name in names)
    return [name if count == 1 else f"{name} ({count} of them)" for name, count in counts.items()]


def head_text(report: AccuracyReport) -> str:
    """What was measured, and why it ended."""
    n_pairs = len(report.draws) // 2
    rounded = f", {report.rounded_blocks} in int8 or int4" if report.rounded_blocks else ""
    time = f"{report.seconds:.1f} s" + ("" if report.torch_device == "cpu" else f" on {report.torch_device}")
    age = f"; weights {quantity_text(report.time_s, 's')} old" if report.time_s else ""
    lines = [
        f"{report.analog_blocks} analog blocks{rounded}; {len(report.draws)} chips in {n_pairs} antithetic pairs; "
        f"{report.n_tokens} tokens, {report.n_items} items; noise scale {report.scale:g}{age}; {time}"
    ]
    if report.status == "time_limit":
        lines.append(f"stopped by the time limit: the plan asks for {report.planned_draws} chips")
    elif report.half_width_nats is not None:
        loss = report.metric("loss_nats")
        half = significant((loss["increase_high"] - loss["increase_low"]) / 2)
        wanted = f"± {significant(report.half_width_nats)} nats wanted, ± {half} reached"
        lines.append(
            f"most chips allowed: {wanted}; give a larger --max-draws"
            if report.status == "draws_limit"
            else f"the first {report.first_draws} chips asked for {report.planned_draws}: {wanted}"
        )
    return "\n".join(wrapped(line) for line in lines)


def metric_table(summary: pd.DataFrame) -> str:
    """Every metric with its interval."""
    rows = []
    for row in summary.to_dict(orient="records"):
        unit = "fraction" if row["metric"].endswith(SHARES) else ""
        change = interval_text(row["increase"], row["increase_low"], row["increase_high"], unit)
        if math.isnan(row["increase_low"]):
            change += " (too few chips for an interval)"
        rows.append([row["metric"], quantity_text(row["digital"], unit), quantity_text(row["mean"], unit), change])
    return align(rows, ["metric", "digital", "mean of chips", "change [95 % interval]"], right={1, 2})


def answers(report: AccuracyReport) -> list[str]:
    """Yield and equivalence, where they were asked for."""
    lines, found = [], report.chip_yield
    if found is not None:
        more = "" if found.chips >= CHIPS_FOR_95 else f" ({CHIPS_FOR_95} passing chips would show 95 %)"
        lines.append(
            f"yield: {found.passing_chips} of {found.chips} independent chips lose at most "
            f"{significant(found.limit_nats)} nats, so at least {quantity_text(found.low_fraction, 'fraction')} of all "
            f"chips do, at 95 % confidence{more}"
        )
    if report.equivalence is not None:
        margin = f"± {significant(report.equivalence.margin_nats)} nats"
        lines.append(
            f"equivalent to all-digital within {margin} (two one-sided tests at 5 %)"
            if report.equivalence.is_equivalent
            else f"not shown to be equivalent to all-digital within {margin} (two one-sided tests at 5 %)"
        )
    return lines


CHIPS_FOR_95: Final = 59
"""Chips that must all pass to show a yield of 95 % at 95 % confidence: the least n with 0.95ⁿ ≤ 0.05."""


def layer_table(report: AccuracyReport) -> str:
    """Routing and output error of every MoE layer."""
    rows = []
    for row in report.layers.to_dict(orient="records"):
        loads = report.expert_loads[report.expert_loads["layer"] == row["layer"]]
        moved = loads.loc[loads["load_change_fraction"].abs().idxmax()]
        share, low, high = (row[f"routing_changed_{name}fraction"] for name in ("", "low_", "high_"))
        rows.append(
            [
                str(row["layer"]),
                interval_text(share, low, high, "fraction"),
                interval_text(row["snr_db"], row["snr_low_db"], row["snr_high_db"], ""),
                f"{quantity_text(moved['load_change_fraction'], 'fraction')} (expert {moved['expert']:.0f})",
            ]
        )
    if not rows:
        return ""
    titles = ["MoE layer", "tokens rerouted", "SNR of output, dB", "largest change of load"]
    return align(rows, titles, right={0})


def chip_table(draws: pd.DataFrame) -> str:
    """The first chips one by one."""
    rows = [
        [
            str(row["pair"]),
            f"{row['sign']:+d}",
            f"{row['loss_nats']:.5f}",
            f"{row['perplexity']:.4f}",
            f"{100 * row['top1_fraction']:.2f}",
        ]
        for row in draws.head(SHOWN_CHIPS).to_dict(orient="records")
    ]
    table = align(rows, ["pair", "sign", "loss nats", "perplexity", "top-1 %"], right={0, 1, 2, 3, 4})
    left = len(draws) - len(rows)
    return table + (f"\n  … and {left} more chips (--json lists all)" if left > 0 else "")


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
