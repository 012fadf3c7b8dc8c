"""What is run: phase, batch, lengths, precisions, routing, sensitivity, data files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal, TypeAlias

from pydantic import Discriminator, Field, Tag

from dse.spec.model import Model
from dse.spec.quantity import CONFIG, Count, NonNegative, Number, Positive, Whole
from dse.units import Precision

NumberFormat: TypeAlias = Literal["float32", "as_stored"]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Precisions:
    """Formats of the numbers that stay digital."""

    __pydantic_config__ = CONFIG

    weights: Precision = "fp16"
    """Dense and pinned weights."""
    activations: Precision = "fp16"
    """Activations, in memory and on links."""
    kv_cache: Precision = "fp16"
    """Keys and values."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Scenario:
    """One step: a decode token for each of ``batch`` sequences, the prefill of ``batch`` prompts, or whole requests."""

    __pydantic_config__ = CONFIG

    phase: Literal["decode", "prefill", "generate"]
    """``decode``: one new token per sequence; ``prefill``: all tokens of the prompts; ``generate``: the prefill of the
    prompts and then every new token, each at the context that has grown so far."""
    batch: Count
    """Sequences that run together."""
    prompt_tokens: Count = 1
    """Length of a prompt [tokens]; used in prefill and in generate."""
    context_tokens: Whole = 0
    """Tokens already in the cache of each sequence [tokens]; used in decode."""
    new_tokens: Count = 1
    """Tokens that each sequence makes [tokens]; used in generate."""
    precision: Precisions = field(default_factory=Precisions)
    """Formats of the digital numbers."""
    time_since_programming_s: NonNegative = 0.0
    """Age of the programmed weights [s]: what accuracy is measured at; above 0 the devices need a drift model."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class WeightedScenario(Scenario):
    """One scenario of a mix."""

    __pydantic_config__ = CONFIG

    name: str = ""
    """Name in results and in paths: ``scenario.NAME.batch``; where the file gives none, the phase (``decode2``)."""
    weight: Positive = 1.0
    """Steps of this scenario relative to those of the others."""


def _is_list(value: object) -> str:
    return "list" if isinstance(value, list | tuple) else "one"


ScenarioOrMix: TypeAlias = Annotated[
    Annotated[Scenario, Tag("one")] | Annotated[tuple[WeightedScenario, ...], Field(min_length=1), Tag("list")],
    Discriminator(_is_list),
]
"""One scenario, or the scenarios of a mix."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Routing:
    """How tokens choose experts."""

    __pydantic_config__ = CONFIG

    kind: Literal["uniform", "zipf", "measured", "trace"] = "uniform"
    """``uniform``: all experts equally likely, the best case; ``zipf``: popularity falls with rank; ``measured``:
    loads of every layer from a file; ``trace``: the choices of consecutive tokens from a file."""
    file: str | None = None
    """CSV ``layer,expert,probability`` (``measured``: visits per token, which add up to top_k in each layer, or shares
    that add up to 1) or ``token,layer,expert`` (``trace``: one row per choice)."""
    zipf_exponent: Annotated[float, Number(ge=0, le=100)] = 0.0
    """Exponent s of popularity ∝ rank^-s (``zipf`` only)."""
    seed: Annotated[int, Number(ge=0, integer=True)] = 0
    """Seed of the order in which experts are ranked, one order per layer (``zipf`` only)."""
    correlation: Annotated[float, Number(ge=0, le=1)] = 0.0
    """Probability that a token follows one choice of the whole batch instead of its own: 0 independent, 1 all tokens
    of a step use the same experts (not with ``trace``, whose tokens are as correlated as they are)."""
    norm_load_rank_correlation: Annotated[float, Number(ge=-1, le=1)] = 0.0
    """Expected rank correlation of an expert's load and its score within a layer (``zipf`` only): 1 the highest
    scores are the busiest, 0 unrelated."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Sensitivity:
    """Which score says how much an expert suffers from analog noise."""

    __pydantic_config__ = CONFIG

    rule: Literal["max_neuron_norm", "router_norm", "random"] | None = None
    """Rule that computes the score (``random``: log-normal, no weights needed, marked ``score_only``)."""
    file: str | None = None
    """CSV with columns block, layer, kind, expert, score (instead of a rule)."""
    seed: Annotated[int, Number(ge=0, integer=True)] = 0
    """Seed of the ``random`` rule."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Evaluation:
    """Held-out data that accuracy is measured on."""

    __pydantic_config__ = CONFIG

    tokens: str
    """Token file (``.npy`` of uint16, or of uint32 for vocabularies above 65 536, with a JSON sidecar)."""
    multiple_choice: str | None = None
    """Multiple-choice items (JSONL)."""
    number_format: NumberFormat = "float32"
    """Format that the model is held and computed in: ``as_stored`` is that of the checkpoint, e.g. bfloat16, with half
    the memory; behind converters, and in losses, numbers are float32 in either case."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Calibration:
    """Training text that converter ranges are calibrated on; never the evaluation text."""

    __pydantic_config__ = CONFIG

    tokens: str
    """Token file (``.npy`` of uint16, or of uint32 for vocabularies above 65 536, with a JSON sidecar)."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class WorkloadSpec:
    """What a workload file says."""

    __pydantic_config__ = CONFIG

    name: str
    """Name shown in reports."""
    model: str | Model
    """Path of a Hugging Face ``config.json``, or the shape itself."""
    counting: Literal["standard", "ibm_3dcim"] = "standard"
    """``ibm_3dcim`` also charges ceil(d_model/cols) products a token for the embedding, as IBM's simulator does."""
    scenario: ScenarioOrMix
    """What one step does; or a list of named, weighted scenarios, whose mix is evaluated."""
    routing: Routing = field(default_factory=Routing)
    """How tokens choose experts."""
    sensitivity: Sensitivity = field(default_factory=lambda: Sensitivity(rule="random"))
    """Score of the experts."""
    checkpoint: str | None = None
    """Folder of a Hugging Face checkpoint (config.json, safetensors, tokenizer)."""
    evaluation: Evaluation | None = None
    """Held-out data."""
    calibration: Calibration | None = None
    """Training text for converter ranges."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """Free remarks, by topic."""
