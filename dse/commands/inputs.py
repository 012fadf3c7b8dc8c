"""Architecture, workload and mapping that the arguments of a command ask for."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Final, NamedTuple

from dse.commands.output import tell
from dse.commands.sets import split_sets
from dse.cost.table import cost_table
from dse.errors import SpecError
from dse.exploration.stored import is_stored
from dse.mapping.baseline import Rule, rule_mapping
from dse.mapping.model import Mapping as BlockMapping
from dse.mapping.model import load_mapping
from dse.mapping.solve import solve_mapping
from dse.sensitivity.load_order import with_load_order
from dse.sensitivity.options import option_scores
from dse.sensitivity.score import score_blocks
from dse.spec.architecture import Architecture
from dse.spec.load import load_architecture
from dse.workload.build import Workload, load_workload

OF_ARCHITECTURE: Final = ("workload", "set", "rule", "digital_fraction", "pin")
"""Options that say which design of an architecture is meant."""
SOLVER_LIMIT_S: Final = 60.0
"""Limit of the solver where the command's own limit is not set [s]."""


class Pair(NamedTuple):
    """What a design is made of."""

    arch: Architecture
    workload: Workload


class Chosen(NamedTuple):
    """A mapping, and how it came about in words."""

    mapping: BlockMapping
    how: str


def load_pair(arguments: argparse.Namespace) -> Pair:
    """Architecture and workload with the ``--set`` values applied to the file they belong to.

    Raises:
        SpecError: every problem of a file, or a value that belongs to neither.
    """
    of_architecture, of_workload = split_sets(arguments.set)
    return Pair(
        load_architecture(arguments.architecture, of_architecture),
        with_load_order(load_workload(arguments.workload, of_workload)),
    )


def architecture_or_result(arguments: argparse.Namespace, text: str, *, verb: str) -> Pair | None:
    """The architecture that a text names, with ``--workload``; None where it names a stored result.

    Raises:
        SpecError: an architecture without ``--workload``, or every problem of its files.
    """
    if is_stored(text):
        return None
    if arguments.workload is None:
        raise SpecError(
            f"{text}: neither a .json of `dse evaluate -o` nor a run folder; to {verb} an architecture give "
            "--workload WORKLOAD"
        )
    arguments.architecture = text
    return load_pair(arguments)


def require_architecture(arguments: argparse.Namespace, texts: Sequence[str]) -> None:
    """Refuses options of an architecture where every text names a stored result.

    Raises:
        SpecError: the results are as they were stored.
    """
    given = [f"--{name.replace('_', '-')}" for name in OF_ARCHITECTURE if getattr(arguments, name)]
    if given and all(map(is_stored, texts)):
        what = f"{texts[0]} is a stored result" if len(texts) == 1 else f"{' and '.join(texts)} are stored results"
        raise SpecError(
            f"{given[0]}: {what}, costed with what it was made of; drop the option, or give an architecture"
        )


def pins_of(arguments: argparse.Namespace) -> dict[str, str]:
    """``--pin KIND=GROUP`` texts as a mapping.

    Raises:
        SpecError: a text without ``=``, or two groups for one name.
    """
    pins: dict[str, str] = {}
    for text in arguments.pin:
        name, separator, group = text.partition("=")
        if not separator or not name or not group:
            raise SpecError(f"--pin {text}: expected BLOCK=GROUP, e.g. --pin attention=pcm")
        if pins.setdefault(name, group) != group:
            raise SpecError(f"--pin {name}: given twice, as {pins[name]} and {group}")
    return pins


def chosen_mapping(arguments: argparse.Namespace, pair: Pair) -> Chosen:
    """The mapping of ``--mapping``, of a rule, or the one with the least energy."""
    if arguments.mapping is not None:
        return Chosen(mapping_file(arguments, pair), f"mapping from {arguments.mapping}")
    if arguments.rule is not None or arguments.digital_fraction is not None:
        return Chosen(*ruled_mapping(arguments, pair))
    mapping = solved_mapping(arguments, pair)
    return Chosen(mapping, "mapping: least energy under capacity, default pins, no accuracy limit "
                           "(--mapping, --rule: others)")  # fmt: skip


def mapping_file(arguments: argparse.Namespace, pair: Pair) -> BlockMapping:
    """The mapping of ``--mapping``; a remark where it was made for other inputs.

    Raises:
        SpecError: no such file, or options that choose another mapping.
    """
    others = [name for name in ("rule", "digital_fraction", "pin") if getattr(arguments, name)]
    if others:
        option = others[0].replace("_", "-")
        raise SpecError(
            f"--mapping {arguments.mapping} says where every block is, so --{option} has no place; drop one"
        )
    mapping = load_mapping(arguments.mapping)
    for kind, used in (("architecture", pair.arch), ("workload", pair.workload)):
        made_for = mapping.digests.get(kind)
        if made_for is not None and made_for != used.digest:
            tell(arguments, f"remark: {arguments.mapping} was made for another {kind} (or other --set values) than "
                            f"{used.name}; its placement is used as it is")  # fmt: skip
    return mapping


def ruled_mapping(arguments: argparse.Namespace, pair: Pair) -> Chosen:
    """The mapping of ``--rule`` and ``--digital-fraction``."""
    rule: Rule = arguments.rule or "top_k_per_layer"
    fraction = arguments.digital_fraction or 0.0
    mapping = rule_mapping(
        pair.arch,
        pair.workload,
        score_blocks(pair.workload),
        rule=rule,
        digital_fraction=fraction,
        pins=pins_of(arguments),
        seed=arguments.seed,
        router_norms=score_blocks(pair.workload, "router_norm") if rule == "router_norm" else None,
    )
    said = "" if rule in ("all_digital", "all_analog") else f", {100 * fraction:g} % of the experts digital"
    return Chosen(mapping, f"mapping by rule {rule}{said}")


def solved_mapping(arguments: argparse.Namespace, pair: Pair) -> BlockMapping:
    """The mapping of least energy under ``--pin``."""
    return solve_mapping(
        cost_table(pair.arch, pair.workload),
        option_scores(score_blocks(pair.workload), pair.workload, pair.arch),
        pair.workload,
        pair.arch,
        objective="energy",
        pins=pins_of(arguments),
        time_limit_s=SOLVER_LIMIT_S if arguments.time_limit_s is None else arguments.time_limit_s,
        seed=arguments.seed,
    )
