"""Reads a Hugging Face ``config.json`` into a Model, without ``transformers``."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

from dse.errors import SpecError
from dse.importers.attention_fields import read_attention, read_window
from dse.importers.config_file import ConfigFile, read_config_file
from dse.importers.families import (
    LANGUAGE_PART,
    REFUSED,
    SUPPORTED,
    WRAPPED,
    Family,
    family_of,
    family_of_class,
    unsupported,
)
from dse.importers.layer_fields import read_layers, read_shared
from dse.spec.model import MAX_LAYERS, BiasName, Model
from dse.spec.model_checks import model_contradictions

EXPERTS: Final = ("num_experts", "num_local_experts", "n_routed_experts")
TOP_K: Final = ("num_experts_per_tok", "experts_per_token")
_INDEXER: Final = ("index_topk", "index_n_heads", "index_head_dim")
_KEYS: Final[dict[str, str]] = {"top_k": "num_experts_per_tok", "n_kv_heads": "num_key_value_heads"}
"""Field of Model → key that a broken rule is reported at."""


class ImportedConfig(NamedTuple):
    """What a configuration says."""

    model: Model
    notes: tuple[str, ...]
    """What was assumed and what was left out."""


def read_config(path: Path) -> Model:
    """The Model that a ``config.json`` (or the folder that holds it) describes.

    Raises:
        SpecError: missing file, no JSON, an unsupported ``model_type``, missing or contradicting fields.
    """
    return import_config(path).model


def import_config(path: Path) -> ImportedConfig:
    """The Model that a ``config.json`` (or the folder that holds it) describes, with what was assumed.

    Raises:
        SpecError: missing file, no JSON, an unsupported ``model_type``, missing or contradicting fields.
    """
    path = path / "config.json" if path.is_dir() else path
    file = read_config_file(path)
    return described_model(file, name_of(file, path))


def described_model(file: ConfigFile, name: str) -> ImportedConfig:
    """The Model that a configuration describes, with what was assumed.

    Raises:
        SpecError: an unsupported ``model_type``, missing or contradicting fields.
    """
    family, part = supported_family(file)
    config = file if part is None else file.part(part)
    if part is not None:
        config.notes.append(f"only {part} is read: other parts, such as a vision tower, are left out")
    model = read_model(config, family, name)
    if not config.problems:
        for field, message in model_contradictions(model):
            config.fail(_KEYS.get(field, field), message)
    if config.problems:
        raise SpecError(config.problems)
    return ImportedConfig(model, tuple(dict.fromkeys(config.notes)))


def supported_family(file: ConfigFile) -> tuple[Family, str | None]:
    """The family of a configuration, and the key of the part that describes the language model, if not the whole.

    Raises:
        SpecError: another family, or parts that are not modelled, or no experts.
    """
    kind, classes = file.values.get("model_type"), file.values.get("architectures")
    named = classes[0] if isinstance(classes, list) and classes else classes
    by_class = family_of_class(named)
    part = LANGUAGE_PART if str(kind) in WRAPPED else None
    fields = file.values if part is None else file.part(part).values
    inner_kind = kind if part is None else fields.get("model_type") or WRAPPED[str(kind)]
    family = by_class if kind is None else family_of(inner_kind)
    if kind is None and family is None:
        file.fail("model_type", f"missing (supported: {', '.join(SUPPORTED)})")
    elif family is None:
        why = unsupported(str(inner_kind))
        is_moe = str(kind) in REFUSED or any("expert" in key for way in file.places for key in way)
        file.fail("model_type", why if is_moe else f"not an MoE: none of {', '.join(EXPERTS)} is given; {why}")
    elif by_class not in (None, family):
        file.fail("architectures", f"{named!r} contradicts model_type = {kind!r}; correct one of the two")
    elif not any(fields.get(key) for key in EXPERTS):
        at = next((key for key in EXPERTS if key in file.values), EXPERTS[0])
        file.fail(at, f"not an MoE: no expert count (one of {', '.join(EXPERTS)})")
    for key in _INDEXER:
        if fields.get(key):
            file.fail(key, "a sparse-attention indexer adds weights and work that this version does not model")
    if file.problems or family is None:
        raise SpecError(file.problems)
    return family, part


def read_model(config: ConfigFile, family: Family, name: str) -> Model:
    """The model that the fields describe; where the configuration has problems its numbers mean nothing."""
    check_respelled(config)
    n_layers, d_model = config.count("num_hidden_layers", high=MAX_LAYERS), config.count("hidden_size")
    d_expert = config.count(*family.expert_width)
    attention = read_attention(config, family, d_model)
    head_bias: tuple[BiasName, ...] = ()
    if family.has_head_bias_flag and config.flag("lm_head_bias", default=None):
        head_bias = ("head",)
    if config.values.get("quantization_config") or config.around.get("quantization_config"):
        config.notes.append("quantization_config is not read: scenario.precision says how the weights are stored")
    if config.values.get("num_nextn_predict_layers"):
        config.notes.append("the prediction module (num_nextn_predict_layers) is left out")
    return Model(
        name=name,
        d_model=d_model,
        n_layers=n_layers,
        vocab_size=config.count("vocab_size"),
        n_experts=config.count(*EXPERTS),
        top_k=config.count(*TOP_K),
        d_expert=d_expert,
        tied_head=config.flag("tie_word_embeddings", default=False),
        norm="layer_norm" if family.layer_norm else "rms_norm",
        biases=(*attention.biases, *family.always_biased, *head_bias),
        attention_sinks=family.sinks,
        shared_expert_gate=family.shared == "width",
        attention=family.attention,
        **attention.sizes,
        **read_window(config, family, n_layers),
        **read_layers(config, family, n_layers),
        **read_shared(config, family, d_expert),
    )


def check_respelled(config: ConfigFile) -> None:
    """Adds a problem for fields that say the same thing in two spellings and differ."""
    config.agreed("torch_dtype", "dtype")
    rope, theta = config.values.get("rope_parameters"), config.values.get("rope_theta")
    inner = rope.get("rope_theta") if isinstance(rope, dict) else None
    if theta is not None and inner is not None and theta != inner:
        config.contradict("rope_parameters.rope_theta", inner, "rope_theta", theta)
    if config.values.get("mlp_bias"):
        config.fail("mlp_bias", "biases of FFNs are not modelled for this family; write false")
    if config.values.get("linear_attn_config"):
        config.fail("linear_attn_config", "linear attention is not modelled by this version")


def name_of(file: ConfigFile, path: Path) -> str:
    """What to call the model: what the configuration says, else its folder (or the file, if it has its own name)."""
    said = file.values.get("_name_or_path")
    if isinstance(said, str) and said:
        return Path(said).name if Path(said).is_absolute() else said
    return path.resolve().parent.name if path.name == "config.json" else path.stem
