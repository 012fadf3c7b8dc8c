"""The table of scores: one row per block, with how the scores came about in its attributes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from dse.workload.blocks import Block


def score_table(
    blocks: Sequence[Block],
    scores: Mapping[str, float],
    *,
    rule: str,
    unit: str,
    additive: bool,
    status: str,
    options: Mapping[str, str | float],
) -> pd.DataFrame:
    """Block, layer, kind, expert, score of the given blocks, in their order."""
    frame = pd.DataFrame(
        {
            "block": [block.name for block in blocks],
            "layer": pd.array([block.layer for block in blocks], dtype="Int64"),
            "kind": [block.kind for block in blocks],
            "expert": pd.array([block.expert for block in blocks], dtype="Int64"),
            "score": [scores[block.name] for block in blocks],
        }
    )
    frame.attrs = {
        "rule": rule,
        "unit": unit,
        "additive": additive,
        "status": status,
        "options": dict(options),
    }
    return frame
