"""The front of two metrics of a mapping as text."""

from __future__ import annotations

from dse.mapping.front import MappingFront
from dse.mapping.metrics import NAMES
from dse.report.tables import align, significant
from dse.report.text import wrapped


def mapping_front_text(front: MappingFront) -> str:
    """The result of ``dse map --front``: one line a point, the cheapest of the limited metric first."""
    frame = front.frame()
    first, second = NAMES[front.limited], NAMES[front.minimised]
    others = [name for name in NAMES.values() if name not in (first, second)]
    columns = [first, second, *others]
    rows = [
        [*(significant(row[name]) for name in columns), str(int(row["digital_experts"])), f"{100 * row['gap']:.3f} %"]
        for row in frame.to_dict(orient="records")
    ]
    heads = [*(name.removesuffix("_per_token") for name in columns), "digital", "gap"]
    said = f"{len(rows)} efficient mappings: least {second} for limits on {first}; {front.n_asked} asked for"
    if front.n_missing:
        said += f", {front.n_missing} not solved in time"
    return "\n".join([wrapped(said), "", align(rows, heads, right=set(range(len(heads))))])
