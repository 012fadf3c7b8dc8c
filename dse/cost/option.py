"""An option of a block: where it could be placed and how."""

from __future__ import annotations

from typing import Literal, NamedTuple

from dse.units import Precision


class Option(NamedTuple):
    """Where a block is: core group, format of its weights (``analog`` on tiles), number of copies."""

    group: str
    precision: Precision | Literal["analog"]
    copies: int = 1
