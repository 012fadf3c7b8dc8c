"""What a quantised digital machine does: one all-digital run, and the best of several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from dse.units import Precision


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """One all-digital run: every weight on one machine in one format."""

    architecture: str
    weights: Precision
    energy_boundary: str
    energy_model: str
    """``flat_power`` or ``per_operation``: the two differ several-fold for the same silicon."""
    need_bytes: float
    """Weights, KV cache, activations and embedding."""
    have_bytes: float
    tokens_per_s: float | None
    """None where the machine has not the memory."""
    tokens_per_j: float | None
    tokens_per_s_per_mm2: float | None
    power_mw: float | None
    binding: str | None
    """Resource with the largest share of the step."""

    @property
    def fits(self) -> bool:
        """Whether the machine's memory holds the run."""
        return self.tokens_per_s is not None

    @property
    def name(self) -> str:
        """Machine and format."""
        return f"{self.architecture} at {self.weights}"

    def to_dict(self) -> dict[str, Any]:
        """The run as a JSON object."""
        return {f.name: getattr(self, f.name) for f in fields(self)} | {"fits": self.fits}


def best_baseline(baselines: Sequence[Baseline]) -> Baseline | None:
    """The run with the most tokens per joule among those that fit."""
    fitting = [(b.tokens_per_j, b) for b in baselines if b.tokens_per_j is not None]
    return max(fitting, key=lambda pair: pair[0])[1] if fitting else None
