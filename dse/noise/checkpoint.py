"""A Hugging Face checkpoint, loaded quietly from a local folder, safetensors only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import AutoModelForCausalLM
from transformers.utils import logging

from dse.errors import Problem, SpecError
from dse.importers.tensors import is_packed, open_checkpoint, packed_problem, shard_files
from dse.spec.digest import file_digest
from dse.spec.scenario import NumberFormat

MODEL_TYPES: Final = (
    "olmoe", "mixtral", "phimoe", "qwen2_moe", "qwen3_moe", "deepseek_v2", "deepseek_v3", "glm4_moe", "gpt_oss",
)  # fmt: skip
"""Classes of ``transformers`` that tests convert."""
STORED_DTYPES: Final = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}
"""Name in the header of a file → number format, the widest range first."""
LIBRARY_MODEL: Any = AutoModelForCausalLM
LIBRARY_LOGGING: Any = logging
"""Typed Any: the library's annotations say less than its functions return."""


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """A loaded model and what its data files must agree with."""

    model: nn.Module
    context: int
    """Longest sequence [tokens]."""
    vocab_size: int
    tokenizer_sha256: str


def load_checkpoint(folder: Path, number_format: NumberFormat = "float32") -> Checkpoint:
    """Loads the model of a checkpoint folder, in float32 or in the format that its tensors have.

    Raises:
        SpecError: a file is missing, truncated or a pickle, tensors are missing, or the model is of another class.
    """
    config = read_json(folder / "config.json")
    if config.get("model_type") not in MODEL_TYPES:
        supported = ", ".join(MODEL_TYPES)
        told = f"model_type {config.get('model_type')!r} is not simulated by this version (supported: {supported})"
        raise SpecError([Problem(told, "model_type", str(folder / "config.json"))])
    require_readable(folder)
    try:
        with quiet_library(), torch.random.fork_rng(devices=[]):
            model, loading = LIBRARY_MODEL.from_pretrained(
                folder,
                dtype=torch.float32 if number_format == "float32" else stored_dtype(folder),
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                experts_implementation="eager",
                output_loading_info=True,
            )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise SpecError(f"{folder}: not a complete checkpoint: {str(error).strip()}") from error
    absent = sorted(loading["missing_keys"])
    if absent:
        raise SpecError(f"{folder}: {len(absent)} tensors are missing, the first is {absent[0]}")
    return Checkpoint(
        model=model.eval().requires_grad_(False),
        context=int(model.config.max_position_embeddings),
        vocab_size=int(model.config.vocab_size),
        tokenizer_sha256=file_digest(folder / "tokenizer.json"),
    )


def stored_dtype(folder: Path) -> torch.dtype:
    """The widest format among the matrices of a checkpoint, whatever its configuration says."""
    formats = {tensor.dtype for tensor in open_checkpoint(folder).tensors.values() if len(tensor.shape) > 1}
    return next((dtype for name, dtype in STORED_DTYPES.items() if name in formats), torch.float32)


def checkpoint_digest(folder: Path) -> str:
    """sha256 over the configuration and all weight files."""
    files = [folder / "config.json", *shard_files(folder)]
    return hashlib.sha256("".join(file_digest(file) for file in files).encode()).hexdigest()


def require_readable(folder: Path) -> None:
    """Refuses weights that are not there or in a format that is not read, before any is loaded.

    Raises:
        SpecError: a missing or truncated shard, pickles, fp8 or packed weights; names file and tensor.
    """
    config = folder / "config.json"
    packed = [tensor for tensor in open_checkpoint(folder).tensors.values() if is_packed(tensor)]
    problems = [packed_problem(tensor) for tensor in packed[:3]]
    method = read_json(config).get("quantization_config")
    if isinstance(method, dict) and not problems:
        told = (
            f"weights of {method.get('quant_method', 'a packed format')!r} are not read; convert the checkpoint to bf16"
        )
        problems.append(Problem(told, "quantization_config", str(config)))
    if problems:
        raise SpecError(problems)


def read_json(path: Path) -> dict[str, Any]:
    """An object from a JSON file.

    Raises:
        SpecError: missing, or not a JSON object.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SpecError([Problem("no such file", file=str(path))]) from None
    except json.JSONDecodeError as error:
        raise SpecError(
            [Problem(f"not a JSON file: {error.msg}", file=str(path), line=error.lineno, column=error.colno)]
        ) from None
    if not isinstance(record, dict):
        raise SpecError([Problem("expected a JSON object", file=str(path))])
    return record


@contextmanager
def quiet_library() -> Iterator[None]:
    """Keeps ``transformers`` from printing while a checkpoint loads; afterwards it is as talkative as before."""
    verbosity, bars = LIBRARY_LOGGING.get_verbosity(), LIBRARY_LOGGING.is_progress_bar_enabled()
    LIBRARY_LOGGING.set_verbosity_error()
    LIBRARY_LOGGING.disable_progress_bar()
    try:
        yield
    finally:
        LIBRARY_LOGGING.set_verbosity(verbosity)
        if bars:
            LIBRARY_LOGGING.enable_progress_bar()
