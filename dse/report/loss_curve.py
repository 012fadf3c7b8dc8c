"""Loss curve: measured increase of the loss against the share of digital experts, with every draw."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from dse.report.style import INK, SERIES
from dse.report.tables import interval_text

METRIC = "loss_nats"


class LossCurveView(NamedTuple):
    """What the loss curve shows."""

    means: pd.DataFrame
    """scale, digital_fraction, mapping_id, point, increase, increase_low, increase_high, n_pairs."""
    draws: pd.DataFrame
    """scale, digital_fraction, mapping_id, point, pair, sign, increase: one row per simulated chip."""
    scales: tuple[float, ...]
    """Factors on the programming noise."""


def prepare(summary: pd.DataFrame, draws: pd.DataFrame) -> LossCurveView:
    """What the loss curve shows.

    Args:
        summary: as in ``accuracy_summary.csv``.
        draws: as in ``accuracy.csv``; may be empty.

    One mapping may have been measured on several hardware settings; the column `point` tells them apart.
    """
    keys = ["scale", "digital_fraction", "mapping_id", "point"]
    summary, draws = (frame if "point" in frame else frame.assign(point=-1) for frame in (summary, draws))
    kept = summary[summary["metric"] == METRIC]
    kept = kept.drop_duplicates(keys).sort_values(keys, kind="stable")
    means = kept[[*keys, "increase", "increase_low", "increase_high", "n_pairs"]].reset_index(drop=True)
    joined = draws[[*keys, "pair", "sign", "loss_nats"]].merge(kept[[*keys, "digital"]], on=keys)
    joined["increase"] = joined["loss_nats"] - joined["digital"]
    chips = joined[[*keys, "pair", "sign", "increase"]].sort_values([*keys, "pair", "sign"], kind="stable")
    scales = tuple(float(scale) for scale in sorted(means["scale"].unique()))
    return LossCurveView(means, chips.reset_index(drop=True), scales)


def conclude(view: LossCurveView) -> str:
    """The figure in one sentence, about the noise scale nearest to nominal."""
    if view.means.empty:
        return "Accuracy was not measured."
    scale = min(view.scales, key=lambda s: abs(s - 1.0))
    rows = view.means[view.means["scale"] == scale].sort_values("digital_fraction")
    first, last = rows.iloc[0], rows.iloc[-1]
    text = (
        f"At {scale:g}× programming noise the loss rises by {_increase(first)} with {_percent(first)} digital experts"
    )
    if last["digital_fraction"] > first["digital_fraction"]:
        text += f" and by {_increase(last)} with {_percent(last)}"
    return text + "."


def draw(view: LossCurveView, ax: Axes) -> None:
    """Draws one line per noise scale: means with 95 % intervals, every draw as a dot."""
    fractions = np.sort(view.means["digital_fraction"].unique()) * 100
    gap = float(np.diff(fractions).min()) if len(fractions) > 1 else 10.0
    offsets = (np.arange(len(view.scales)) - (len(view.scales) - 1) / 2) * gap * 0.12
    for i, (scale, offset) in enumerate(zip(view.scales, offsets, strict=True)):
        colour = SERIES[i % len(SERIES)]
        rows = view.means[view.means["scale"] == scale]
        chips = view.draws[view.draws["scale"] == scale]
        x = rows["digital_fraction"] * 100 + offset
        ax.scatter(
            chips["digital_fraction"] * 100 + offset + gap * 0.05, chips["increase"], s=7, color=colour, alpha=0.35,
            lw=0, zorder=2, rasterized=len(chips) > 3000,
        )  # fmt: skip
        low, high = rows["increase"] - rows["increase_low"], rows["increase_high"] - rows["increase"]
        bars = np.nan_to_num(np.stack([low, high]).clip(min=0))
        ax.errorbar(x, rows["increase"], yerr=bars, fmt="o", ms=4, color=colour, capsize=2.5, lw=1.1, zorder=4)
        line = rows.groupby("digital_fraction")["increase"].mean()
        label = f"{scale:g}× programming noise"
        ax.plot(line.index * 100 + offset, line, color=colour, lw=1.2, zorder=3, label=label)
    _scale_loss(view, ax)
    ax.set_xlabel("Digital experts [% of routed experts]")
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_major_locator(MaxNLocator(10, steps=[1, 2, 2.5, 5, 10]))
    ax.set_xlim(max(-4.0, fractions.min() - 4.0), min(104.0, fractions.max() + 4.0))
    ax.legend(loc="upper right")


def _scale_loss(view: LossCurveView, ax: Axes) -> None:
    """Logarithmic where all values allow it and span two decades; else linear from below zero."""
    values = pd.concat([view.means["increase"], view.means["increase_low"], view.draws["increase"]]).dropna()
    title = "Loss increase over digital [nats/token]"
    if len(values) and values.min() > 0 and values.max() / values.min() > 100:
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.set_ylabel(f"{title}, log scale")
        return
    ax.axhline(0, color=INK, lw=0.8, zorder=1)
    ax.set_ylabel(title)


def _increase(row: pd.Series[Any]) -> str:
    return interval_text(float(row["increase"]), float(row["increase_low"]), float(row["increase_high"]), "nats")


def _percent(row: pd.Series[Any]) -> str:
    return f"{float(row['digital_fraction']) * 100:.3g} %"
