"""Options of ``dse map``: objective, limits, and problems of the user's own."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final, get_args

from dse.commands.argument_types import number, whole
from dse.commands.shared_options import add_output, add_pair, add_rules
from dse.errors import SpecError
from dse.mapping.metrics import METRICS, OBJECTIVES, SLACK, Objective

if TYPE_CHECKING:
    from dse.mapping.limits import LimitValue

NUMBERS: Final[dict[str, str]] = {
    "max_sensitivity": "largest sum of scores on analog cores",
    "max_loss_increase_nats": "largest increase of the loss [nats]; scores must be in nats",
    "max_sensitivity_share": "largest share of the scores on analog cores",
    "max_energy_pj_per_token": "largest energy per token [pJ]",
    "max_group_load_ns": "largest work of any core group in a step [ns]",
    "max_layer_latency_ns": "largest sum over the stages of their slowest group [ns]",
    "max_digital_ns": "largest work of any digital unit in a step [ns]",
    "max_power_mw": "largest mean power over a step [mW]",
    "max_area_mm2": "largest silicon of the crossbars in use [mm2]",
    "max_digital_experts": "most digital experts",
    "max_digital_experts_per_layer": "most digital experts of a layer",
}
"""Limit on one number → what it means."""
BY_NAME: Final[dict[str, str]] = {
    "max_units": "most crossbars of an analog group, or bytes of a memory",
    "max_bytes": "most bytes of weights in a memory",
    "max_blocks": "most blocks on a core group",
}
"""Limit on numbers by group or memory → what it means."""
PAIRED: Final[dict[str, str]] = {
    "together": "blocks that share a core group",
    "apart": "blocks that do not share a core group",
}
"""Limit on pairs of blocks → what it means."""


def map_options(sub: argparse.ArgumentParser) -> None:
    """Options of ``dse map``."""
    add_pair(sub, is_optional=True)
    sub.add_argument("--problem", metavar="FILE", help="a mapping problem of your own (JSON; FILE#ID: one of several), "
                                                       "instead of ARCH and WORKLOAD")  # fmt: skip
    add_objective(sub)
    add_limits(sub)
    add_rules(sub)
    sub.add_argument("--gap", type=number(0.0, 1.0), default=1e-3, metavar="X",
                     help="relative gap at which the solver may stop (default 0.001)")  # fmt: skip
    sub.add_argument("--compare", action="store_true", help="every rule beside the best mapping")
    sub.add_argument("--robust", type=whole(2), metavar="N",
                     help="place again for N drawn scores and costs; says which blocks are on the fence")  # fmt: skip
    sub.add_argument("--score-spread", type=number(0.0), metavar="X",
                     help="of --robust: a score is within a factor 1 + X at 95 %% (default 0.2, assumed)")  # fmt: skip
    sub.add_argument("--front", metavar="A,B", help="efficient mappings of two metrics instead of one mapping")
    sub.add_argument("--points", type=whole(2), default=20, metavar="N", help="points of --front (default 20)")
    add_output(sub, "write mapping.json there (a file or a folder); of --front a folder of tables")


def add_objective(sub: argparse.ArgumentParser) -> None:
    """What is minimised."""
    assert get_args(Objective) == OBJECTIVES
    sub.add_argument("--objective", choices=OBJECTIVES, help="what is minimised (default energy)")
    sub.add_argument("--weight", action="append", default=[], metavar="METRIC=X",
                     help=f"factor of a metric for --objective weighted ({', '.join(METRICS)})")  # fmt: skip
    sub.add_argument("--order", type=lambda text: text.split(","), default=[], metavar="A,B",
                     help="metrics for --objective lexicographic, the most important first")  # fmt: skip
    sub.add_argument("--slack", type=number(0.0, 1.0), metavar="X",
                     help=f"share that a metric of --order may lose for the next (default {SLACK:g})")  # fmt: skip


def add_limits(sub: argparse.ArgumentParser) -> None:
    """Limits of the mapping."""
    for name, text in NUMBERS.items():
        sub.add_argument(flag(name), type=number(0.0), metavar="X", help=text)
    for name, text in BY_NAME.items():
        sub.add_argument(flag(name), action="append", default=[], metavar="NAME=X", help=text)
    for name, text in PAIRED.items():
        sub.add_argument(flag(name), action="append", default=[], metavar="BLOCK,BLOCK", help=text)


def flag(name: str) -> str:
    """The option of a limit."""
    return f"--{name.replace('_', '-')}"


def limits_of(arguments: argparse.Namespace) -> dict[str, LimitValue]:
    """The limits that the command was given.

    Raises:
        SpecError: a text that is no ``NAME=X`` or no pair of blocks.
    """
    found: dict[str, LimitValue] = {
        name: value for name in (*NUMBERS, "digital_fraction") if (value := getattr(arguments, name)) is not None
    }
    for name in BY_NAME:
        if getattr(arguments, name):
            found[name] = numbers_by_name(getattr(arguments, name), flag(name))
    for name in PAIRED:
        pairs = [text.split(",") for text in getattr(arguments, name)]
        if pairs:
            found[name] = pairs
    return found


def numbers_by_name(texts: list[str], option: str) -> dict[str, float]:
    """``NAME=X`` texts as a table.

    Raises:
        SpecError: a text without a number, or two numbers for one name.
    """
    found: dict[str, float] = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            amount = number(0.0)(value)
        except argparse.ArgumentTypeError as error:
            raise SpecError(f"{option} {text}: expected NAME=X, {error}") from None
        if found.setdefault(name, amount) != amount:
            raise SpecError(f"{option} {name}: given twice, as {found[name]:g} and {amount:g}")
    return found
