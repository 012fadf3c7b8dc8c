"""Rules beside the best mapping, as text and as a JSON document."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from dse.mapping.compare import RuleResult
from dse.mapping.model import Mapping
from dse.report.tables import align, significant


def rules_text(mapping: Mapping, rules: Sequence[RuleResult]) -> str:
    """The table of ``dse map --compare``, with a blank line before it; empty without rules."""
    if not rules:
        return ""
    order = sorted(rules, key=lambda r: (r.choice is None, len(r.broken), r.value))
    rows = [
        [
            r.rule,
            fraction_text(r),
            significant(r.value),
            excess_text(r, mapping),
            limits_text(r),
            milliseconds(r),
        ]
        for r in order
    ]
    head = ["rule", "digital", mapping.objective.removesuffix("_per_token"), "worse by", "limits", "ms"]
    return "\n\n" + align(rows, head, right={1, 2, 3, 5})


def milliseconds(result: RuleResult) -> str:
    """Time of the rule at all fractions [ms]."""
    return f"{1e3 * result.seconds:.0f}"


def fraction_text(result: RuleResult) -> str:
    """The digital fraction that served the rule best."""
    return "" if result.digital_fraction is None else f"{100 * result.digital_fraction:g} %"


def excess_text(result: RuleResult, mapping: Mapping) -> str:
    """How much worse the rule is than the best mapping; nothing where it breaks a limit."""
    if result.choice is None or result.broken:
        return ""
    if mapping.value == 0:
        return significant(result.value)
    return f"{100 * (result.value / mapping.value - 1):.3g} %"


def limits_text(result: RuleResult) -> str:
    """Whether the rule keeps the limits, or the first that it breaks."""
    if result.choice is None:
        return "does not fit"
    if not result.broken:
        return "kept"
    more = f" and {len(result.broken) - 1} more" if len(result.broken) > 1 else ""
    return f"breaks {result.broken[0].limit}{more}"


def rules_document(rules: Sequence[RuleResult]) -> dict[str, Any]:
    """``baselines``: one entry a rule; empty without rules."""
    if not rules:
        return {}
    return {
        "baselines": [
            {
                "rule": r.rule,
                "source": r.source,
                "digital_fraction": r.digital_fraction,
                "objective": r.value if math.isfinite(r.value) else None,
                "fits": r.choice is not None,
                "broken": [check._asdict() for check in r.broken],
                "seconds": r.seconds,
            }
            for r in rules
        ]
    }
