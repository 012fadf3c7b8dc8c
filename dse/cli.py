"""The ``dse`` command: reads arguments, calls the verb's module, turns what went wrong into an exit code."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any, Final

from dse.commands.arguments import UsageError, idle_options, make_parser, parse
from dse.commands.output import bad_input, infeasible, json_text, tell
from dse.errors import DseError, InfeasibleError, SpecError, TimeLimitError

__all__ = ["main", "make_parser"]

DONE: Final = 0
DEFECT: Final = 1
BAD_INPUT: Final = 2
INFEASIBLE: Final = 3
TIME_LIMIT: Final = 4
INTERRUPTED: Final = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        arguments = parse(words)
        for option in idle_options(arguments):
            tell(arguments, f"remark: {option} changes nothing in dse {arguments.command}")
        verb = importlib.import_module(f"dse.commands.{arguments.module}")
        return int(verb.run(arguments))
    except UsageError as error:
        return fail(words, BAD_INPUT, bad_input(error), f"{error}\n{error.advice}")
    except SpecError as error:
        return fail(words, BAD_INPUT, bad_input(error), str(error))
    except InfeasibleError as error:
        return fail(words, INFEASIBLE, infeasible(error), str(error))
    except TimeLimitError as error:
        return fail(words, TIME_LIMIT, {"status": "time_limit", "message": str(error)}, f"dse: {error}")
    except DseError as error:
        return fail(words, BAD_INPUT, bad_input(SpecError(str(error))), str(error))
    except KeyboardInterrupt:
        return fail(words, INTERRUPTED, {"status": "interrupted"}, "dse: interrupted")
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        problem = SpecError(f"{where}{error.strerror or error}")
        return fail(words, BAD_INPUT, bad_input(problem), str(problem))
    except Exception as error:
        traceback.print_exc()
        text = "dse: this is a defect of dse; please report it with the command and the text above"
        return fail(words, DEFECT, {"status": "defect", "message": f"{type(error).__name__}: {error}"}, text)


def fail(words: Sequence[str], code: int, document: dict[str, Any], text: str) -> int:
    """Says why there is no result: the text on stderr, with ``--json`` one document on stdout; returns the exit code.

    That no design is feasible is an answer: without ``--json`` its text stands on stdout.
    """
    if code == BAD_INPUT and {"-v", "--verbose"} & set(words):
        traceback.print_exc()
    if "--json" in words:
        print(json_text(document))
    is_answer = code == INFEASIBLE and "--json" not in words
    print(text, file=sys.stdout if is_answer else sys.stderr, flush=True)
    return code
