"""``dse schema``: the JSON Schema of a kind of spec."""

from __future__ import annotations

import argparse
import json
from typing import Final

from dse.commands.output import SCHEMA_VERSION, output_file, write_text
from dse.spec.schema import SchemaKind, json_schema

KINDS: Final[dict[str, SchemaKind]] = {"architecture": "arch"}
"""Long name of a kind → its short one."""


def run(arguments: argparse.Namespace) -> int:
    """Prints the schema, or writes it; ``--json`` adds the version of the document, which editors pass over."""
    file = output_file(arguments.output, f"{arguments.kind}.schema.json")
    schema = json_schema(KINDS.get(arguments.kind, arguments.kind))
    text = json.dumps({"schema_version": SCHEMA_VERSION, **schema} if arguments.json else schema, indent=2)
    if file is None:
        print(text)
    else:
        write_text(arguments, file, text + "\n")
    return 0
