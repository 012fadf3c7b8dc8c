"""The result of a noise simulation: every draw, means, intervals; imports without torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import pandas as pd

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class AccuracyReport:
    """Accuracy of one mapping under device noise, against the digital baseline."""

    draws: pd.DataFrame
    """One row per evaluated chip: pair, sign (+1, −1), loss_nats, perplexity, top1_fraction, and
    multiple_choice_fraction where items were given."""
    digital: Mapping[str, float]
    """Metric → value of the all-digital model on the same text."""
    summary: pd.DataFrame
    """One row per metric: metric, digital, mean, low, high (95 % Student-t interval over pair means), increase,
    increase_low, increase_high (paired difference to digital), n_pairs."""
    seed: int
    """Seed of the noise."""
    scale: float
    """Factor on the programming noise of every device."""
    n_tokens: int
    """Evaluated tokens."""
    n_items: int
    """Multiple-choice items."""
    effects: tuple[str, ...]
    """Noise effects that were simulated."""
    analog_blocks: int
    """Blocks that were noised."""
    unmodelled: tuple[str, ...]
    """What stays out, in words."""
    digests: Mapping[str, str]
    """Input → digest."""
    seconds: float
    """Wall-clock time [s]."""

    def metric(self, name: str) -> pd.Series[Any]:
        """The row of ``summary`` for one metric."""
        return cast("pd.Series[Any]", self.summary.set_index("metric").loc[name])

    @property
    def loss_increase_nats(self) -> float:
        """Mean increase of the loss over the digital model [nats/token]."""
        return float(self.metric("loss_nats")["increase"])

    def to_dict(self) -> dict[str, Any]:
        """The content of the JSON document."""
        record = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        record["draws"] = self.draws.to_dict(orient="records")
        record["summary"] = self.summary.to_dict(orient="records")
        return {"schema_version": SCHEMA_VERSION, **record}

    def _repr_html_(self) -> str:
        return self.summary.to_html(index=False)
