"""Maximum neuron norm: the product over an expert's matrices of their largest neuron's l2 norm."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from dse.errors import SpecError
from dse.importers.tensors import read_matrices
from dse.spec.model import Model

FloatArray = NDArray[np.floating]
NeuronAxis = Literal["output", "intermediate"]

UNIT: Final = "1"
ADDITIVE: Final = False
"""The rule only ranks experts; that its scores add up is an assumption of whoever sums them."""


def max_neuron_norm(weights: Mapping[str, FloatArray], *, neuron_axis: NeuronAxis = "output") -> float:
    """Score of one expert from its matrices ``gate`` (if any), ``up`` and ``down``, each [out, in] [-].

    ``score = Π_matrix max_neuron ||w_neuron||_2``

    Scaling ``up`` by a and ``down`` by 1/a, or reordering neurons, leaves the function of a gated expert and
    its score unchanged.

    Args:
        weights: matrix name → weights [out, in].
        neuron_axis: what a neuron of ``down`` is. ``output``: a row, one per output, as for ``gate`` and
            ``up`` (how the first author's public code of an earlier paper computes it); ``intermediate``: a
            column, one per inner neuron, which is also what a row of ``gate`` and ``up`` is.

    Valid for: ranking experts. The product spans orders of magnitude, so sums and differences of scores mean
    little. The paper's text was not available to settle the axis, so it is an option.

    Source: MaxNNScore, arXiv 2603.02633.

    >>> max_neuron_norm({"up": np.array([[3.0, 4.0]]), "down": np.array([[2.0], [1.0]])})
    10.0
    """
    return prod(
        float(np.max(np.linalg.norm(w, axis=0 if name == "down" and neuron_axis == "intermediate" else 1)))
        for name, w in weights.items()
    )


def expert_scores(checkpoint: Path, model: Model, *, neuron_axis: str = "output") -> dict[str, float]:
    """Score of every routed expert, by block name, read from a checkpoint [-].

    Raises:
        SpecError: unreadable checkpoint, or an unknown ``neuron_axis``.
    """
    if neuron_axis not in get_args(NeuronAxis):
        known = ", ".join(get_args(NeuronAxis))
        raise SpecError(f"max_neuron_norm: neuron_axis must be one of {known} (got {neuron_axis!r})")
    axis: NeuronAxis = "intermediate" if neuron_axis == "intermediate" else "output"
    scores: dict[str, float] = {}
    for block, matrix, weight in read_matrices(checkpoint, model, kinds={"expert"}):
        scores[block] = scores.get(block, 1.0) * max_neuron_norm({matrix: weight}, neuron_axis=axis)
    return scores
