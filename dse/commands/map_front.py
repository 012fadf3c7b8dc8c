"""``dse map --front``: what one metric of a mapping costs in another."""

from __future__ import annotations

import argparse
from pathlib import Path

from dse.commands.output import emit, tell, writing
from dse.errors import SpecError
from dse.mapping.front import MappingFront, mapping_front
from dse.mapping.metrics import NAMES
from dse.mapping.problem import MappingProblem
from dse.report.mapping_front_text import mapping_front_text


def run_front(arguments: argparse.Namespace, problem: MappingProblem) -> int:
    """Prints the efficient points; 4 where the time was over before all were solved or one misses the gap."""
    folder = None if arguments.output is None else Path(arguments.output).expanduser()
    if folder is not None and (folder.is_file() or not folder.parent.is_dir()):
        raise SpecError(f"-o {arguments.output}: --front writes a folder; give one whose parent exists")
    metrics = [part.strip() for part in arguments.front.split(",")]
    front = mapping_front(
        problem,
        metrics,
        n_points=arguments.points,
        time_limit_s=arguments.time_limit_s,
        gap=arguments.gap,
        seed=arguments.seed,
    )
    if folder is not None:
        with writing(arguments, folder / "front.csv"):
            folder.mkdir(exist_ok=True)
            front.frame().to_csv(folder / "front.csv", index_label="point")
        with writing(arguments, folder / "placements.csv"):
            front.placements().to_csv(folder / "placements.csv", index_label="block")
    emit(arguments, front_document(front), lambda: mapping_front_text(front))
    loose = sum(point.gap > arguments.gap * (1 + 1e-6) for point in front.points)
    if loose:
        tell(arguments, f"warning: {loose} of {len(front.points)} points are not proven to --gap {arguments.gap:g}; "
                        "--time-limit-s gives the solver longer")  # fmt: skip
    return 4 if loose or front.n_missing else 0


def front_document(front: MappingFront) -> dict[str, object]:
    """The JSON document of a front."""
    return {
        "minimised": NAMES[front.minimised],
        "limited": NAMES[front.limited],
        "points": front.frame().to_dict(orient="records"),
        "n_asked": front.n_asked,
        "n_missing": front.n_missing,
    }
