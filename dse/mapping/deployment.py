"""A mapping as what a loader of weights needs: for every piece of a matrix where it goes."""

from __future__ import annotations

from typing import Any

import pandas as pd

from dse.mapping.model import Mapping

COLUMNS = ("block", "matrix", "i", "j", "copy", "group", "precision", "die", "tile", "tier")


def deployment_frame(mapping: Mapping) -> pd.DataFrame:
    """One row per slice of a packed analog block, and one per other block.

    ``i`` and ``j`` count the slices of a matrix along its input and its output; they, and the tile, are empty for
    blocks in the memory of a digital unit and for mappings that are not packed.
    """
    packed = mapping.slices
    sliced = set() if packed is None else set(packed["block"])
    whole = mapping.frame()
    whole = whole[~whole["block"].isin(sliced)].drop(columns="copies")
    parts = [] if packed is None else [packed.assign(precision="analog")]
    order = {name: index for index, name in enumerate(mapping.placement)}
    table = pd.concat([*parts, whole], ignore_index=True).reindex(columns=list(COLUMNS))
    counts = ["i", "j", "copy", "die", "tile", "tier"]
    table[counts] = table[counts].astype("Int64")
    return table.sort_values("block", key=lambda names: names.map(order), kind="stable", ignore_index=True)


def deployment(mapping: Mapping) -> dict[str, Any]:
    """The same as a JSON document, with the inputs it was made for."""
    table = deployment_frame(mapping).astype(object)
    rows = table.where(table.notna(), None).to_dict(orient="records")
    kept = [{name: value for name, value in row.items() if value is not None} for row in rows]
    return {"schema_version": 1, "digests": dict(mapping.digests), "pieces": kept}
