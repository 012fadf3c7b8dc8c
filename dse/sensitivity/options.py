"""Score of every block under every option: the table that a mapping is solved with."""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd

from dse.errors import SpecError
from dse.spec.architecture import Architecture, DigitalUnit
from dse.units import BITS, Precision
from dse.workload.build import Workload


def option_scores(
    scores: pd.DataFrame,
    workload: Workload,
    arch: Architecture,
    *,
    digital_precisions: Collection[Precision] | None = None,
) -> pd.DataFrame:
    """One row per block and option: block, group, precision, copies, score.

    A block scores its own score on analog cores, over the number of its copies (their average has 1/r of the noise
    variance), and 0 on digital units. A block without a score (attention
    and other dense blocks, under rules for experts) counts 0 and its kind is listed in ``attrs["unscored"]``.
    Options that are not listed are not used: the loss of quantised weights is not part of these scores, so by
    default experts get the scenario's weight format on digital units. Dense blocks always have that format.

    Args:
        scores: table of ``score_blocks``.
        workload: its blocks get the rows.
        arch: its core groups are the options.
        digital_precisions: formats that experts may be stored in on digital units, all counted as free of
            loss; None: the scenario's, or where a unit lacks it, the widest the unit lists.

    Raises:
        SpecError: no digital unit offers any of ``digital_precisions``.
    """
    blocks = [block for block in workload.blocks if block.kind != "embedding"]
    known = dict(zip(scores["block"], scores["score"], strict=True))
    analog = [(core.name, "analog", n) for core in arch.analog_cores for n in core.copies]
    wanted = workload.scenario.precision.weights
    dense = analog + digital_formats(arch, wanted, None)
    expert = analog + digital_formats(arch, wanted, digital_precisions)
    rows = [
        (block.name, group, precision, n, known.get(block.name, 0.0) / n if precision == "analog" else 0.0)
        for block in blocks
        for group, precision, n in (expert if block.kind == "expert" else dense)
    ]
    table = pd.DataFrame(rows, columns=["block", "group", "precision", "copies", "score"])
    unscored = sorted({block.kind for block in blocks if block.name not in known})
    table.attrs = {**scores.attrs, "unscored": unscored}
    return table


def digital_formats(
    arch: Architecture, wanted: Precision, allowed: Collection[Precision] | None
) -> list[tuple[str, str, int]]:
    """(unit, format, 1) in which blocks may be stored."""
    if allowed is None:
        return [(unit.name, default_format(unit, wanted), 1) for unit in arch.digital_units]
    pairs = [(unit.name, name) for unit in arch.digital_units for name in unit.precisions if name in allowed]
    if not pairs:
        stored = ", ".join(sorted({name for unit in arch.digital_units for name in unit.precisions}))
        raise SpecError(f"no digital unit stores {', '.join(allowed)} (units store {stored})")
    return [(unit, str(name), 1) for unit, name in pairs]


def default_format(unit: DigitalUnit, wanted: Precision) -> Precision:
    """The wanted format where the unit stores it, else the widest one it lists."""
    return wanted if wanted in unit.precisions else max(unit.precisions, key=lambda name: BITS[name])
