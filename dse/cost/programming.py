"""Writing weights into crossbars: time, energy, endurance, and refreshing them against drift."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dse.cost.network import network_paths
from dse.spec.architecture import AnalogCore, Architecture
from dse.spec.tile_upkeep import Program
from dse.units import BITS_PER_BYTE, NS_PER_S, Quantity


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ProgrammingCost:
    """Cost of writing a number of crossbars of one core group once."""

    bound_by_ns: Mapping[str, Quantity]
    """What limits the time → the time it takes [ns]; the longest binds."""
    energy_pj: Quantity
    """Energy [pJ]."""
    endurance_fraction: Quantity | None
    """Share of the endurance of a device that is used up; None where it is not stated."""

    @property
    def time_ns(self) -> Quantity:
        """Time [ns]."""
        return np.asarray(np.maximum.reduce(np.broadcast_arrays(*self.bound_by_ns.values())))


def crossbar_ns(*, rows: Quantity, parallel_rows: Quantity, iterations: Quantity, pulse_ns: Quantity) -> Quantity:
    """Time to write one crossbar [ns]: ``⌈rows / parallel_rows⌉ · iterations · t_pulse``.

    Valid for: program-and-verify row by row, all columns of a row at once, every row taking the mean number of
    iterations (HERMES: 256 rows, 30 iterations; Le Gallo, Nat. Electron. 6, 680, 2023).

    >>> float(crossbar_ns(rows=256, parallel_rows=1, iterations=30, pulse_ns=1000) / 1e6)  # ms
    7.68
    """
    return np.ceil(rows / parallel_rows) * iterations * pulse_ns


def programming_energy_pj(
    *, n_weights: Quantity, devices: Quantity, iterations: Quantity, energy_pj_per_cell: Quantity
) -> Quantity:
    """Energy of writing weights [pJ]: ``weights · devices · iterations · E_pulse``.

    >>> programming_energy_pj(n_weights=65536, devices=4, iterations=30, energy_pj_per_cell=10) / 1e6  # µJ
    78.6432
    """
    return n_weights * devices * iterations * energy_pj_per_cell


def programming_cost(
    arch: Architecture, core: AnalogCore, program: Program, host_die: str, n_crossbars: Quantity
) -> ProgrammingCost:
    """Cost of writing a number of crossbars that spread evenly over the tiles of a group.

    A tile writes one crossbar at a time. The time is the longest of: pulses of the fullest tile, energy over the power
    that may be spent, bytes over the link from the host, bytes over the busiest link of the die's network.
    """
    n_weights = np.asarray(n_crossbars, np.float64) * core.rows * core.cols
    energy_pj = programming_energy_pj(
        n_weights=n_weights,
        devices=devices_per_weight(core),
        iterations=program.iterations,
        energy_pj_per_cell=program.energy_pj_per_cell,
    )
    one_ns = crossbar_ns(
        rows=core.rows,
        parallel_rows=program.parallel_rows,
        iterations=program.iterations,
        pulse_ns=program.pulse_ns,
    )
    bound_by: dict[str, Quantity] = {"pulses": np.ceil(n_crossbars / np.asarray(arch.n_tiles(core))) * one_ns}
    if program.power_mw is not None:
        bound_by["power"] = energy_pj / program.power_mw
    n_bytes, dies = n_weights * program.weight_bits / BITS_PER_BYTE, arch.die(core.die).count
    link, network = arch.link_between(core.die, host_die), arch.network_within(core.die)
    if link is not None and core.die != host_die:
        bound_by["host link"] = n_bytes / (link.bandwidth_bytes_per_ns * dies * arch.die(host_die).count)
    if network is not None:
        load = network_paths(arch, network).worst_load_fraction
        bound_by["network"] = n_bytes * load / (network.bandwidth_bytes_per_ns * dies)
    endurance = None if program.endurance_cycles is None else program.iterations / program.endurance_cycles
    return ProgrammingCost(bound_by_ns=bound_by, energy_pj=energy_pj, endurance_fraction=endurance)


def devices_per_weight(core: AnalogCore) -> Quantity:
    """Devices that hold one weight, bit slices together."""
    return 1 if core.weight is None else core.weight.devices * core.weight.bit_slices


def lifetime_s(*, refresh_interval_s: Quantity, endurance_fraction: Quantity) -> Quantity:
    """Time until the endurance is used up by refreshing [s]: ``interval / share of the endurance per programming``.

    >>> lifetime_s(refresh_interval_s=86400, endurance_fraction=30 / 1e6) / 3.15576e7  # years
    91.2...
    """
    return refresh_interval_s / endurance_fraction


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Refresh:
    """Writing all crossbars of a group again at a fixed interval."""

    time_fraction: Quantity
    """Share of all time in which the machine stands still for it; 1 or more: it never ends."""
    power_mw: Quantity
    """Its energy over the time that is left for steps [mW]."""


def refresh(arch: Architecture, core: AnalogCore, host_die: str) -> Refresh | None:
    """Refresh of a group against drift, or None where its weights are written once.

    ``f = T / interval``, ``P = E / (interval · (1 − f))``: T and E of writing every crossbar of the group, filled or
    not. The idle power of a machine that stands still is left out.
    """
    program = core.program
    if program is None or program.refresh_interval_s is None:
        return None
    cost = programming_cost(arch, core, program, host_die, arch.n_crossbars(core))
    interval_ns = np.asarray(program.refresh_interval_s) * NS_PER_S
    fraction = cost.time_ns / interval_ns
    serving = np.where(fraction < 1, 1 - fraction, 1.0)
    return Refresh(time_fraction=fraction, power_mw=cost.energy_pj / (interval_ns * serving))
