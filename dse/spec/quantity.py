"""Field types of specs: numbers that a file gives as one scalar and a sweep as an array.

``Number`` stands in the annotation of a field; pydantic reads its bounds to check a file, and
``Number.problem`` checks the values of an axis against the same bounds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final

import numpy as np
from pydantic import ConfigDict, GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from dse.units import Quantity

CONFIG = ConfigDict(extra="forbid", validate_by_alias=True)
"""Every spec class forbids unknown keys."""


MOST_COUNTED: Final = 1e15
"""Largest count; whole numbers above 2^53 have no exact float."""
LARGEST: Final = 1e30
SMALLEST: Final = 1e-30
"""Sizes within which products and quotients of a few values stay numbers, whatever their units."""


@dataclass(frozen=True, slots=True)
class Number:
    """Bounds of a numeric field."""

    gt: float | None = None
    ge: float | None = None
    le: float | None = None
    integer: bool = False

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """The pydantic schema of one scalar within the bounds; texts and booleans are refused."""
        if self.integer:
            gt, ge, le = (None if bound is None else int(bound) for bound in (self.gt, self.ge, self.le))
            whole = core_schema.int_schema(strict=True, gt=gt, ge=ge, le=le)
            return core_schema.no_info_after_validator_function(
                self._in_reach, core_schema.no_info_before_validator_function(_whole, whole)
            )
        real = core_schema.float_schema(strict=True, gt=self.gt, ge=self.ge, le=self.le, allow_inf_nan=False)
        return core_schema.no_info_after_validator_function(self._in_reach, real)

    def _in_reach(self, value: Any) -> Any:
        """The value, where formulas can still be worked out with it."""
        message = self.out_of_reach(value)
        if message is not None:
            raise PydanticCustomError("out_of_reach", "{message}", {"message": message})
        return value

    def out_of_reach(self, values: Quantity) -> str | None:
        """What is wrong with values whose products no longer fit into a number, or None."""
        size = np.abs(np.asarray(values, dtype=np.float64))
        most = MOST_COUNTED if self.integer else LARGEST
        if np.any(size > most):
            return f"must be at most {most:g}"
        if np.any((size > 0) & (size < SMALLEST)):
            return (
                f"must be 0 or at least {SMALLEST:g} in size" if self.gt is None else f"must be at least {SMALLEST:g}"
            )
        return None

    def problem(self, values: Quantity) -> str | None:
        """What is wrong with the values of an axis, or None."""
        array = np.asarray(values, dtype=np.float64)
        if not np.all(np.isfinite(array)):
            return "must be finite"
        if self.integer and np.any(array != np.round(array)):
            return "must be whole numbers"
        if self.gt is not None and np.any(array <= self.gt):
            return f"must be greater than {self.gt:g}"
        if self.ge is not None and np.any(array < self.ge):
            return f"must be at least {self.ge:g}"
        if self.le is not None and np.any(array > self.le):
            return f"must be at most {self.le:g}"
        return self.out_of_reach(values)


def _whole(value: Any) -> Any:
    """``1e3`` is a whole number, although YAML reads it as a float."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Positive = Annotated[Quantity, Number(gt=0)]
NonNegative = Annotated[Quantity, Number(ge=0)]
Fraction = Annotated[Quantity, Number(gt=0, le=1)]
Count = Annotated[Quantity, Number(gt=0, integer=True)]
Whole = Annotated[Quantity, Number(ge=0, integer=True)]
