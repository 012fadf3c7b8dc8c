"""Reads from a ``config.json`` which layers hold experts, how wide the dense ones are, and the shared experts."""

from __future__ import annotations

from typing import NamedTuple, TypedDict

from dse.importers.config_file import ConfigFile
from dse.importers.families import Family


class LayerFields(TypedDict):
    """Fields of Model about dense layers."""

    n_dense_layers: int
    moe_layers: tuple[int, ...] | None
    d_dense_ffn: int


class SharedFields(TypedDict):
    """Fields of Model about shared experts."""

    n_shared_experts: int
    d_shared_expert: int


class _Rule(NamedTuple):
    """Layers with experts, and the key that says so."""

    layers: tuple[int, ...]
    key: str


def read_layers(config: ConfigFile, family: Family, n_layers: int) -> LayerFields:
    """Which layers hold experts, and the width of the others."""
    n_problems = len(config.problems)
    rule = expert_layers(config, family, n_layers)
    if len(config.problems) == n_problems and n_layers and not rule.layers:
        config.fail(rule.key, "leaves no layer with experts: not an MoE")
    n_dense = n_layers - len(rule.layers)
    width = 0
    if n_dense > 0 and len(config.problems) == n_problems:
        if family.dense_width is None:
            config.fail(rule.key, f"names dense layers, which {family.model_types[0]} does not have")
        else:
            width = config.count(family.dense_width)
    if rule.layers == tuple(range(n_dense, n_layers)):
        return LayerFields(n_dense_layers=n_dense, moe_layers=None, d_dense_ffn=width)
    return LayerFields(n_dense_layers=0, moe_layers=rule.layers, d_dense_ffn=width)


def expert_layers(config: ConfigFile, family: Family, n_layers: int) -> _Rule:
    """The layers with experts by the family's fields, by ``mlp_layer_types``, or by both, which must agree."""
    kinds = config.choices_by_layer("mlp_layer_types", n_layers, ("sparse", "dense"))
    listed = None if kinds is None else tuple(i for i, kind in enumerate(kinds) if kind == "sparse")
    keys = {"after_first": "first_k_dense_replace", "every": "decoder_sparse_step"}
    deciding = keys.get(family.layers)
    if listed is not None and deciding is not None and deciding not in config.values:
        return _Rule(listed, "mlp_layer_types")
    match family.layers:
        case "all":
            rule = _Rule(tuple(range(n_layers)), "num_hidden_layers")
        case "after_first":
            rule = after_first(config, n_layers)
        case "every":
            rule = every(config, n_layers)
        case "listed":
            rule = interleaved(config, n_layers)
    if listed is None or listed == rule.layers:
        return rule
    if family.layers != "all":
        config.contradict(rule.key, config.values.get(rule.key), "mlp_layer_types", config.values["mlp_layer_types"])
    return _Rule(listed, "mlp_layer_types")


def after_first(config: ConfigFile, n_layers: int) -> _Rule:
    """All but the first ``first_k_dense_replace``."""
    key = "first_k_dense_replace"
    if config.values.get("moe_layer_freq", 1) not in (1, None):
        config.fail("moe_layer_freq", "only 1 is supported (implementations differ in what others mean)")
    first = config.count(key, low=0)
    if first > n_layers > 0:
        config.fail(key, f"exceeds num_hidden_layers = {n_layers} (got {first})")
    return _Rule(tuple(range(min(first, n_layers), n_layers)), key)


def every(config: ConfigFile, n_layers: int) -> _Rule:
    """Every ``decoder_sparse_step``-th layer that is not among ``mlp_only_layers``."""
    key = "decoder_sparse_step"
    step = config.count(key)
    dense = config.whole_numbers("mlp_only_layers") or []
    beyond = [layer for layer in dense if layer >= n_layers > 0]
    if beyond:
        config.fail("mlp_only_layers", f"layer {beyond[0]} does not exist; num_hidden_layers = {n_layers}, from 0")
    layers = tuple(i for i in range(n_layers) if step and (i + 1) % step == 0 and i not in dense)
    return _Rule(layers, "mlp_only_layers" if dense else key)


def interleaved(config: ConfigFile, n_layers: int) -> _Rule:
    """The layers of ``moe_layers``; without it every ``interleave_moe_layer_step``-th."""
    listed = config.whole_numbers("moe_layers")
    key = "interleave_moe_layer_step"
    if listed is None:
        step = config.count(key)
        return _Rule(tuple(range(step - 1, n_layers, step)) if step else (), key)
    beyond = [layer for layer in listed if layer >= n_layers > 0]
    if beyond:
        config.fail("moe_layers", f"layer {beyond[0]} does not exist; num_hidden_layers = {n_layers}, from 0")
    layers = tuple(sorted(set(listed)))
    said = config.values.get(key)
    if isinstance(said, int) and said > 0 and layers != tuple(range(said - 1, n_layers, said)):
        config.notes.append(f"moe_layers names the layers with experts; {key} = {said} is not used")
    return _Rule(layers, "moe_layers")


def read_shared(config: ConfigFile, family: Family, d_expert: int) -> SharedFields:
    """Shared experts and their width together."""
    match family.shared:
        case "none":
            n_shared, width = 0, 0
        case "one":
            n_shared, width = 1, d_expert
        case "counted":
            n_shared = config.count("n_shared_experts", low=0, null=0)
            width = n_shared * d_expert
        case "width":
            width = config.count("shared_expert_intermediate_size", low=0)
            n_shared = int(width > 0)
    return SharedFields(n_shared_experts=n_shared, d_shared_expert=width)
