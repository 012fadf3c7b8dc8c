"""Everything that dse is validated against, in the order of the page."""

from __future__ import annotations

from dse.validation.chips import compare_chips
from dse.validation.comparison import Comparison
from dse.validation.contention import compare_contention, compare_pipelined_contention
from dse.validation.evaluations import compare_evaluations
from dse.validation.formulas import compare_areas, compare_printed, compare_regressions
from dse.validation.machine import compare_machine
from dse.validation.matmul import compare_matmul
from dse.validation.released_models import compare_crossbars, compare_parameters
from dse.validation.table2 import compare_table2


def validate() -> tuple[Comparison, ...]:
    """Every comparison, worked out anew from the files in ``validation/``."""
    return (
        compare_parameters(),
        compare_crossbars(),
        compare_evaluations("counts"),
        compare_evaluations("paper"),
        compare_chips(),
        compare_matmul("a100_80g"),
        compare_matmul("mi210_64g"),
        compare_contention(),
        compare_pipelined_contention(),
        compare_table2(),
        compare_regressions(),
        compare_printed(),
        compare_areas(),
        compare_machine(),
    )
