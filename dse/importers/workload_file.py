"""Writes a workload file around a model's shape."""

from __future__ import annotations

import dataclasses
import json
import re

from dse.spec.model import Model

_SCENARIO = """scenario:
  phase: decode
  batch: 32
  context_tokens: 1024
  precision: {weights: fp16, activations: int8, kv_cache: fp16}
routing: {kind: uniform}
sensitivity: {rule: random, seed: 0}
"""


def workload_text(model: Model, source: str) -> str:
    """A workload in YAML that stands on its own: the shape, decode of 32 sequences, random scores.

    Args:
        model: the shape.
        source: name of the file that the shape comes from.
    """
    lines = [
        f"# {model.name}: shape read from {source}; one decode step of 32 sequences.",
        "# No weights are known: scores come from a log-normal distribution and every result is marked score_only.",
        f"name: {json.dumps(slug(model.name))}",
        "model:",
    ]
    for field in dataclasses.fields(model):
        value = getattr(model, field.name)
        if value != field.default:
            lines.append(f"  {field.name}: {json.dumps(value)}")
    notes = ["notes:", f"  model: {json.dumps(f'shape from {source}')}"]
    notes.append('  routing: "uniform routing is the best case for tile contention"')
    return "\n".join(lines) + "\n" + _SCENARIO + "\n".join(notes) + "\n"


def slug(name: str) -> str:
    """A name as a file may be called.

    >>> slug("mistralai/Mixtral-8x7B-v0.1")
    'mixtral_8x7b_v0_1'
    """
    return re.sub(r"[^a-z0-9]+", "_", name.rsplit("/", maxsplit=1)[-1].lower()).strip("_") or "model"
