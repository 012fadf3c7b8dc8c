"""A workload of a checkpoint folder alone: its shape and weights, one decode step."""

from __future__ import annotations

import hashlib
from pathlib import Path

from dse.importers.huggingface import read_config
from dse.spec.scenario import Routing, Scenario, Sensitivity
from dse.workload.build import Workload


def checkpoint_workload(folder: str | Path) -> Workload:
    """Decode of one sequence by the model of a Hugging Face checkpoint folder, scored by its weights.

    Raises:
        SpecError: no ``config.json``, or one that is not supported.
    """
    folder = Path(folder)
    model = read_config(folder / "config.json")
    return Workload(
        name=folder.resolve().name,
        model=model,
        counting="standard",
        scenario=Scenario(phase="decode", batch=1),
        routing=Routing(),
        sensitivity=Sensitivity(rule="max_neuron_norm"),
        checkpoint=folder,
        digest=hashlib.sha256(repr(model).encode()).hexdigest(),
    )
