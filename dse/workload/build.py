"""A workload ready to be evaluated: the model's blocks, the scenario, routing and data files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dse.errors import Problem, SpecError
from dse.importers.huggingface import read_config
from dse.spec.load import LoadedWorkload, load_workload_spec
from dse.spec.model import Model
from dse.spec.node import OVERRIDE
from dse.spec.provenance import Provenance
from dse.spec.scenario import NumberFormat, Routing, Scenario, ScenarioOrMix, Sensitivity, WeightedScenario
from dse.spec.values import changed_digest, with_values
from dse.units import BITS_PER_BYTE, Quantity
from dse.workload.blocks import Block, BlockClass, block_classes, make_blocks
from dse.workload.routing_file import READERS, RoutingTable
from dse.workload.score_order import score_places

if TYPE_CHECKING:
    import pandas as pd

WORKLOAD_ROOTS: Final = ("scenario", "routing")
"""First parts of the paths at which a workload takes other values."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Workload:
    """One model under one scenario; identity is ``digest``."""

    name: str
    model: Model
    counting: str
    scenario: Scenario
    """The scenario; of a mix the first, whose formats hold for all (``mix`` and ``steps`` have the rest)."""
    routing: Routing
    sensitivity: Sensitivity
    mix: tuple[WeightedScenario, ...] = ()
    """Scenarios that share the machine, with weights; empty for a single one."""
    checkpoint: Path | None = None
    """Folder of the checkpoint, or None where no weights are known (``score_only``)."""
    number_format: NumberFormat = "float32"
    """Format that the model is held and computed in where accuracy is measured."""
    evaluation_tokens: Path | None = None
    multiple_choice: Path | None = None
    calibration_tokens: Path | None = None
    scores_file: Path | None = None
    routing_table: RoutingTable | None = field(default=None, repr=False)
    """What the routing file says; None without one."""
    score_places: NDArray[np.int64] | None = field(default=None, repr=False)
    """(layers with experts, n_experts): place of each expert in the order of scores of its layer, 0 the highest."""
    provenance: Mapping[str, Provenance] = field(default_factory=dict, repr=False)
    digest: str = ""
    loaded: LoadedWorkload | None = field(default=None, repr=False)
    """The file it was read from."""

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """All blocks in the order of execution, the embedding first."""
        return make_blocks(self.model)

    @cached_property
    def classes(self) -> tuple[BlockClass, ...]:
        """Distinct block classes, in order of first appearance."""
        return block_classes(self.model)

    @cached_property
    def tokens_per_step(self) -> Quantity:
        """Tokens of a step: decode B, prefill B · prompt, generate B · new; of a mix the mean over its steps."""
        if self.mix:
            whole = sum(entry.weight for entry in self.mix)
            return sum(entry.weight * tokens_of(entry) for entry in self.mix) / whole
        return tokens_of(self.scenario)

    def with_values(self, values: Mapping[str, ArrayLike | str]) -> Workload:
        """A copy with other values at dotted paths under ``scenario`` and ``routing``.

        In a mix the name of a scenario comes first: ``scenario.NAME.batch``; but ``scenario.precision`` is that of all.

        Raises:
            SpecError: unknown path, a value its field does not allow, or another routing file.
        """
        if "routing.file" in values:
            message = "is read with the workload; load it again with this value among its overrides"
            raise SpecError([Problem(message, "routing.file")])
        run = _Run(scenario=self.mix or self.scenario, routing=self.routing)
        spread = {
            path.replace("scenario.", f"scenario.{name}.", 1) if name else path: value
            for path, value in values.items()
            for name in ([entry.name for entry in self.mix] if path.startswith("scenario.precision.") else []) or [""]
        }
        changed, digest = with_values(run, spread), changed_digest(self.digest, spread)
        origins = dict(self.provenance) | {path: Provenance(file=OVERRIDE) for path in (*values, *spread)}
        return replace(self, **of_run(changed.scenario), routing=changed.routing, provenance=origins, digest=digest)

    def with_score_order(self, scores: pd.DataFrame) -> Workload:
        """A copy that knows the order of the experts' scores, for ``routing.norm_load_rank_correlation``.

        Args:
            scores: columns kind, layer, expert, score; as ``score_blocks`` gives it.
        """
        return replace(self, score_places=score_places(scores, self.model))


def is_of_workload(path: str) -> bool:
    """Whether a path leads into the workload, not into the architecture."""
    return path.split(".", maxsplit=1)[0] in WORKLOAD_ROOTS


@dataclass(frozen=True, eq=False, kw_only=True)
class _Run:
    """What of a workload may vary, under the names that paths use."""

    scenario: ScenarioOrMix
    routing: Routing


class RunFields(TypedDict):
    """Fields of a workload that a file gives under ``scenario``."""

    scenario: Scenario
    mix: tuple[WeightedScenario, ...]


def of_run(given: Scenario | tuple[WeightedScenario, ...]) -> RunFields:
    """The fields of a workload for one scenario or a mix."""
    return {"scenario": given[0], "mix": given} if isinstance(given, tuple) else {"scenario": given, "mix": ()}


def tokens_of(scenario: Scenario) -> Quantity:
    """Tokens of one step of a scenario: decode B, prefill B · prompt, generate B · new."""
    match scenario.phase:
        case "prefill":
            return scenario.batch * scenario.prompt_tokens
        case "generate":
            return scenario.batch * scenario.new_tokens
        case _:
            return scenario.batch * 1.0


def load_workload(path: str | Path, overrides: Mapping[str, object] | Sequence[str] = ()) -> Workload:
    """Reads a workload file (or the name of a shipped one).

    Raises:
        SpecError: every problem of the file, with line and column.
    """
    return workload_of(load_workload_spec(path, overrides))


def workload_of(loaded: LoadedWorkload) -> Workload:
    """The workload that a file describes, with the model and the routing file that it names.

    Raises:
        SpecError: no such file, or every problem of one.
    """
    spec = loaded.spec
    model = spec.model if isinstance(spec.model, Model) else read_config(loaded.path_of(spec.model, "model"))

    def file(name: str | None, key: str) -> Path | None:
        return None if name is None else loaded.path_of(name, key)

    evaluation, calibration = spec.evaluation, spec.calibration
    routing_file = file(spec.routing.file, "routing.file")
    table = None if routing_file is None else READERS[spec.routing.kind](routing_file, model)
    digest = loaded.digest
    if routing_file is not None:
        digest = hashlib.sha256(digest.encode() + routing_file.read_bytes()).hexdigest()
    return Workload(
        name=spec.name,
        model=model,
        counting=spec.counting,
        **of_run(spec.scenario),
        routing=spec.routing,
        sensitivity=spec.sensitivity,
        checkpoint=file(spec.checkpoint, "checkpoint"),
        number_format=evaluation.number_format if evaluation else "float32",
        evaluation_tokens=file(evaluation.tokens, "evaluation.tokens") if evaluation else None,
        multiple_choice=file(evaluation.multiple_choice, "evaluation.multiple_choice") if evaluation else None,
        calibration_tokens=file(calibration.tokens, "calibration.tokens") if calibration else None,
        scores_file=file(spec.sensitivity.file, "sensitivity.file"),
        routing_table=table,
        provenance=loaded.provenance,
        digest=digest,
        loaded=loaded,
    )


def kv_cache_bytes_per_token(model: Model, *, bits: float) -> float:
    """Bytes kept per token of context over all layers while no window is full [byte]."""
    return model.n_layers * model.kv_elements_per_layer * bits / BITS_PER_BYTE


def kv_cache_bytes(model: Model, *, tokens: Quantity, bits: float) -> Quantity:
    """Bytes that one sequence of that many tokens keeps over all layers [byte]; a windowed layer keeps its window."""
    return model.n_layers * tokens_in_view(model, tokens) * model.kv_elements_per_layer * bits / BITS_PER_BYTE


def tokens_in_view(model: Model, tokens: Quantity) -> Quantity:
    """Tokens of a context that a layer keeps and attends to, mean over all layers [tokens]."""
    if not model.n_windowed_layers:
        return tokens
    windowed = model.n_windowed_layers / model.n_layers
    return (1 - windowed) * tokens + windowed * np.minimum(tokens, model.window_tokens)
