"""Real tasks: EleutherAI's lm-evaluation-harness asks, a model with or without noise answers."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from pathlib import Path
from statistics import fmean
from typing import Any, Final

import torch
from lm_eval import evaluator, utils
from lm_eval.api.model import TemplateLM
from lm_eval.tasks import TaskManager
from torch import nn
from transformers import AutoTokenizer

from dse.errors import Problem, SpecError
from dse.noise.metrics import Continuation, score_continuations
from dse.noise.task_plan import MEAN_ACCURACY, TaskPlan

Untyped = Any
"""An object of the harness or of ``transformers``: their annotations say less than they return."""

FEWSHOT_SEED: Final = 1234
"""The harness's own default; set before every chip, so that all see the same examples."""
SCORED: Final = ("loglikelihood", "loglikelihood_rolling", "multiple_choice")
"""Kinds of output that are scored by probability."""


class TaskSuite:
    """Tasks with their questions, loaded once, asked of every chip."""

    def __init__(self, plan: TaskPlan, tokenizer: Untyped) -> None:
        """Loads the questions; without a folder of own tasks from the data sets the harness names.

        Raises:
            SpecError: an unknown task, one whose data set cannot be read, or one that needs generated text.
        """
        self.plan, self.tokenizer = plan, tokenizer
        with quiet_harness():
            self.loaded: Untyped = load_tasks(plan)
        generating = [n for n, task in self.loaded["tasks"].items() if task.OUTPUT_TYPE not in SCORED]
        if generating:
            raise SpecError(
                [Problem("needs generated text; only tasks scored by probability are supported", n) for n in generating]
            )

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """``TASK.METRIC`` → value, and the mean ``acc`` of several tasks."""
        for task in self.loaded["tasks"].values():
            task.set_fewshot_seed(seed=FEWSHOT_SEED)
        with quiet_harness(), torch.inference_mode():
            answers: Untyped = evaluator.evaluate(
                lm=HarnessModel(model, self.tokenizer),
                task_dict=self.loaded,
                limit=self.plan.n_items,
                bootstrap_iters=0,
                log_samples=False,
            )
        return metrics_of(answers["results"], self.plan.names)


class HarnessModel(TemplateLM):  # type: ignore[misc]  # the harness declares no types
    """A causal model of ``transformers`` as the harness asks it: log-probabilities of continuations.

    Encoding follows the harness's own class for such models: the tokenizer decides on special tokens, an empty
    context is the first token of a text, and what is longer than the context loses its beginning.
    """

    def __init__(self, model: Untyped, tokenizer: Untyped) -> None:
        super().__init__()
        self.model, self.tokenizer = model, tokenizer
        self.max_length = int(model.config.max_position_embeddings)

    @property
    def eot_token_id(self) -> int:
        """Token that ends a text."""
        return int(self.tokenizer.eos_token_id)

    @property
    def prefix_token_id(self) -> int:
        """Token that begins a text."""
        first = self.tokenizer.bos_token_id
        return self.eot_token_id if first is None else int(first)

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **kwargs: object) -> list[int]:
        """Tokens of a text."""
        starts_already = bool(self.tokenizer.bos_token) and string.startswith(self.tokenizer.bos_token)
        if add_special_tokens is None and not starts_already:
            return list(self.tokenizer.encode(string))
        return list(self.tokenizer.encode(string, add_special_tokens=bool(add_special_tokens)))

    def _loglikelihood_tokens(
        self, requests: Sequence[tuple[object, list[int], list[int]]], **kwargs: object
    ) -> list[tuple[float, bool]]:
        asked = []
        for _, context, following in requests:
            kept = (context + following)[-(self.max_length + 1) :]
            n = min(len(following), len(kept) - 1)
            asked.append(Continuation(kept[: len(kept) - n], kept[len(kept) - n :]))
        return list(score_continuations(self.model, asked))

    def loglikelihood_rolling(self, requests: Sequence[Untyped], disable_tqdm: bool = False) -> list[float]:
        """Log-probability of whole texts, in windows that do not overlap."""
        return [self.rolling(request.args[0]) for request in requests]

    def rolling(self, text: str) -> float:
        """Log-probability of one text [nats]."""
        windows = utils.get_rolling_token_windows(
            token_list=self.tok_encode(text),
            prefix_token=self.prefix_token_id,
            max_seq_len=self.max_length,
            context_len=1,
        )
        asked = [Continuation(*utils.make_disjoint_window(window)) for window in windows]
        return sum(score.log_probability for score in score_continuations(self.model, asked))

    def generate_until(self, requests: Sequence[Untyped], disable_tqdm: bool = False) -> list[str]:
        """Not supported; such tasks are refused when they are loaded."""
        raise NotImplementedError


def evaluate_tasks(
    model: nn.Module,
    tokenizer: object,
    tasks: Sequence[str],
    *,
    task_path: str | Path | None = None,
    n_items: int | None = None,
) -> dict[str, float]:
    """``TASK.METRIC`` → value of a ``transformers`` model, noisy or not, on tasks of the evaluation harness.

    Args:
        model: a causal model, e.g. from ``noisy_model``.
        tokenizer: its tokenizer, of ``transformers``.
        tasks: names of tasks or of groups of tasks.
        task_path: folder with YAML files of own tasks.
        n_items: most items of each task; None: all.

    Raises:
        SpecError: an unknown task, one whose data set cannot be read, or one that needs generated text.
    """
    plan = TaskPlan(tuple(tasks), None if task_path is None else Path(task_path), n_items)
    if not plan.names:
        raise SpecError([Problem("name at least one", "tasks")])
    if problems := plan.problems():
        raise SpecError(problems)
    return TaskSuite(plan, tokenizer).evaluate(model)


def load_tokenizer(folder: Path) -> Untyped:
    """The tokenizer of a checkpoint folder.

    Raises:
        SpecError: the folder holds none.
    """
    library: Untyped = AutoTokenizer
    try:
        return library.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise SpecError(f"{folder}: no tokenizer that transformers can load: {str(error).strip()}") from None


def load_tasks(plan: TaskPlan) -> Untyped:
    """The tasks of a plan as the harness holds them.

    Raises:
        SpecError: unknown names, or data that cannot be read.
    """
    folder = None if plan.folder is None else str(plan.folder)
    manager = TaskManager(include_path=folder, include_defaults=False)
    if any(name not in manager.all_tasks for name in plan.names):
        manager = TaskManager(include_path=folder)  # the harness's own 14 000 names take seconds
    unknown = [name for name in plan.names if name not in manager.all_tasks]
    if unknown:
        where = f" and not in {folder}" if folder else "; --task-path names a folder of own tasks"
        raise SpecError([Problem(f"no task of the evaluation harness{where}", f"tasks: {name}") for name in unknown])
    try:
        return manager.load(list(plan.names))
    except Exception as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise SpecError(
            f"tasks {', '.join(plan.names)}: their data cannot be read ({said[0]}); without a network the data sets "
            "must have been downloaded before"
        ) from error


def metrics_of(results: Mapping[str, Mapping[str, Any]], names: Sequence[str]) -> dict[str, float]:
    """``TASK.METRIC`` → value, from the harness's results.

    A name that stands for several tasks without a value of its own gives all of them.

    >>> metrics_of({"a": {"alias": "a", "acc,none": 0.5, "acc_stderr,none": 0.1}, "b": {"acc,none": 0.25}}, ["a", "b"])
    {'a.acc': 0.5, 'b.acc': 0.25, 'tasks.acc': 0.375}
    """
    shown = [name for name in names if name in results]
    shown += [name for name in results if len(shown) < len(names) and name not in shown]
    found = {}
    for task in shown:
        for key, value in results[task].items():
            metric, _, kept = key.partition(",")
            if isinstance(value, int | float) and kept and not metric.endswith("_stderr"):
                found[f"{task}.{metric}" if kept == "none" else f"{task}.{metric}.{kept}"] = float(value)
    accuracies = [found[f"{task}.acc"] for task in shown if f"{task}.acc" in found]
    if len(accuracies) == len(shown) > 1:
        found[MEAN_ACCURACY] = fmean(accuracies)
    return found


@contextmanager
def quiet_harness() -> Iterator[None]:
    """Keeps log, warnings and bars of the harness and its data library off stderr; errors are raised all the same."""
    loggers = [logging.getLogger(name) for name in ("lm_eval", "datasets")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with redirect_stderr(StringIO()):
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
