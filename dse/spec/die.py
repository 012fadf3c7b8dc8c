"""Dies and the packages and wafers they come from and go into."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dse.spec.quantity import CONFIG, Count, NonNegative, Positive


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Die:
    """One kind of silicon die and how many of them the machine has."""

    __pydantic_config__ = CONFIG

    name: str
    """Name that cores, units and links refer to."""
    count: Count
    """Dies of this kind."""
    node_nm: Positive
    """Technology node [nm]."""
    fixed_area_mm2: NonNegative
    """Area of one die that no core or unit accounts for: pads, PHYs, control [mm²]."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Packaging:
    """How dies are cut from wafers and put into packages."""

    __pydantic_config__ = CONFIG

    dies_per_package: Count | None = None
    """Dies of one package; left out: all dies share one."""
    wafer_diameter_mm: Positive = 300
    """Diameter of a wafer [mm]."""
    defects_per_cm2: NonNegative | None = None
    """Defects that kill a die [1/cm²]; left out: every die counts as good."""
    yield_model: Literal["poisson", "murphy"] = "murphy"
    """Yield of a die of area A at defect density D: ``poisson`` exp(−AD); ``murphy`` ((1 − exp(−AD)) / AD)²."""
