"""What can go wrong for a user: bad input (exit 2), no feasible answer (exit 3), time over (exit 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class DseError(Exception):
    """Base of all errors a user can cause; never a defect of the program."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in an input: where it stands, what was expected, what was found."""

    message: str
    path: str = ""
    file: str = ""
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        where = ":".join(str(part) for part in (self.file, self.line, self.column) if part not in ("", None))
        return ": ".join(part for part in (where, self.path, self.message) if part)


class SpecError(DseError, ValueError):
    """The user's input is wrong; carries every problem found, each with its place."""

    def __init__(self, problems: Sequence[Problem] | str) -> None:
        self.problems = (Problem(problems),) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


@dataclass(frozen=True, slots=True)
class Cause:
    """One limit that cannot be met: what is needed, what there is, and what would do."""

    limit: str
    need: float
    have: float
    unit: str
    blocks: str
    least_relaxation: str

    @property
    def short_by(self) -> float:
        """How much is missing [the unit of the limit]."""
        return self.need - self.have

    def __str__(self) -> str:
        have = f"{self.have:.6g} {self.unit}"
        if self.have < 0:
            have = (
                f"none: what is kept there anyway (KV cache, activations) takes {-self.have:.6g} {self.unit} too much"
            )
        return (
            f"{self.limit}: need {self.need:.6g} {self.unit}, have {have} "
            f"(short by {self.short_by:.6g}) for {self.blocks}; {self.least_relaxation}"
        )


class InfeasibleError(DseError):
    """No answer exists under the limits; each cause says limit, need, have and the least relaxation.

    ``remark`` says what holds for all of them, such as that parts of blocks would fit where whole ones do not.
    """

    def __init__(self, causes: Sequence[Cause], remark: str = "") -> None:
        self.causes, self.remark = tuple(causes), remark
        first = f"infeasible: {remark}" if remark else "infeasible"
        super().__init__("\n".join([first, *(f"  {cause}" for cause in self.causes)]))


class TimeLimitError(DseError):
    """The time limit passed before any answer was found."""


class MissingExtraError(DseError):
    """A command needs an optional part that is not installed; the text names the installation command."""

    def __init__(self, purpose: str, extra: str) -> None:
        super().__init__(f"{purpose} needs the optional part [{extra}]: run  pip install 'dse-moe[{extra}]'")
