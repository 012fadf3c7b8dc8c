"""What the chips of a study say: intervals of the metrics, yield, equivalence, routing; needs no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd

from dse.noise.intervals import Interval, Values, is_within, lower_bound, mean_interval
from dse.noise.result import Equivalence, Yield

LOSS = "loss_nats"


def summarise(draws: pd.DataFrame, digital: Mapping[str, float], *, n_first: int) -> pd.DataFrame:
    """One row per metric: digital, mean, low, high, increase, increase_low, increase_high, n_pairs.

    The interval covers the spread between chips, not the choice of text. The digital value is the same for
    every chip, so the paired increase has the interval of the mean, moved. Pairs that agree although their chips do
    not (a share of few tokens or questions) leave the interval open: not a number.

    Args:
        draws: one row per chip with ``pair`` and a column per metric.
        digital: metric → value of the digital model on the same text.
        n_first: pairs of the first stage, whose spread the intervals rest on.
    """
    rows = []
    for metric, reference in digital.items():
        pairs = increases(draws, metric, reference)
        found = mean_interval(pairs, n_first)
        if found.low == found.high and draws[metric].nunique() > 1:  # pairs of unequal chips that happen to agree
            found = Interval(found.mean, math.nan, math.nan)
        rows.append(
            {
                "metric": metric,
                "digital": reference,
                **columns("", Interval(*(reference + value for value in found)), mean="mean"),
                **columns("increase_", found, mean="increase"),
                "n_pairs": len(pairs),
            }
        )
    return pd.DataFrame(rows)


def columns(prefix: str, interval: Interval, *, mean: str) -> dict[str, float]:
    """An interval as three columns."""
    return {mean: interval.mean, f"{prefix}low": interval.low, f"{prefix}high": interval.high}


def increases(draws: pd.DataFrame, metric: str, reference: float) -> Values:
    """Increase of a metric over its digital value, mean of each pair, in the order of the pairs."""
    return (draws[metric] - reference).groupby(draws["pair"]).mean().to_numpy(dtype=float)


def chip_yield(draws: pd.DataFrame, digital: Mapping[str, float], *, limit_nats: float, n_first: int) -> Yield:
    """Share of chips whose loss increase stays within a limit.

    Counted are independent chips (one of each pair) of the first stage only: their number was fixed before anything
    was measured, which the exact bound needs.
    """
    chips = draws[(draws["sign"] == 1) & (draws["pair"] < n_first)]
    passing = int((chips[LOSS] - digital[LOSS] <= limit_nats).sum())
    return Yield(
        limit_nats=limit_nats,
        passing_chips=passing,
        chips=len(chips),
        fraction=passing / len(chips),
        low_fraction=lower_bound(passing, len(chips)),
    )


def equivalence(draws: pd.DataFrame, digital: Mapping[str, float], *, margin_nats: float, n_first: int) -> Equivalence:
    """Whether the mean loss is that of the digital model within a margin."""
    pairs = increases(draws, LOSS, digital[LOSS])
    return Equivalence(margin_nats=margin_nats, is_equivalent=is_within(pairs, n_first, margin=margin_nats))


def summarise_layers(layers: pd.DataFrame, *, n_first: int) -> pd.DataFrame:
    """One row per MoE layer: ``routing_changed_fraction`` and ``snr_db`` with their intervals.

    Args:
        layers: one row per chip and layer with ``pair``, ``layer``, and both columns.
        n_first: as for ``summarise``.
    """
    rows: list[dict[str, float]] = []
    for _, chips in layers.groupby("layer", sort=True):
        pairs = chips.groupby("pair")[["routing_changed_fraction", "snr_db"]].mean().to_numpy(dtype=float)
        routing, snr = mean_interval(pairs[:, 0], n_first), mean_interval(pairs[:, 1], n_first)
        rows.append(
            {
                "layer": int(chips["layer"].iloc[0]),
                "routing_changed_fraction": routing.mean,
                "routing_changed_low_fraction": routing.low,
                "routing_changed_high_fraction": routing.high,
                "snr_db": snr.mean,
                "snr_low_db": snr.low,
                "snr_high_db": snr.high,
            }
        )
    return pd.DataFrame(rows)


def summarise_loads(loads: pd.DataFrame, *, n_first: int) -> pd.DataFrame:
    """One row per routed expert: the share of tokens that choose it in the digital model, and its change on chips.

    Args:
        loads: one row per chip, layer and expert with ``pair``, ``layer``, ``expert``, ``digital``, ``load``.
        n_first: as for ``summarise``.
    """
    paired = loads.assign(change=loads["load"] - loads["digital"]).groupby(["layer", "expert", "pair"], sort=True)
    table = paired[["digital", "change"]].mean().reset_index()
    rows: list[dict[str, float]] = []
    for _, pairs in table.groupby(["layer", "expert"], sort=True):
        change = mean_interval(pairs["change"].to_numpy(dtype=float), n_first)
        rows.append(
            {
                "layer": int(pairs["layer"].iloc[0]),
                "expert": int(pairs["expert"].iloc[0]),
                "digital_load_fraction": float(pairs["digital"].iloc[0]),
                "load_change_fraction": change.mean,
                "load_change_low_fraction": change.low,
                "load_change_high_fraction": change.high,
            }
        )
    return pd.DataFrame(rows)
