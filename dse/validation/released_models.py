"""Sizes of released models: parameters and crossbars against transformers and published figures."""

from __future__ import annotations

import copy
import dataclasses
import json
from typing import Any

from dse.importers.config_file import parse_config
from dse.importers.huggingface import described_model
from dse.spec.model import Model
from dse.validation.comparison import Claim, Comparison, Row
from dse.validation.files import read_json
from dse.workload.parameters import crossbar_counts, parameter_counts

FILE = "released_models.json"
EXACT = Claim(max_fraction=0.0)


def compare_parameters() -> Comparison:
    """Every count of every released, saved again or edited configuration."""
    facts = read_json(FILE)
    rows = [
        row
        for name, entry in facts["models"].items()
        for key in ("config", "resaved")
        if key in entry
        for row in parameter_rows(name if key == "config" else f"{name}, saved again", entry[key], entry["parameters"])
    ]
    for name, edited in facts["edited"].items():
        config = with_edit(facts["models"][edited["base"]]["config"], edited["edit"])
        rows += parameter_rows(name, config, {"total": edited["total"]})
    n_edited, n_saved = len(facts["edited"]), sum("resaved" in entry for entry in facts["models"].values())
    return Comparison(
        name="Parameters of released models",
        what=f"Totals, the three meanings of active, and parts, read from {len(facts['models'])} released "
        f"config.json files, from {n_saved} of them as transformers saves them again, and totals of {n_edited} "
        "edited variants.",
        truth="other program",
        source="transformers 5.23.0, parameters of the class built from each file; deepseek-moe-16b has no class "
        "there: closed form",
        rows=tuple(rows),
        claim=EXACT,
    )


def compare_crossbars() -> Comparison:
    """Crossbars of the released models in arrays of three sizes."""
    rows = [
        Row(case=f"{name}, {array}×{array}", quantity=key, stated=stated, found=found[key])
        for name, entry in read_json(FILE)["models"].items()
        for array, counts in entry.get("crossbars", {}).items()
        for found in (dataclasses.asdict(crossbar_counts(model_of(name, entry["config"]), int(array))),)
        for key, stated in counts.items()
    ]
    return Comparison(
        name="Crossbars of released models",
        what="Crossbars of an expert, of all parts of a layer, of all experts, and those a token uses.",
        truth="closed form",
        source="Σ ⌈in/rows⌉·⌈out/cols⌉ over the matrices of each model",
        rows=tuple(rows),
        claim=EXACT,
    )


def parameter_rows(name: str, config: dict[str, Any], stated: dict[str, int]) -> list[Row]:
    """One row per stated count of a configuration."""
    found = dataclasses.asdict(parameter_counts(model_of(name, config)))
    return [Row(case=name, quantity=key, stated=value, found=found[key]) for key, value in stated.items()]


def model_of(name: str, config: dict[str, Any]) -> Model:
    """The model that a configuration describes."""
    return described_model(parse_config(json.dumps(config), f"validation/{FILE}"), name).model


def with_edit(config: dict[str, Any], edit: dict[str, Any]) -> dict[str, Any]:
    """A configuration with other values, where it has a part for the language model inside that part."""
    edited = copy.deepcopy(config)
    edited.get("text_config", edited).update(edit.get("text_config", edit))
    return edited
