"""The answer to a mapping problem of a file, in the words of its format."""

from __future__ import annotations

from typing import Any

from dse.mapping.model import Mapping


def problem_answer(mapping: Mapping, file_format: int) -> dict[str, Any]:
    """The JSON document: status, value, bound, gap, placement, and what the limits need and have.

    Args:
        mapping: the solved problem.
        file_format: 1: the placement names groups; 2: groups, precisions and copies.
    """
    is_bounded = mapping.bound != float("-inf")
    return {
        "status": mapping.status,
        "objective": mapping.value,
        "objective_name": mapping.objective,
        "bound": mapping.bound if is_bounded else None,
        "gap": mapping.gap if is_bounded else None,
        "placement": {
            name: option.group if file_format == 1 else option._asdict() for name, option in mapping.placement.items()
        },
        "metrics": mapping.metrics,
        "limits": mapping.limits,
        "binding": mapping.binding,
        "units_used": mapping.units_used,
        "units_available": mapping.units_available,
        "solver": mapping.solver,
        "digests": mapping.digests,
    }
