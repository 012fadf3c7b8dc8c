"""What a tile costs besides its products: idle power and the programming of its weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dse.spec.quantity import CONFIG, Count, NonNegative, Positive


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Idle:
    """Power of a tile that does nothing, and what switching it off and on costs."""

    __pydantic_config__ = CONFIG

    on_mw: NonNegative
    """Power of one tile that is switched on and does nothing [mW]."""
    gating: Literal["none", "per_layer"] = "none"
    """``none``: all tiles stay on; ``per_layer``: tiles are on only while a stage runs that has weights on them."""
    gated_mw: NonNegative | None = None
    """Power of one tile that is switched off [mW]; needed for ``per_layer``."""
    wake_pj: NonNegative | None = None
    """Energy of switching one tile on [pJ]; needed for ``per_layer``."""
    wake_ns: NonNegative | None = None
    """Time to switch a tile on [ns]; needed for ``per_layer``."""
    wake: Literal["hidden", "exposed"] = "exposed"
    """``exposed``: a stage waits for its tiles to wake; ``hidden``: they wake while the stage before it runs, and it
    waits for what that is too short for."""

    @property
    def is_gated(self) -> bool:
        """Whether tiles without work are switched off."""
        return self.gating == "per_layer"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Program:
    """How weights are written into a crossbar: pulses with verification, row by row."""

    __pydantic_config__ = CONFIG

    pulse_ns: Positive
    """Time of one programming pulse of a row and its verification [ns]."""
    energy_pj_per_cell: NonNegative
    """Energy of one pulse of one device and its verification [pJ]."""
    iterations: Count
    """Pulses that a device takes until its weight is right."""
    parallel_rows: Count = 1
    """Rows of a crossbar that are written at the same time; all their columns are."""
    endurance_cycles: Positive | None = None
    """Pulses that a device survives; left out: not checked."""
    power_mw: Positive | None = None
    """Power that may be spent on programming the whole group [mW]; left out: all tiles are written at once."""
    weight_bits: Count = 8
    """Bits of one weight on its way to the tiles."""
    refresh_interval_s: Positive | None = None
    """Time after which all crossbars of the group are written again because conductances drift [s]; left out: never."""
