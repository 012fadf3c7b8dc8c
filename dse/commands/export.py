"""``dse export``: a result in the form that another program reads."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from dse.commands.output import output_file, tell, writing
from dse.errors import SpecError
from dse.mapping.deployment import deployment, deployment_frame
from dse.mapping.model import load_mapping


def run(arguments: argparse.Namespace) -> int:
    """Prints or writes a mapping as a table of its slices and blocks."""
    mapping = load_mapping(arguments.file)
    if mapping.slices is None:
        tell(
            arguments, "remark: the mapping is not packed, so no tiles are named; `dse map -o FILE` writes packed ones"
        )
    if arguments.json and arguments.format == "csv":
        raise SpecError("--json prints one JSON document, --format csv a table; drop one")
    is_json = arguments.json or arguments.format == "json"
    as_json = json.dumps(deployment(mapping), indent=1) + "\n"
    text = as_json if is_json else deployment_frame(mapping).to_csv(index=False)
    file = output_file(arguments.output, f"deployment.{'json' if is_json else 'csv'}")
    if file is None:
        print(text, end="")
        return 0
    with writing(arguments, Path(file)):
        file.write_text(text, encoding="utf-8")
    return 0
