"""``dse schema``: the JSON Schema of a kind of spec."""

from __future__ import annotations

import argparse
import json

from dse.commands.output import output_file, write_text
from dse.spec.schema import json_schema


def run(arguments: argparse.Namespace) -> int:
    """Prints the schema, or writes it."""
    file = output_file(arguments.output, f"{arguments.kind}.schema.json")
    text = json.dumps(json_schema(arguments.kind), indent=2)
    if file is None:
        print(text)
    else:
        write_text(arguments, file, text + "\n")
    return 0
