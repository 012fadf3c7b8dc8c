"""``dse map``: places the blocks, and says how far the answer is proven."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping as MappingABC
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dse.commands.inputs import Pair, load_pair, pins_of, ruled_mapping
from dse.commands.map_arguments import BY_NAME, NUMBERS, PAIRED, flag, limits_of, numbers_by_name
from dse.commands.map_front import run_front
from dse.commands.output import emit, result_file, tell, writing
from dse.cost.micro_batch import require_sequences
from dse.cost.table import CostTable, cost_table
from dse.cost.warnings import pair_warnings
from dse.errors import SpecError
from dse.evaluation.result import Evaluation
from dse.evaluation.robustness import SCORE_SPREAD, choice_robustness
from dse.evaluation.run import evaluate
from dse.mapping.compare import RuleResult, compare_rules
from dse.mapping.from_file import problem_from_file
from dse.mapping.goal import Goal, read_goal, single
from dse.mapping.limits import read_limits
from dse.mapping.metrics import SLACK
from dse.mapping.model import Mapping
from dse.mapping.pack import PackingError, pack
from dse.mapping.problem import MappingProblem, mapping_problem
from dse.mapping.problem_answer import problem_answer
from dse.mapping.solve import solve_problem, solved
from dse.report.mapping_rules import rules_document, rules_text
from dse.report.mapping_text import mapping_text, problem_text
from dse.sensitivity.options import option_scores
from dse.sensitivity.score import score_blocks
from dse.sensitivity.share import sensitivity_share
from dse.spec.problem_file import load_problem

PACKING_ROUNDS: Final = 3
"""Times that a mapping is made again because its slices did not fit the tiles."""
OF_FILE: Final = (
    "objective",
    "weight",
    "order",
    "slack",
    *NUMBERS,
    *BY_NAME,
    *PAIRED,
    "digital_fraction",
    "rule",
    "pin",
    "set",
)
"""Options that a problem file holds itself."""


def run(arguments: argparse.Namespace) -> int:
    """Prints status, objective, bound and gap; 4 where the time passed before the proof."""
    file = None if arguments.front is not None else result_file(arguments.output, "mapping.json")
    if arguments.problem is not None:
        return run_problem(arguments, file)
    if arguments.workload is None:
        raise SpecError("dse map needs ARCH and WORKLOAD (dse map server_pcm3d olmoe), or --problem FILE")
    pair = load_pair(arguments)
    tables = tables_of(pair)
    if arguments.front is not None:
        return run_front(arguments, front_problem(arguments, pair, tables))
    mapping = packed_mapping(arguments, pair, tables)
    if arguments.robust is not None:
        mapping = with_robustness(arguments, pair, tables, mapping)
    share = sensitivity_share(tables.scores, mapping)
    if file is not None:
        with writing(arguments, file):
            mapping.save(file)
    warnings = pair_warnings(pair.arch, pair.workload)
    for warning in warnings:
        tell(arguments, f"warning: {warning}")
    rules = compared_rules(arguments, pair, tables, mapping)
    evaluation = evaluate(pair.arch, pair.workload, dataclasses.replace(mapping, slices=None))
    document = {
        **dataclasses.replace(mapping, slices=None).to_dict(), "sensitivity_share": share,
        "score": dict(tables.scores.attrs),
        "worst_link": worst_link(evaluation), "bound_by": evaluation.binding,
        "warnings": list(warnings), **rules_document(rules),
    }  # fmt: skip
    text = mapping_text(mapping, pair.workload, share, evaluation) + rules_text(mapping, rules)
    emit(arguments, document, lambda: text)
    return 4 if mapping.status == "time_limit" else 0


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Tables:
    """What a problem of an architecture and a workload is made of, computed once a run."""

    scores: pd.DataFrame
    options: pd.DataFrame
    """Scores of the options."""
    costs: CostTable


def tables_of(pair: Pair) -> Tables:
    """The tables of an architecture and a workload."""
    scores = score_blocks(pair.workload)
    options = option_scores(scores, pair.workload, pair.arch)
    return Tables(scores=scores, options=options, costs=cost_table(pair.arch, pair.workload))


def worst_link(evaluation: Evaluation) -> dict[str, object] | None:
    """The busiest link of a design."""
    found = None if evaluation.machine is None else evaluation.machine.worst_link
    return None if found is None else dataclasses.asdict(found)


def run_problem(arguments: argparse.Namespace, file: Path | None) -> int:
    """Solves the problem of a file.

    Raises:
        SpecError: mistakes of the file, or options that it holds itself.
    """
    given = [name for name in OF_FILE if getattr(arguments, name)]
    if arguments.architecture is not None:
        raise SpecError(
            f"--problem {arguments.problem} holds groups and costs, so {arguments.architecture} has no place"
        )
    if given:
        option = flag(given[0])
        raise SpecError(f"--problem {arguments.problem} holds objective, limits and options; write {option} there")
    loaded = load_problem(arguments.problem)
    problem = problem_from_file(loaded)
    if arguments.front is not None:
        return run_front(arguments, problem)
    solution = solve_problem(problem, time_limit_s=arguments.time_limit_s, gap=arguments.gap, seed=arguments.seed)
    mapping = solved(problem, solution, gap=arguments.gap, digests={"problem": loaded.digest})
    if file is not None:
        with writing(arguments, file):
            mapping.save(file)
    rules = compare_rules(problem) if arguments.compare else []
    document = problem_answer(mapping, loaded.spec.format) | rules_document(rules)
    emit(arguments, document, lambda: problem_text(mapping) + rules_text(mapping, rules))
    return 4 if mapping.status == "time_limit" else 0


def with_room(problem: MappingProblem, room: MappingABC[str, float]) -> MappingProblem:
    """The problem with no more capacity units of a resource in use than there is room."""
    known = problem.limits.max_units
    tight = {name: min(most, known.get(name, most)) for name, most in room.items()}
    return dataclasses.replace(problem, limits=dataclasses.replace(problem.limits, max_units={**known, **tight}))


def front_problem(arguments: argparse.Namespace, pair: Pair, tables: Tables) -> MappingProblem:
    """The problem whose front is asked for.

    Raises:
        SpecError: a rule or an objective, which a front does not have.
    """
    if arguments.rule is not None or arguments.objective is not None:
        option = "--rule" if arguments.rule is not None else "--objective"
        raise SpecError(f"--front {arguments.front} says what is minimised, so {option} has no place; drop one")
    return pair_problem(arguments, pair, tables, single("energy"))


def compared_rules(arguments: argparse.Namespace, pair: Pair, tables: Tables, mapping: Mapping) -> list[RuleResult]:
    """Every rule under the objective and limits of the mapping, where ``--compare`` asks for them.

    Raises:
        SpecError: the mapping itself follows a rule.
    """
    if not arguments.compare:
        return []
    if mapping.status == "rule":
        raise SpecError("--compare sets rules beside the best mapping, and --rule asks for one rule alone; drop one")
    problem = pair_problem(arguments, pair, tables, goal_of(arguments))
    return compare_rules(problem, router_norm=router_norms(pair, problem))


def router_norms(pair: Pair, problem: MappingProblem) -> NDArray[np.float64] | None:
    """Router norm of every block, 0 where it has none; None where the workload names no weights."""
    if pair.workload.checkpoint is None or pair.workload.model.router == "none":
        return None
    table = score_blocks(pair.workload, "router_norm")
    known = dict(zip(table["block"], table["score"], strict=True))
    return np.array([known.get(name, 0.0) for name in problem.instance.names])


def pair_problem(arguments: argparse.Namespace, pair: Pair, tables: Tables, goal: Goal) -> MappingProblem:
    """The problem of an architecture and a workload under the given limits and pins."""
    return mapping_problem(
        tables.costs,
        tables.options,
        pair.workload,
        pair.arch,
        goal=goal,
        limits=limits_of(arguments),
        pins=pins_of(arguments),
    )


def goal_of(arguments: argparse.Namespace) -> Goal:
    """The goal that the arguments say."""
    return read_goal(
        arguments.objective or "energy",
        weights=numbers_by_name(arguments.weight, "--weight"),
        order=arguments.order,
        slack=SLACK if arguments.slack is None else arguments.slack,
    )


def with_robustness(arguments: argparse.Namespace, pair: Pair, tables: Tables, mapping: Mapping) -> Mapping:
    """The mapping with how sure its choice is.

    Raises:
        SpecError: the mapping follows a rule.
    """
    if mapping.status == "rule":
        raise SpecError("--robust places the blocks again for drawn scores, and --rule asks for one rule; drop one")
    found = choice_robustness(
        pair.arch,
        pair.workload,
        dataclasses.replace(mapping, slices=None),
        tables.options,
        goal=goal_of(arguments),
        limits=read_limits(limits_of(arguments)),
        pins=pins_of(arguments),
        n_samples=arguments.robust,
        score_spread=SCORE_SPREAD if arguments.score_spread is None else arguments.score_spread,
        seed=arguments.seed,
        time_limit_s=arguments.time_limit_s,
        gap=arguments.gap,
    )
    return dataclasses.replace(mapping, robustness=found.to_dict())


def packed_mapping(arguments: argparse.Namespace, pair: Pair, tables: Tables) -> Mapping:
    """The wanted mapping with the place of every slice; what does not fit its tiles is mapped again with less room.

    Raises:
        PackingError: a rule's mapping, or after some rounds the best one, does not fit the tiles.
    """
    room: dict[str, float] = {}
    for _ in range(PACKING_ROUNDS):
        mapping = wanted_mapping(arguments, pair, tables, room)
        try:
            return pack(mapping, pair.arch, pair.workload)
        except PackingError as error:
            if arguments.rule is not None:
                raise
            tell(arguments, f"remark: {error.causes[0]}; mapping again with less room there")
            used = room.get(error.group, mapping.units_used[error.group])
            room[error.group] = min(used, error.have) - max(error.need - error.have, 1)
    return pack(wanted_mapping(arguments, pair, tables, room), pair.arch, pair.workload)


def wanted_mapping(arguments: argparse.Namespace, pair: Pair, tables: Tables, room: MappingABC[str, float]) -> Mapping:
    """The mapping of a rule, or the best one with no more crossbars of a group in use than there is room.

    Raises:
        SpecError: a rule together with limits or an objective.
    """
    limits = limits_of(arguments)
    if arguments.rule is None:
        require_sequences(pair.arch, pair.workload)
        problem = with_room(pair_problem(arguments, pair, tables, goal_of(arguments)), room)
        solution = solve_problem(problem, time_limit_s=arguments.time_limit_s, gap=arguments.gap, seed=arguments.seed)
        digests = {"architecture": pair.arch.digest, "workload": pair.workload.digest}
        return solved(problem, solution, gap=arguments.gap, digests=digests)
    idle = [name for name in limits if name != "digital_fraction"] + (["objective"] if arguments.objective else [])
    if idle:
        raise SpecError(f"--rule {arguments.rule} follows its rule and optimises nothing, so {flag(idle[0])} has no "
                        "effect; drop one of them")  # fmt: skip
    return ruled_mapping(arguments, pair).mapping
