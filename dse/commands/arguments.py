"""The arguments of every command; light, so that ``dse --help`` answers at once."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import re
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, NoReturn

from dse.commands import options
from dse.commands.argument_types import number, whole
from dse.commands.map_arguments import map_options
from dse.errors import SpecError


class Command(NamedTuple):
    """What a command does, and the function that adds its options to a parser."""

    text: str
    add_options: Callable[[argparse.ArgumentParser], None]


COMMANDS: Final[dict[str, Command]] = {
    "check": Command("validate specs; print every problem", options.check_options),
    "show": Command("print a spec with unit, source and line of each value", options.show_options),
    "schema": Command("print the JSON Schema of a kind of spec", options.schema_options),
    "examples": Command("list the shipped specs, or copy them", options.examples_options),
    "doctor": Command("print versions and what is installed", options.doctor_options),
    "core": Command("datasheet of one analog core", options.core_options),
    "score": Command("sensitivity scores of the experts", options.score_options),
    "map": Command("place experts: optimal under limits, with bound and gap, or by a rule", map_options),
    "evaluate": Command("energy, latency, area and traffic of one design", options.evaluate_options),
    "explain": Command(
        "a number of a result as a tree, down to stated values and their sources", options.explain_options
    ),
    "whatif": Command(
        "one change at a time: what it does to every metric, and which assumptions matter", options.whatif_options
    ),
    "compare": Command("two results side by side, input by input and part by part", options.compare_options),
    "accuracy": Command("accuracy of a mapping under device noise", options.accuracy_options),
    "explore": Command("evaluate a space of designs; write a run folder", options.explore_options),
    "report": Command("write the HTML report of a run folder", options.report_options),
    "validate": Command("compare dse with closed forms, other programs and measured chips", options.validate_options),
    "export": Command("a mapping, the points of a run or a step in time for other programs", options.export_options),
    "import": Command("read a model from its Hugging Face config.json; count its parameters", options.import_options),
}
"""Command → what it does."""


IDLE: Final[dict[str, Callable[[str], object]]] = {
    "--seed": whole(0), "--jobs": whole(1), "--time-limit-s": number(1e-3), "--torch-device": str,
}  # fmt: skip
"""Option that means the same in every command, also where nothing is drawn, shared out or limited → what reads it."""


class UsageError(SpecError):
    """Arguments that the command does not take; ``advice`` says where to read which it takes."""

    def __init__(self, message: str, advice: str) -> None:
        super().__init__(message)
        self.advice = advice


class Parser(argparse.ArgumentParser):
    """A parser that raises instead of leaving the process."""

    def error(self, message: str) -> NoReturn:
        """Raises UsageError."""
        is_short = message.startswith("the following arguments are required")
        advice = self.format_usage() if is_short else f"`{self.prog} --help` lists what it takes"
        raise UsageError(f"{self.prog}: {message}", advice.rstrip())


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The arguments of one call.

    Raises:
        UsageError: an unknown command or option, or a value that an option does not take.
    """
    parser = make_parser()
    command = next((word for word in words if not word.startswith("-")), None)
    if command is not None and command not in COMMANDS:
        near = difflib.get_close_matches(command, COMMANDS, 1, 0.5)
        hint = f", did you mean {near[0]!r}?" if near else f" (commands: {', '.join(COMMANDS)})"
        parser.error(f"unknown command {command!r}{hint}")
    if command is not None and words[0] != command and not {"-h", "--help"} & set(words):
        parser.error(f"{words[0]} stands before the command; write  dse {command} … {words[0]}")
    arguments, unknown = parser.parse_known_args(words)
    if unknown:
        known = re.findall(r"--[a-z][a-z-]*", arguments.parser.format_help())
        near = difflib.get_close_matches(unknown[0].partition("=")[0], known, 1, 0.6)
        hint = f", did you mean {near[0]}?" if near else ""
        arguments.parser.error(f"unknown argument {unknown[0]}{hint}")
    return arguments


def make_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = Parser(
        prog="dse",
        description="Design analog-digital accelerators for Mixture-of-Experts language models.",
        epilog="Names without a path are looked up among the shipped specs (dse examples). "
        "Exit codes: 0 done, 1 defect, 2 bad input, 3 infeasible, 4 time limit, 130 interrupted.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)
    common = common_options()
    for name, (text, add_options) in COMMANDS.items():
        sub = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".", parents=[common])
        sub.set_defaults(parser=sub, module=name)
        add_options(sub)
        add_idle(sub)
    return parser


def add_idle(sub: argparse.ArgumentParser) -> None:
    """Common options that a command has no use for; it takes them, and says so."""
    for option, read in IDLE.items():
        with contextlib.suppress(argparse.ArgumentError):
            sub.add_argument(option, type=read, dest=idle_name(option), help=argparse.SUPPRESS)


def idle_name(option: str) -> str:
    """Where the value of an option without effect is kept."""
    return f"idle{option.replace('-', '_')}"


def idle_options(arguments: argparse.Namespace) -> list[str]:
    """The common options that were given to a command without a use for them."""
    return [option for option in IDLE if getattr(arguments, idle_name(option), None) is not None]


def common_options() -> Parser:
    """Options of every command."""
    common = Parser(add_help=False)
    common.add_argument("--json", action="store_true", help="print one JSON document")
    common.add_argument("-q", "--quiet", action="store_true", help="no progress and no remarks on stderr")
    common.add_argument("-v", "--verbose", action="store_true", help="tracebacks of bad input too")
    common.add_argument("--no-progress", action="store_true", help="no progress bars")
    return common
