"""``dse export``: a result in the form that another program reads."""

from __future__ import annotations

import argparse
import json
from typing import Final

from dse.commands.output import json_text, output_file, tell, write_text
from dse.errors import SpecError
from dse.evaluation.points import evaluate_points
from dse.exploration.opened import design_of_point
from dse.exploration.stored import RunPoint, read_stored
from dse.exploration.study import Study
from dse.mapping.deployment import deployment, deployment_frame
from dse.mapping.model import load_mapping
from dse.report.trace import chrome_trace

NAMES: Final = {"mapping": "deployment", "points": "points", "trace": "trace"}
"""What is exported → name of its file in a folder."""


def run(arguments: argparse.Namespace) -> int:
    """Prints or writes a mapping as a table of its slices and blocks, the designs of a run, or the trace of a step."""
    if arguments.json and arguments.format == "csv":
        raise SpecError("--json prints one JSON document, --format csv a table; drop one")
    if arguments.what == "trace" and arguments.format == "csv":
        raise SpecError("a trace is one JSON document; drop --format csv")
    is_json = arguments.json or arguments.format == "json" or arguments.what == "trace"
    file = output_file(arguments.output, f"{NAMES[arguments.what]}.{'json' if is_json else 'csv'}")
    text = {"mapping": mapping_text, "points": points_text, "trace": trace_text}[arguments.what](arguments, is_json)
    if file is None:
        print(text, end="")
    else:
        write_text(arguments, file, text)
    return 0


def trace_text(arguments: argparse.Namespace, is_json: bool) -> str:
    """The stages of a step of a stored result, as Perfetto opens them.

    Raises:
        SpecError: no result, or one whose step has no fixed order.
    """
    found = read_stored(arguments.file)
    if isinstance(found, RunPoint):
        document = evaluate_points(*design_of_point(found)).to_dict()
    elif "timeline" in found:
        document = found
    else:
        raise SpecError(f"{arguments.file}: not a result of this version of `dse evaluate -o`; write it again")
    if document["timeline"] is None:
        why = "micro-batches overlap" if document["composition"] == "pipelined" else "it is a sum of several steps"
        raise SpecError(f"{arguments.file}: its step has no fixed order, because {why}; take one serial or overlapped "
                        "step of decode or prefill")  # fmt: skip
    return json_text(chrome_trace(document["timeline"], arguments.file)) + "\n"


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
