"""The result of a noise simulation: every draw, means, intervals; imports without torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

import pandas as pd

SCHEMA_VERSION = 1
Status = Literal["complete", "draws_limit", "time_limit"]
"""``draws_limit``: the most chips allowed did not reach the wanted half-width; ``time_limit``: stopped by the clock."""


class AccuracyInterrupted(KeyboardInterrupt):
    """The user stopped a measurement; the chips that were done are in its folder, if it has one."""

    def __init__(self, done: int, planned: int) -> None:
        super().__init__("interrupted")
        self.done = done
        """Chips that are known."""
        self.planned = planned
        """Chips that the study needs, as far as is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Yield:
    """Share of chips that lose no more than a limit."""

    limit_nats: float
    """Largest loss increase of a chip that passes [nats/token]."""
    passing_chips: int
    chips: int
    """Independent chips: one of each pair of the first stage."""
    fraction: float
    """Share that passes."""
    low_fraction: float
    """Share at least, at 95 % confidence (exact, one-sided)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Equivalence:
    """Whether the mean loss is that of the digital model within a margin, by two one-sided tests at 5 %."""

    margin_nats: float
    is_equivalent: bool
    """False: not shown, which does not mean that they differ."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class AccuracyReport:
    """Accuracy of one mapping under device noise, against the digital baseline."""

    draws: pd.DataFrame
    """One row per evaluated chip: pair, sign (+1, −1), loss_nats, perplexity, top1_fraction, and
    multiple_choice_fraction where items were given, TASK.METRIC where tasks were."""
    digital: Mapping[str, float]
    """Metric → value of the all-digital model on the same text."""
    summary: pd.DataFrame
    """One row per metric: metric, digital, mean, low, high (95 % interval over pair means), increase,
    increase_low, increase_high (paired difference to digital), n_pairs."""
    layers: pd.DataFrame
    """One row per MoE layer, on the first tokens of the text: share of tokens whose set of experts differs from the
    digital model's, signal-to-noise ratio of the output [dB], each with its interval."""
    expert_loads: pd.DataFrame
    """One row per routed expert: share of tokens that choose it in the digital model, and its change on the chips."""
    status: Status
    """Why it ended."""
    first_draws: int
    """Chips of the first stage: their spread decides how many follow, and the intervals rest on it."""
    planned_draws: int
    """Chips that the plan asks for."""
    half_width_nats: float | None
    """Wanted half-width of the interval of the loss increase; None: the number of chips was given."""
    chip_yield: Yield | None
    """None where no limit was given."""
    equivalence: Equivalence | None
    """None where no margin was given."""
    seed: int
    """Seed of the noise."""
    scale: float
    """Factor on the programming noise of every device."""
    time_s: float
    """Age of the programmed weights [s]."""
    n_tokens: int
    """Evaluated tokens."""
    n_items: int
    """Multiple-choice items."""
    effects: tuple[str, ...]
    """Noise effects that were simulated."""
    analog_blocks: int
    """Blocks that were noised."""
    rounded_blocks: int
    """Digital blocks whose weights were rounded to int8 or int4."""
    unplaced: tuple[str, ...]
    """Stored weights that belong to no block and stay digital under every mapping."""
    torch_device: str
    """Where the models computed."""
    generator: str
    """What drew the noise."""
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
        for name in ("draws", "summary", "layers", "expert_loads"):
            record[name] = getattr(self, name).to_dict(orient="records")
        for name in ("chip_yield", "equivalence"):
            part = getattr(self, name)
            record[name] = None if part is None else dataclasses.asdict(part)
        return {"schema_version": SCHEMA_VERSION, **record}

    def _repr_html_(self) -> str:
        return self.summary.to_html(index=False)
