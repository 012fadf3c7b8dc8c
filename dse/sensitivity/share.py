"""How much of the experts' total score a mapping leaves on analog cores."""

from __future__ import annotations

import pandas as pd

from dse.mapping.model import Mapping


def sensitivity_share(scores: pd.DataFrame, mapping: Mapping) -> float:
    """Sum of the scores of analog experts over the sum of all experts' scores, in [0, 1]."""
    experts = scores[scores["kind"] == "expert"]
    total = float(experts["score"].sum())
    digital = mapping.digital_blocks()
    is_analog = [block not in digital for block in experts["block"]]
    return float(experts.loc[is_analog, "score"].sum()) / total if total > 0 else 0.0
