"""Where a value comes from: file and line, source, evidence and stated spread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Evidence = Literal["measured", "simulated", "derived", "assumed"]


@dataclass(frozen=True, slots=True)
class Provenance:
    """Origin of one value of a spec."""

    source: str | None = None
    evidence: Evidence | None = None
    spread_fraction: float | None = None
    file: str = ""
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        said = f"[{self.evidence}] " if self.evidence else ""
        return f"{where} {said}{self.source or ''}".strip()
