"""Limits of an architecture against what an evaluation needs: capacities, power, area."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dse.cost.option import host_unit
from dse.errors import Cause, InfeasibleError
from dse.evaluation.result import Evaluation
from dse.spec.architecture import Architecture

# P design points

Array = NDArray[np.float64]
REFRESH = "drift refresh of "
TOLERANCE = 1e-9
"""Relative excess that counts as rounding."""


class LimitUse(NamedTuple):
    """What a limit has to hold and what it allows, (P,) each."""

    need: Array
    have: Array
    unit: str

    @property
    def is_broken(self) -> NDArray[np.bool_]:
        """(P,): whether more is needed than there is."""
        return np.asarray(self.need > self.have * (1 + TOLERANCE))


def limit_uses(evaluation: Evaluation, arch: Architecture) -> dict[str, LimitUse]:
    """Limit → its use, for the capacity of every resource and the architecture's own limits."""

    def spread(values: ArrayLike) -> Array:
        return np.broadcast_to(np.asarray(values, dtype=np.float64), (evaluation.n_points,))

    memories = {memory.name for memory in arch.memories}
    uses = {
        f"capacity of {name}": LimitUse(
            spread(need), spread(evaluation.units_available[name]), "byte" if name in memories else "crossbars"
        )
        for name, need in evaluation.units_needed.items()
    }
    for name, fraction in evaluation.refresh_time_fraction.items():
        uses[REFRESH + name] = LimitUse(spread(fraction), np.ones(evaluation.n_points), "of all time")
    if arch.composition == "pipelined":
        uses["micro_batches"] = LimitUse(spread(evaluation.micro_batches), spread(evaluation.sequences), "sequences")
    if arch.limits.power_mw is not None:
        uses["limits.power_mw"] = LimitUse(spread(evaluation.power_mw), spread(arch.limits.power_mw), "mW")
    if arch.limits.area_mm2 is not None:
        uses["limits.area_mm2"] = LimitUse(spread(evaluation.area_mm2), spread(arch.limits.area_mm2), "mm²")
    return uses


def check_all_limits(evaluation: Evaluation, arch: Architecture) -> None:
    """Raises InfeasibleError where any of many designs needs more than there is; says which is the first."""
    broken = np.logical_or.reduce([use.is_broken for use in limit_uses(evaluation, arch).values()])
    if broken.any():
        first = int(np.argmax(broken))
        said = f"{broken.sum()} of {len(broken)} designs, design {first} the first (counted from 0)"
        check_limits(evaluation, arch, first, remark=said)


def check_limits(evaluation: Evaluation, arch: Architecture, point: int = 0, *, remark: str = "") -> None:
    """Raises InfeasibleError where one design needs more than there is or than its limits allow."""
    at_host = f"capacity of {host_unit(arch).memory}"
    causes = []
    for limit, use in limit_uses(evaluation, arch).items():
        if use.is_broken[point]:
            need, have = float(use.need[point]), float(use.have[point])
            extra = " (after KV cache, activations and embedding)" if limit == at_host else ""
            remedy = f"raise it to {need:.6g} {use.unit}, or place other blocks there"
            if limit.startswith(REFRESH):
                extra, remedy = " and all other crossbars", "lengthen program.refresh_interval_s, or write faster"
            causes.append(Cause(limit, need, have, use.unit, "the placed blocks" + extra, remedy))
    if causes:
        raise InfeasibleError(causes, remark)
