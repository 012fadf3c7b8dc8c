"""Reads a Hugging Face ``config.json`` into a Model, without ``transformers``."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any, Final

from dse.errors import Problem, SpecError
from dse.spec.model import Model

SUPPORTED: Final = ("olmoe",)
REQUIRED: Final[dict[str, tuple[str, ...]]] = {
    "d_model": ("hidden_size",),
    "n_layers": ("num_hidden_layers",),
    "n_heads": ("num_attention_heads",),
    "n_kv_heads": ("num_key_value_heads",),
    "vocab_size": ("vocab_size",),
    "n_experts": ("num_experts", "num_local_experts"),
    "top_k": ("num_experts_per_tok",),
    "d_expert": ("intermediate_size",),
}
"""Field of Model → spellings in the file; a class default never stands in for a missing one."""


def read_config(path: Path) -> Model:
    """The Model that a ``config.json`` (or the folder that holds it) describes.

    Raises:
        SpecError: missing file, no JSON, an unsupported ``model_type``, missing or contradicting fields.
    """
    path = path / "config.json" if path.is_dir() else path
    config = read_json(path)
    require_supported(config.get("model_type"), str(path))
    values, problems = read_fields(config, str(path))
    if values["n_heads"] and values["d_model"] % values["n_heads"]:
        problems.append(
            Problem(f"{values['d_model']} is not a multiple of num_attention_heads", "hidden_size", str(path))
        )
    if values["top_k"] > values["n_experts"] > 0:
        problems.append(Problem(f"{values['top_k']} exceeds the number of experts", "num_experts_per_tok", str(path)))
    if problems:
        raise SpecError(problems)
    head_dim = config.get("head_dim") or values["d_model"] // values["n_heads"]
    return Model(
        name=str(config.get("_name_or_path") or path.resolve().parent.name),
        head_dim=head_dim,
        qk_norm_parameters_per_layer=(values["n_heads"] + values["n_kv_heads"]) * head_dim,
        tied_head=bool(config.get("tie_word_embeddings", False)),
        d_model=values["d_model"],
        n_layers=values["n_layers"],
        n_heads=values["n_heads"],
        n_kv_heads=values["n_kv_heads"],
        vocab_size=values["vocab_size"],
        n_experts=values["n_experts"],
        top_k=values["top_k"],
        d_expert=values["d_expert"],
    )


def read_fields(config: dict[str, Any], file: str) -> tuple[dict[str, int], list[Problem]]:
    """The required counts of a configuration and what is wrong with them; a wrong count reads as 0."""
    values: dict[str, int] = {}
    problems: list[Problem] = []
    for field, spellings in REQUIRED.items():
        found = {spelling: config[spelling] for spelling in spellings if spelling in config}
        value = next(iter(found.values()), None)
        if value is None:
            problems.append(Problem("missing; a class default is not the checkpoint's value", spellings[0], file))
        elif any(other != value for other in found.values()):
            problems.append(Problem(f"contradicting values {found}", " / ".join(found), file))
        elif isinstance(value, bool) or not isinstance(value, int) or value <= 0:
            problems.append(Problem(f"expected a whole number > 0 (got {value!r})", next(iter(found)), file))
            value = None
        values[field] = value if isinstance(value, int) else 0
    return values, problems


def read_json(path: Path) -> dict[str, Any]:
    """The fields of a configuration file."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SpecError([Problem("no such file; expected a Hugging Face config.json", file=str(path))]) from None
    except json.JSONDecodeError as error:
        problem = Problem(f"not JSON: {error.msg}", file=str(path), line=error.lineno, column=error.colno)
        raise SpecError([problem]) from None
    if not isinstance(config, dict):
        raise SpecError([Problem("expected a JSON object of fields", file=str(path))])
    return config


def require_supported(kind: object, file: str) -> None:
    """Raises SpecError for a ``model_type`` whose fields are not known."""
    if kind in SUPPORTED:
        return
    near = difflib.get_close_matches(str(kind), SUPPORTED, 1, 0.4)
    hint = f"; nearest supported: {near[0]}" if near else ""
    message = (
        f"model_type {kind!r} is not supported by this version (supported: {', '.join(SUPPORTED)}){hint}; "
        "give the shape under `model:` in the workload file instead"
    )
    raise SpecError([Problem(message, "model_type", file)])
