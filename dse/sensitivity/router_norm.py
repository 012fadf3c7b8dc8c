"""Router norm: how strongly the router's row of an expert can speak for it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from dse.importers.tensors import read_matrices
from dse.spec.model import Model

UNIT: Final = "1"
ADDITIVE: Final = False
"""The rule only ranks experts."""


def expert_scores(checkpoint: Path, model: Model) -> dict[str, float]:
    """Score of every routed expert, by block name, read from a checkpoint [-].

    ``score = ||w_e||_2``, w_e the row of expert e of the router's matrix [experts, d_model].

    Valid for: ranking the experts of one layer; a baseline of arXiv 2603.02633, computed as in bitallocutils.py of
    nowazrabbani/moe_quantization.

    Raises:
        SpecError: unreadable checkpoint.
    """
    scores: dict[str, float] = {}
    for block, _, weight in read_matrices(checkpoint, model, kinds={"router"}):
        layer = block.removesuffix(".router")
        norms = np.linalg.norm(weight, axis=1)
        scores |= {f"{layer}.experts.{expert}": float(norm) for expert, norm in enumerate(norms)}
    return scores
