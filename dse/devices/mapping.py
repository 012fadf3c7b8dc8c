"""How a weight becomes the conductances of its devices, and back."""

from __future__ import annotations

from typing import Any, Final, Literal, NamedTuple

Scheme = Literal["differential", "two_sided", "offset", "unit_column"]

# All conductances are shares of g_max, weights shares of their scale, in [-1, 1].


class Targets(NamedTuple):
    """Target conductances of one weight; numbers or arrays."""

    first: Any
    """``differential``: the device that holds the weight; otherwise the positive one."""
    second: Any
    """``differential``: the other device of the pair; ``two_sided``: the negative one; ``offset``: what is subtracted;
    ``unit_column``: the device in the column that is subtracted."""


SECOND_IS_DEVICE: Final[dict[Scheme, bool]] = {
    "differential": True, "two_sided": True, "offset": False, "unit_column": True,
}  # fmt: skip
"""Whether the second conductance is one of a device, with noise of its own."""


def targets(share: Any, scheme: Scheme, off: float) -> Targets:
    """Target conductances.

    ``differential``: ``off + (1 − off) |w|`` and ``off``; otherwise ``m ± (1 − off) w / 2`` about the middle
    ``m = (1 + off) / 2`` and, for ``offset`` and ``unit_column``, ``m`` itself.

    Args:
        share: weight / scale.
        scheme: how a weight is stored.
        off: smallest conductance.
    """
    if scheme == "differential":
        return Targets(off + (1 - off) * abs(share), off)
    middle, half = (1 + off) / 2, (1 - off) / 2 * share
    return Targets(middle + half, middle - half if scheme == "two_sided" else middle)


def weight_gain(scheme: Scheme, off: float) -> float:
    """Weight (as a share of its scale) per difference of the two conductances; for ``differential`` its magnitude."""
    return (2.0 if scheme in ("offset", "unit_column") else 1.0) / (1 - off)
