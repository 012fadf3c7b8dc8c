"""The order of the experts of each layer by their scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dse.spec.model import Model

if TYPE_CHECKING:
    import pandas as pd


def score_places(scores: pd.DataFrame, model: Model) -> NDArray[np.int64]:
    """(L, E): place of each expert in the order of the scores of its layer, 0 the highest.

    Args:
        scores: columns kind, layer, expert, score; as ``score_blocks`` gives it.
        model: shape of the model.
    """
    row = {layer: index for index, layer in enumerate(model.expert_layers)}
    experts = scores[scores["kind"] == "expert"]
    table = np.zeros((model.n_moe_layers, model.n_experts))
    table[experts["layer"].map(row).to_numpy(np.int64), experts["expert"].to_numpy(np.int64)] = experts["score"]
    return np.argsort(np.argsort(-table, axis=1, kind="stable"), axis=1)
