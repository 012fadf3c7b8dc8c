"""How much of the experts' total score a mapping leaves on analog cores."""

from __future__ import annotations

import pandas as pd

from dse.mapping.model import Mapping


def sensitivity_share(scores: pd.DataFrame, mapping: Mapping) -> float:
    """Sum of the scores of analog experts over the sum of all experts' scores, in [0, 1]; r copies count 1/r."""
    experts = scores[scores["kind"] == "expert"]
    total = float(experts["score"].sum())
    options = [mapping.placement.get(block) for block in experts["block"]]
    weight = [0.0 if o is None or o.precision != "analog" else 1 / o.copies for o in options]
    return float((experts["score"] * weight).sum()) / total if total > 0 else 0.0
