"""Means and intervals over fabricated chips that come in antithetic pairs; needs no torch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.special import stdtrit

CONFIDENCE = 0.95


def half_width(pair_means: pd.Series[float]) -> float:
    """Half of the 95 % Student-t interval of the mean; pairs are independent, the chips of one pair are not."""
    n = len(pair_means)
    quantile = float(stdtrit(n - 1, 0.5 + CONFIDENCE / 2))
    return quantile * float(np.std(pair_means.to_numpy(), ddof=1)) / float(np.sqrt(n))


def summarise(draws: pd.DataFrame, digital: Mapping[str, float]) -> pd.DataFrame:
    """One row per metric: digital, mean, low, high, increase, increase_low, increase_high, n_pairs.

    The interval covers the spread between chips, not the choice of text. The digital value is the same for
    every chip, so the paired increase has the interval of the mean, moved.

    Args:
        draws: one row per chip with ``pair`` and a column per metric.
        digital: metric → value of the digital model on the same text.
    """
    rows = []
    for metric, reference in digital.items():
        increase = (draws[metric] - reference).groupby(draws["pair"]).mean()
        middle, half = float(increase.mean()), half_width(increase)
        rows.append(
            {
                "metric": metric,
                "digital": reference,
                "mean": reference + middle,
                "low": reference + middle - half,
                "high": reference + middle + half,
                "increase": middle,
                "increase_low": middle - half,
                "increase_high": middle + half,
                "n_pairs": len(increase),
            }
        )
    return pd.DataFrame(rows)
