"""``dse map``: places the experts, and says how far the answer is proven."""

from __future__ import annotations

import argparse

from dse.commands.inputs import Pair, load_pair, mapping_limits, ruled_mapping, solved_mapping
from dse.commands.output import emit, output_file, tell, writing
from dse.cost.warnings import architecture_warnings
from dse.errors import SpecError
from dse.mapping.model import Mapping
from dse.mapping.pack import pack
from dse.report.mapping_text import mapping_text
from dse.sensitivity.score import score_blocks
from dse.sensitivity.share import sensitivity_share


def run(arguments: argparse.Namespace) -> int:
    """Prints status, objective, bound and gap; 4 where the time passed before the proof."""
    file = output_file(arguments.output, "mapping.json")
    pair = load_pair(arguments)
    mapping = wanted_mapping(arguments, pair)
    scores = score_blocks(pair.workload)
    share = sensitivity_share(scores, mapping)
    if file is not None:
        with writing(arguments, file):
            pack(mapping, pair.arch, pair.workload).save(file)
    warnings = architecture_warnings(pair.arch)
    for warning in warnings:
        tell(arguments, f"warning: {warning}")
    document = {
        **mapping.to_dict(), "sensitivity_share": share, "score": dict(scores.attrs), "warnings": list(warnings),
    }  # fmt: skip
    emit(arguments, document, lambda: mapping_text(mapping, pair.workload, share))
    return 4 if mapping.status == "time_limit" else 0


def wanted_mapping(arguments: argparse.Namespace, pair: Pair) -> Mapping:
    """The mapping of a rule, or the best one.

    Raises:
        SpecError: a rule together with limits or an objective.
    """
    limits = mapping_limits(arguments)
    if arguments.rule is None:
        return solved_mapping(arguments, pair, objective=arguments.objective or "energy", limits=limits)
    idle = [name for name in limits if name != "digital_fraction"] + (["objective"] if arguments.objective else [])
    if idle:
        option = f"--{idle[0].replace('_', '-')}"
        raise SpecError(f"--rule {arguments.rule} follows its rule and optimises nothing, so {option} has no effect; "
                        "drop one of them")  # fmt: skip
    return ruled_mapping(arguments, pair).mapping
