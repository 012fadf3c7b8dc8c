"""The parts that a pipelined architecture runs a batch in."""

from __future__ import annotations

import dataclasses

import numpy as np

from dse.errors import Problem, SpecError
from dse.spec.architecture import Architecture
from dse.spec.provenance import placed
from dse.units import Quantity
from dse.workload.build import Workload
from dse.workload.steps import scenarios_of


def n_micro_batches(arch: Architecture) -> Quantity:
    """Parts of a batch: ``micro_batches`` of a pipelined architecture, else 1."""
    return arch.micro_batches if arch.composition == "pipelined" and arch.micro_batches is not None else 1.0


def micro_batch(arch: Architecture, workload: Workload) -> Workload:
    """The workload of one micro-batch: batch / micro_batches sequences, where that is no whole number the mean."""
    if arch.composition != "pipelined":
        return workload
    scenario = workload.scenario
    batch = scenario.batch / n_micro_batches(arch)
    return dataclasses.replace(workload, scenario=dataclasses.replace(scenario, batch=batch))


@placed
def require_sequences(arch: Architecture, workload: Workload) -> None:
    """Refuses a batch with fewer sequences than micro-batches.

    Raises:
        SpecError: says both numbers and what to change.
    """
    parts = n_micro_batches(arch)
    for step in scenarios_of(workload):
        batch = step.workload.scenario.batch
        if np.any(np.asarray(batch < parts)):
            where = f"scenario.{step.name}.batch" if workload.mix else "scenario.batch"
            message = (
                f"each micro-batch needs a sequence: {np.max(parts):g} micro-batches of a batch of {np.min(batch):g}; "
                f"raise {where}, lower micro_batches, or write composition: overlapped"
            )
            raise SpecError([Problem(message, path="micro_batches")])
