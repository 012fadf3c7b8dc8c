"""``dse export``: a result in the form that another program reads."""

from __future__ import annotations

import argparse
import json

from dse.commands.output import json_text, output_file, tell, write_text
from dse.errors import SpecError
from dse.exploration.study import Study
from dse.mapping.deployment import deployment, deployment_frame
from dse.mapping.model import load_mapping


def run(arguments: argparse.Namespace) -> int:
    """Prints or writes a mapping as a table of its slices and blocks, or the designs of a run."""
    if arguments.json and arguments.format == "csv":
        raise SpecError("--json prints one JSON document, --format csv a table; drop one")
    is_json = arguments.json or arguments.format == "json"
    name = "deployment" if arguments.what == "mapping" else "points"
    file = output_file(arguments.output, f"{name}.{'json' if is_json else 'csv'}")
    text = (mapping_text if arguments.what == "mapping" else points_text)(arguments, is_json)
    if file is None:
        print(text, end="")
    else:
        write_text(arguments, file, text)
    return 0


def mapping_text(arguments: argparse.Namespace, is_json: bool) -> str:
    """Slices and blocks of a mapping."""
    mapping = load_mapping(arguments.file)
    if mapping.slices is None:
        tell(
            arguments, "remark: the mapping is not packed, so no tiles are named; `dse map -o FILE` writes packed ones"
        )
    if is_json:
        return json.dumps(deployment(mapping), indent=1) + "\n"
    return deployment_frame(mapping).to_csv(index=False)


def points_text(arguments: argparse.Namespace, is_json: bool) -> str:
    """Every design of a run folder with its axes, metrics and status; as JSON with seed and digests of the inputs."""
    study = Study.load(arguments.file)
    points = study.points.reset_index()
    if not is_json:
        return points.to_csv(index=False)
    rows = points.astype(object).where(points.notna(), None).to_dict(orient="records")
    digests = {kind: study.manifest[kind]["digest"] for kind in ("architecture", "workload")}
    return json_text({"seed": study.manifest["seed"], "digests": digests, "points": rows}) + "\n"
