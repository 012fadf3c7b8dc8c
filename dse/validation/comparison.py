"""One comparison: rows of predicted against stated figures, what was left out, and what is claimed of the errors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

Truth = Literal[
    "closed form", "other program", "measured silicon", "measured GPU", "published simulation", "published table",
    "event-driven simulation",
]  # fmt: skip
"""What the stated figures come from."""
Role = Literal["calibrated", "held out"]
"""Whether a figure was used to set a value of dse, or was never looked at for that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure stated elsewhere, and what dse gives for it."""

    case: str
    quantity: str
    """What is compared; its unit ends the name."""
    stated: float
    found: float
    role: Role = "held out"
    rounding: float = 0.0
    """Half a unit of the last printed digit of the stated figure."""
    band_fraction: float | None = None
    """Stated uncertainty of the prediction: the truth lies between found / (1 + band) and found · (1 + band)."""
    source: str = ""

    @property
    def error_fraction(self) -> float:
        """Found over stated less one, beyond the rounding of the stated figure [-]."""
        beyond = max(abs(self.found - self.stated) - self.rounding, 0.0)
        if not math.isfinite(self.found):
            return math.inf
        return 0.0 if beyond == 0 else math.copysign(beyond / abs(self.stated or 1.0), self.found - self.stated)

    @property
    def in_band(self) -> bool | None:
        """Whether the stated figure lies in the band of the prediction; None without a band."""
        if self.band_fraction is None:
            return None
        ratio = self.stated / self.found if self.found else math.inf
        return 1 / (1 + self.band_fraction) <= ratio <= 1 + self.band_fraction


class Excluded(NamedTuple):
    """A figure that is stated somewhere and not compared."""

    case: str
    reason: str


class Errors(NamedTuple):
    """Errors of some rows, without sign."""

    rows: int
    mean_fraction: float
    median_fraction: float
    max_fraction: float
    in_band_fraction: float | None
    """Share of the rows with a band that lie inside it; None where no row has one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What is claimed of the rows that were not calibrated on; None: nothing."""

    mean_fraction: float | None = None
    median_fraction: float | None = None
    max_fraction: float | None = None
    in_band_fraction: float | None = None
    """Least share inside the band."""

    def holds(self, errors: Errors | None) -> bool:
        """Whether the errors keep every limit; without rows nothing holds."""
        if errors is None:
            return False
        kept = [
            found <= limit
            for limit, found in (
                (self.mean_fraction, errors.mean_fraction),
                (self.median_fraction, errors.median_fraction),
                (self.max_fraction, errors.max_fraction),
            )
            if limit is not None
        ]
        if self.in_band_fraction is not None:
            kept.append((errors.in_band_fraction or 0.0) >= self.in_band_fraction)
        return all(kept)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Rows of one kind of truth, with what is claimed and what was left out."""

    name: str
    what: str
    """What is compared with what, in one or two sentences."""
    truth: Truth
    source: str
    rows: tuple[Row, ...]
    claim: Claim | None = None
    excluded: tuple[Excluded, ...] = ()
    notes: tuple[str, ...] = ()
    """What a reader must know before quoting the errors."""

    def with_role(self, role: Role) -> tuple[Row, ...]:
        """The rows of a role."""
        return tuple(row for row in self.rows if row.role == role)

    def errors(self, role: Role) -> Errors | None:
        """Errors of the rows of a role; None without any."""
        return errors_of(self.with_role(role))

    @property
    def is_kept(self) -> bool | None:
        """Whether the claim holds on the rows that were not calibrated on; None where nothing is claimed."""
        return None if self.claim is None else self.claim.holds(self.errors("held out"))


def errors_of(rows: Sequence[Row]) -> Errors | None:
    """Errors of some rows; None without any."""
    if not rows:
        return None
    sizes = np.abs([row.error_fraction for row in rows])
    inside = [row.in_band for row in rows if row.in_band is not None]
    share = float(np.mean(inside)) if inside else None
    return Errors(len(rows), float(sizes.mean()), float(np.median(sizes)), float(sizes.max()), share)
