"""The test bench of one workload: its model, its text, its digital result and its converter ranges, kept in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

import dse.noise
from dse.errors import Problem, SpecError
from dse.noise.calibrate import measure_ranges
from dse.noise.checkpoint import checkpoint_digest, load_checkpoint
from dse.noise.convert import Ranges
from dse.noise.data import Item, read_items, read_tokens, token_windows
from dse.noise.metrics import evaluate_model, trace_of
from dse.noise.ranges import RangePlan
from dse.noise.rebuild import rebuilt, shared_copy
from dse.noise.sites import sites
from dse.noise.task_plan import NO_TASKS, TaskPlan
from dse.noise.torch_device import fits, free_bytes, layer_by_layer, moved_copy, stored_bytes
from dse.noise.trace import Trace
from dse.spec.digest import file_digest
from dse.spec.scenario import NumberFormat
from dse.workload.build import Workload

if TYPE_CHECKING:
    from dse.noise.tasks import TaskSuite

CALIBRATION_TOKENS = 8192
"""Tokens of training text that converter ranges are taken from, at most."""


@dataclass(frozen=True, slots=True)
class BenchKey:
    """Files of a test bench with their digests, and how much of them is used; equal keys mean equal results."""

    checkpoint: Path
    tokens: Path
    items: Path | None
    calibration: Path | None
    n_tokens: int
    n_items: int | None
    tasks: TaskPlan
    digests: tuple[tuple[str, str], ...]
    torch_device: str = "cpu"
    number_format: NumberFormat = "float32"


@dataclass(slots=True, eq=False)
class Bench:
    """A loaded model with its evaluation text."""

    model: nn.Module
    """The digital model, in the sorted loop of experts; on the device if it fits there twice, else on the host."""
    windows: Tensor
    """Tokens [windows, context + 1]."""
    items: tuple[Item, ...]
    calibration: Tensor | None
    tasks: TaskSuite | None
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    is_roomy: bool = True
    """Whether the memory of the device holds the digital model and a chip."""
    known_ranges: dict[RangePlan, Ranges] = field(default_factory=dict)
    known_metrics: dict[str, float] = field(default_factory=dict)
    known_trace: Trace = field(default_factory=dict)
    lock: RLock = field(default_factory=RLock)
    """Held while the digital model is evaluated, so that threads do it once; watched is always a copy, since chips are
    copied from the model meanwhile."""

    def evaluate(self, model: nn.Module, trace: Trace) -> dict[str, float]:
        """Metrics of a model on text, items and tasks; fills the trace of its MoE layers on the first batch."""
        placed = self.placed(model)
        found = evaluate_model(placed, self.windows, self.items, trace=trace)
        return found if self.tasks is None else found | self.tasks.evaluate(placed)

    def placed(self, model: nn.Module) -> nn.Module:
        """A model of this bench where it can run on the device."""
        if self.is_roomy or self.device.type == "cpu":
            return model
        return cast("nn.Module", layer_by_layer(model, self.device))

    @property
    def digital(self) -> dict[str, float]:
        """Metrics of the digital model; measured when first asked for."""
        with self.lock:
            if not self.known_metrics:
                self.known_metrics = self.evaluate(shared_copy(self.model), self.known_trace)
            return self.known_metrics

    @property
    def digital_trace(self) -> Trace:
        """MoE layers of the digital model on the first batch."""
        with self.lock:
            if not self.known_trace:
                self.known_trace = trace_of(self.placed(shared_copy(self.model)), self.windows)
            return self.known_trace

    @property
    def n_tokens(self) -> int:
        """Predicted tokens."""
        return self.windows.shape[0] * (self.windows.shape[1] - 1)

    def ranges(self, plans: frozenset[RangePlan]) -> Ranges:
        """Converter ranges for the cores of these plans; measured when first asked for."""
        assert self.calibration is not None
        for plan in plans - self.known_ranges.keys():
            self.known_ranges[plan] = measure_ranges(self.model, self.calibration, plans=[plan])
        return {key: value for plan in plans for key, value in self.known_ranges[plan].items()}


def bench_key(
    workload: Workload,
    *,
    n_tokens: int,
    n_items: int | None,
    needs_ranges: bool,
    tasks: TaskPlan = NO_TASKS,
    torch_device: str = "cpu",
) -> BenchKey:
    """The files that accuracy of a workload is measured on.

    Raises:
        SpecError: the workload names no checkpoint, no evaluation text or no calibration text.
    """
    problems = []
    if workload.checkpoint is None:
        problems.append(Problem("no weights, so accuracy cannot be measured; add  checkpoint: FOLDER", "checkpoint"))
    if workload.evaluation_tokens is None:
        problems.append(Problem("no held-out text; add  evaluation: {tokens: FILE.npy}", "evaluation"))
    if needs_ranges and workload.calibration_tokens is None:
        problems.append(
            Problem("no training text for converter ranges; add  calibration: {tokens: FILE.npy}", "calibration")
        )
    if n_items != 0 and workload.multiple_choice is None and n_items is not None:
        problems.append(Problem("no items; add  multiple_choice: FILE.jsonl", "evaluation.multiple_choice"))
    if workload.checkpoint is None or workload.evaluation_tokens is None or problems:
        raise SpecError([Problem(p.message, f"workload {workload.name}: {p.path}") for p in problems])
    items = workload.multiple_choice if n_items != 0 else None
    calibration = workload.calibration_tokens if needs_ranges else None
    files = {"evaluation": workload.evaluation_tokens, "multiple_choice": items, "calibration": calibration}
    digests = {"checkpoint": checkpoint_digest(workload.checkpoint)}
    digests |= {name: file_digest(path) for name, path in files.items() if path is not None}
    return BenchKey(
        checkpoint=workload.checkpoint,
        tokens=workload.evaluation_tokens,
        items=items,
        calibration=calibration,
        n_tokens=n_tokens,
        n_items=n_items,
        tasks=tasks,
        digests=tuple((digests | tasks.digests()).items()),
        torch_device=torch_device,
        number_format=workload.number_format,
    )


@lru_cache(maxsize=2)
def load_bench(key: BenchKey) -> Bench:
    """Loads model, text and tasks.

    Raises:
        SpecError: every problem of checkpoint, token files and items.
    """
    checkpoint = load_checkpoint(key.checkpoint, key.number_format)
    agreed = {"tokenizer_sha256": checkpoint.tokenizer_sha256}
    tokens = read_tokens(key.tokens, vocab_size=checkpoint.vocab_size, **agreed)
    context = min(checkpoint.context, max(key.n_tokens, 1))
    windows = torch.from_numpy(token_windows(tokens, context=context, n_tokens=key.n_tokens))
    items: tuple[Item, ...] = ()
    if key.items is not None:
        items = read_items(key.items, vocab_size=checkpoint.vocab_size, context=checkpoint.context, n_items=key.n_items)
    calibration = None
    if key.calibration is not None:
        training = read_tokens(key.calibration, vocab_size=checkpoint.vocab_size, **agreed)
        context = min(checkpoint.context, CALIBRATION_TOKENS)
        calibration = torch.from_numpy(token_windows(training, context=context, n_tokens=CALIBRATION_TOKENS)[:, :-1])
    suite = dse.noise.TaskSuite(key.tasks, dse.noise.load_tokenizer(key.checkpoint)) if key.tasks.names else None
    model: nn.Module = rebuilt(checkpoint.model, lambda site: None)
    device = torch.device(key.torch_device)
    n_bytes, is_host = stored_bytes(model), device.type == "cpu"
    is_roomy = fits(n_bytes if is_host else 2 * n_bytes, free_bytes(device))
    return Bench(
        model=model if is_host or not is_roomy else moved_copy(model, device),
        windows=windows,
        items=items,
        calibration=calibration,
        tasks=suite,
        device=device,
        is_roomy=is_roomy,
    )


def require_same_shapes(model: nn.Module, workload: Workload) -> None:
    """Refuses a checkpoint whose matrices are not those of the workload's model.

    Raises:
        SpecError: names the first blocks that differ.
    """
    said = {block.name: {m.name: (m.n_out, m.n_in) for m in block.block_class.matrices} for block in workload.blocks}
    found: dict[str, dict[str, tuple[int, ...]]] = {}
    for site in sites(model):
        found.setdefault(site.block, {}).update({name: tuple(part.shape) for name, part in site.parts()})
    differing = [
        name for name in found.keys() | said.keys() if name != "embedding" and found.get(name) != said.get(name)
    ]
    if differing:
        problems = [
            Problem(f"checkpoint has {found.get(name)}, workload says {said.get(name)} [outputs, inputs]", name)
            for name in sorted(differing)[:5]
        ]
        raise SpecError(problems)
