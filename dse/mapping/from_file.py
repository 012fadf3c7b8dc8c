"""Turns a mapping problem of a file into the arrays that the program is built from."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from dse.cost.option import Option
from dse.errors import Problem, SpecError
from dse.mapping.goal import read_goal
from dse.mapping.instance import Instance
from dse.mapping.limits import MappingLimits, read_limits, require_known_names
from dse.mapping.problem import MappingProblem
from dse.mapping.step_tables import StepTables
from dse.spec.mapping_problem import ProblemBlock, ProblemGroup, ProblemLimits, ProblemOption
from dse.spec.problem_file import LoadedProblem
from dse.spec.suggest import did_you_mean
from dse.units import Precision

# N blocks, O options, S stages (layers), G groups

Array = NDArray[np.float64]
FORMATS_OF_2: Final = ("layer_latency", "lexicographic")
TABLES: Final = ("units", "bytes", "energy_pj_per_token", "busy_ns_per_token")


def problem_from_file(loaded: LoadedProblem) -> MappingProblem:
    """The problem of a file.

    Raises:
        SpecError: groups, blocks or numbers that do not fit together, each with its place.
    """
    spec, groups = loaded.spec, {group.name: group for group in loaded.spec.groups}
    problems = repeated_names(loaded) + format_problems(loaded)
    options_of: list[tuple[ProblemOption, ...]] = []
    for block in spec.blocks:
        found, mistakes = block_options(loaded, block, groups)
        options_of.append(found)
        problems += mistakes
    if problems:
        raise SpecError(problems)
    try:
        goal = read_goal(spec.objective, weights=spec.weights, order=spec.order, slack=spec.slack)
        limits = file_limits(spec.limits)
        instance = arrays(spec.blocks, spec.groups, options_of, link_costs(loaded))
        require_known_names(instance, limits)
    except SpecError as error:
        raise SpecError([placed(loaded, problem) for problem in error.problems]) from None
    if "sensitivity" in goal.metrics or spec.limits.max_sensitivity is not None:
        require_scores(loaded)
    return MappingProblem(instance=instance, goal=goal, limits=limits)


def placed(loaded: LoadedProblem, problem: Problem) -> Problem:
    """A mistake with its place in the file, found by its path."""
    if problem.file:
        return problem
    steps = re.split(r"[.\[]", problem.path.partition("]")[0])
    return dataclasses.replace(loaded.problem(problem.message, *steps), path=problem.path)


def repeated_names(loaded: LoadedProblem) -> list[Problem]:
    """Groups and blocks of the same name."""
    problems = []
    for key, names in (
        ("groups", [group.name for group in loaded.spec.groups]),
        ("blocks", [block.name for block in loaded.spec.blocks]),
    ):
        twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
        problems += [loaded.problem("stands there twice; names must differ", key, name) for name in twice]
    return problems


def format_problems(loaded: LoadedProblem) -> list[Problem]:
    """Keys of format 2 in a file of format 1."""
    spec = loaded.spec
    if spec.format == 2:
        return []
    said: list[tuple[str, ...]] = [("objective",)] if spec.objective in FORMATS_OF_2 else []
    said += [("blocks", block.name, "options") for block in spec.blocks if block.options is not None]
    own = {"max_layer_latency_ns", "max_units", "max_bytes", "max_blocks", "together", "apart", "dies"}
    said += [("limits", key) for key in sorted(own) if getattr(spec.limits, key)]
    return [loaded.problem('belongs to format 2; say "format": 2', *path) for path in said]


def block_options(
    loaded: LoadedProblem, block: ProblemBlock, groups: Mapping[str, ProblemGroup]
) -> tuple[tuple[ProblemOption, ...], list[Problem]]:
    """The options of a block, from its list or from its numbers by group."""
    place = ("blocks", block.name)
    if block.options is not None:
        given = [key for key in (*TABLES, "allowed_groups", "sensitivity") if getattr(block, key)]
        problems = [loaded.problem("stands beside options, which hold it already; drop it", *place, k) for k in given]
        problems += [
            loaded.problem(f"unknown group {o.group!r}{did_you_mean(o.group, groups)}", *place, "options")
            for o in block.options
            if o.group not in groups
        ]
        options = tuple(
            dataclasses.replace(o, precision=o.precision or format_of(groups[o.group])) if o.group in groups else o
            for o in block.options
        )
        keys = [(o.group, o.precision, o.copies) for o in options]
        if len(set(keys)) < len(keys):
            problems.append(loaded.problem("holds an option twice", *place, "options"))
        return options, problems
    problems = [
        loaded.problem(f"unknown group {name!r}{did_you_mean(name, groups)}", *place, key)
        for key in (*TABLES, "sensitivity", "allowed_groups")
        for name in names_in(getattr(block, key))
        if name not in groups
    ]
    allowed = [name for name in block.allowed_groups or groups if name in groups]
    problems += [
        loaded.problem(f"gives no number for group {name!r}, which may hold the block", *place, key)
        for key in TABLES
        for name in allowed
        if getattr(block, key) and name not in getattr(block, key)
    ]
    return tuple(of_group(block, groups[name]) for name in allowed), problems


def names_in(value: object) -> list[str]:
    """Group names in a table or a list."""
    return [str(name) for name in value] if isinstance(value, Mapping | tuple) else []


def format_of(group: ProblemGroup) -> str:
    """What the weights on a group are called where nothing is said."""
    return "analog" if group.kind == "analog" else "digital"


def of_group(block: ProblemBlock, group: ProblemGroup) -> ProblemOption:
    """The option of format 1: a block on a group."""
    score = block.sensitivity or 0.0
    own = score.get(group.name, 0.0) if isinstance(score, Mapping) else score
    is_analog = group.kind == "analog"
    return ProblemOption(
        group=group.name,
        precision=format_of(group),
        units=block.units.get(group.name, 0.0),
        bytes=block.bytes.get(group.name, 0.0),
        energy_pj_per_token=block.energy_pj_per_token.get(group.name, 0.0),
        busy_ns_per_token=block.busy_ns_per_token.get(group.name, 0.0),
        sensitivity=own * group.noise_factor if is_analog else 0.0,
    )


def require_scores(loaded: LoadedProblem) -> None:
    """Refuses blocks without a score where scores count.

    Raises:
        SpecError: the blocks.
    """
    analog = {group.name for group in loaded.spec.groups if group.kind == "analog"}
    without = [
        block
        for block in loaded.spec.blocks
        if block.options is None and block.sensitivity is None and analog & set(block.allowed_groups or analog)
    ]
    if without:
        message = "has no sensitivity, which the objective or a limit counts; give it a number, 0 where it has none"
        raise SpecError([loaded.problem(message, "blocks", block.name) for block in without[:20]])


def file_limits(limits: ProblemLimits) -> MappingLimits:
    """The limits of a file."""
    values: dict[str, Any] = {
        field.name: getattr(limits, field.name) for field in dataclasses.fields(limits) if field.name != "dies"
    }
    return read_limits({name: value for name, value in values.items() if value is not None})


def link_costs(loaded: LoadedProblem) -> Callable[[ProblemBlock, str], tuple[float, float]]:
    """Block and group → energy [pJ] and work [ns] per token of reaching the group's die from the layer's.

    Raises:
        SpecError: groups, layers or dies that are unknown or stand twice.
    """
    dies = loaded.spec.limits.dies
    names, groups = {die.name for die in dies}, {group.name for group in loaded.spec.groups}
    problems = [
        loaded.problem(f"unknown group {name!r}{did_you_mean(name, groups)}", "limits", "dies", die.name, "groups")
        for die in dies
        for name in die.groups
        if name not in groups
    ] + [
        loaded.problem(f"unknown die{did_you_mean(name, names)}", "limits", "dies", die.name, "link", name)
        for die in dies
        for name in die.link
        if name not in names
    ]
    for what, listed in (
        ("die", [(die.name, die.name) for die in dies]),
        ("group", [(name, die.name) for die in dies for name in die.groups]),
        ("layer", [(str(layer), die.name) for die in dies for layer in die.layers]),
    ):
        first: dict[str, str] = {}
        for name, die_name in listed:
            if first.setdefault(name, die_name) != die_name or (what == "die" and listed.count((name, die_name)) > 1):
                message = f"{what} {name} stands on two dies; keep it on one"
                problems.append(loaded.problem(message, "limits", "dies", die_name))
    if problems:
        raise SpecError(problems)
    die_of = {group: die.name for die in dies for group in die.groups}
    home_of = {layer: die for die in dies for layer in die.layers}

    def cost(block: ProblemBlock, group: str) -> tuple[float, float]:
        home = None if block.layer is None else home_of.get(block.layer)
        link = None if home is None else home.link.get(die_of.get(group, home.name))
        if link is None or (home is not None and die_of.get(group) == home.name):
            return 0.0, 0.0
        visits = 1.0 if block.visits_per_token is None else block.visits_per_token
        return visits * link.energy_pj_per_visit, visits * link.busy_ns_per_visit

    return cost


def arrays(
    blocks: tuple[ProblemBlock, ...],
    groups: tuple[ProblemGroup, ...],
    options_of: list[tuple[ProblemOption, ...]],
    link: Callable[[ProblemBlock, str], tuple[float, float]],
) -> Instance:
    """The arrays of a problem; each layer is one stage in which the groups work side by side."""
    names = [group.name for group in groups]
    keys = sorted({(names.index(o.group), o.precision, o.copies) for own in options_of for o in own})
    column = {(names[g], precision, copies): index for index, (g, precision, copies) in enumerate(keys)}
    shape = (len(blocks), len(keys))
    tables = {name: np.zeros(shape) for name in (*TABLES, "sensitivity")}
    allowed = np.zeros(shape, dtype=bool)
    count = {group.name: group.count for group in groups}
    for row, (block, own) in enumerate(zip(blocks, options_of, strict=True)):
        for o in own:
            at = (row, column[o.group, o.precision, o.copies])
            link_pj, link_ns = link(block, o.group)
            allowed[at] = True
            tables["units"][at], tables["bytes"][at], tables["sensitivity"][at] = o.units, o.bytes, o.sensitivity
            tables["energy_pj_per_token"][at] = o.energy_pj_per_token + link_pj
            tables["busy_ns_per_token"][at] = (o.busy_ns_per_token + link_ns) / count[o.group]
    layer = np.array([-1 if block.layer is None else block.layer for block in blocks])
    layers = list(dict.fromkeys(layer.tolist()))
    _, block_class = np.unique(np.column_stack([tables["units"], allowed]), axis=0, return_inverse=True)
    group = np.array([g for g, _, _ in keys])
    zeros, none = np.zeros(shape), np.zeros(len(layers))
    step = StepTables(
        weight=1.0, micro_batches=1.0, visits=np.zeros(len(blocks)), energy_pj=tables["energy_pj_per_token"],
        background_pj=0.0, compute_ns=tables["busy_ns_per_token"], fetch_ns=zeros, buffer_ns=zeros, added_ns=zeros,
        host_ns=zeros, host_compute_ns=none, host_fetch_ns=none, host_fixed_ns=none, host_added_ns=none,
    )  # fmt: skip
    return Instance(
        names=tuple(block.name for block in blocks),
        kinds=tuple(block.kind for block in blocks),
        options=tuple(Option(names[g], cast(Precision, precision), copies) for g, precision, copies in keys),
        allowed=allowed,
        score=tables["sensitivity"],
        is_expert=np.array([block.kind == "expert" for block in blocks]),
        layer=layer,
        block_class=block_class.reshape(-1),
        stage=np.array([layers.index(number) for number in layer.tolist()]),
        visits=np.array([block.visits_per_token or 0.0 for block in blocks]),
        stages=tuple((number, "layer") for number in layers),
        groups=tuple(names),
        group_is_analog=np.array([group.kind == "analog" for group in groups]),
        group=group,
        memory=tuple(group.memory or group.name for group in groups),
        resources=tuple(names),
        resource=group,
        capacity=np.array([np.inf if g.capacity_units is None else g.capacity_units for g in groups]),
        units_of=("units",) * len(groups),
        unit_area_mm2=np.zeros(len(keys)),
        units=tables["units"],
        n_bytes=tables["bytes"],
        energy_pj=tables["energy_pj_per_token"],
        path_ns=zeros,
        fixed_ns=zeros,
        host=0,
        steps=(step,),
        background_pj=0.0,
        standing_mw=0.0,
        tokens=1.0,
        side_by_side=np.ones(len(layers), dtype=bool),
        is_pipelined=False,
    )
