"""The datasheet of one analog core as a document and as text, with what its calibration rests on."""

from __future__ import annotations

import dataclasses
import textwrap
from typing import Any, get_args

import numpy as np

from dse.cost.band import OF_FIGURE, Banded, band_factor, figure_factor
from dse.cost.calibration import free_parameters, residuals
from dse.cost.datasheet import core_datasheet
from dse.cost.operating_point import OperatingPoint, point_of_calibration
from dse.cost.tile import tile_of
from dse.errors import SpecError
from dse.report.converters import converters_document, converters_text
from dse.report.tables import align, quantity_text
from dse.spec.architecture import AnalogCore, Architecture
from dse.spec.core_cost import ComponentsCost, LumpedCost
from dse.spec.provenance import Provenance
from dse.units import at_point, unit_of


def core_document(
    arch: Architecture, core: AnalogCore, rows_used: int | None = None, cols_used: int | None = None
) -> dict[str, Any]:
    """Everything ``dse core`` says of a core: figures at a fill, their parts, band and calibration.

    Raises:
        SpecError: more rows or columns than the array has, or a calibration that its formulas cannot meet.
    """
    for key, used, there in (("rows", rows_used, core.rows), ("cols", cols_used, core.cols)):
        if used is not None and not 0 < used <= at_point(there):
            raise SpecError(f"--{key}-used: the array has 1 to {at_point(there):g} {key} (got {used})")
    sheet, tile = core_datasheet(core, rows_used, cols_used), tile_of(core)
    rows, cols = rows_used or at_point(core.rows), cols_used or at_point(core.cols)
    mvm = tile.mvm(rows, cols)
    figures = {name: at_point(value) for name, value in dataclasses.asdict(sheet).items()}
    without_area = dict.fromkeys(("area_mm2", "tops_per_mm2")) if not figures["area_mm2"] else {}
    factors = {quantity: at_point(band_factor(core, quantity, rows, cols)) for quantity in get_args(Banded)}
    stated = [name for name in OF_FIGURE if figures["area_mm2"] or "area" not in OF_FIGURE[name]]
    bands = {name: at_point(figure_factor(core, name, rows, cols)) for name in stated}
    return {
        "core": core.name,
        "model": core.cost.model,
        "energy_boundary": arch.energy_boundary,
        "rows_used": rows,
        "cols_used": cols,
        **figures,
        **without_area,
        "parts_pj": {part: at_point(value) for part, value in mvm.parts_pj.items()},
        "parts_ns": {part: at_point(value) for part, value in tile.time_parts_ns(cols).items()},
        "time_rule": time_rule(core),
        "parts_mm2": {part: at_point(value) for part, value in tile.area_parts_mm2().items()},
        "band": {
            "factor": factors["energy"],
            **{f"{quantity}_factor": factor for quantity, factor in factors.items()},
            "low": {name: figures[name] / factor for name, factor in bands.items()},
            "high": {name: figures[name] * factor for name, factor in bands.items()},
        },
        "calibration": calibration_document(arch, core),
        "converters": converters_document(core),
        "remarks": remarks(core),
    }


def time_rule(core: AnalogCore) -> str:
    """How the parts of the time of a product make up the whole."""
    if isinstance(core.cost, ComponentsCost) and core.cost.overlap:
        return "the longer of input pulses and settling + conversion, and what follows"
    return "the sum"


def remarks(core: AnalogCore) -> list[str]:
    """What the figures of a core leave out, as far as it matters at its settings."""
    cost = core.cost
    if isinstance(cost, LumpedCost):
        return ["one energy and one time whatever the fill, the bits, the phases and the voltage"]
    said = ["energy does not follow the data of a product: zeros cost as much as any"]
    if isinstance(cost, ComponentsCost) and (idle := without_effect(core)):
        said.append(f"neither energy nor time follows {', '.join(idle)}: the file states no cost of theirs")
    if isinstance(cost, ComponentsCost) and core.read is not None and core.dac.encoding == "pulse_width":
        pulse, levels = at_point(core.read.pulse_ns), 2 ** (at_point(core.dac.bits) - 1) - 1
        said.append(
            f"the longest input pulse is read.pulse_ns = {pulse:g} ns at any dac.bits, now "
            f"{pulse / max(levels, 1):.3g} ns a level; inputs of fewer bits are faster only with a shorter pulse and "
            "conversion"
        )
    if isinstance(cost, ComponentsCost) and cost.scaled_from is not None and cost.supply_v is not None:
        moved = not np.array_equal(cost.supply_v, cost.scaled_from.supply_v)
        if moved and not np.any(cost.voltage.delay_exponent):
            said.append("time does not follow the supply voltage: voltage.delay_exponent is 0")
    return said


def without_effect(core: AnalogCore) -> list[str]:
    """Settings of the converters that change neither energy nor time of a product."""
    base = tile_of(core).mvm(core.rows, core.cols)
    changed = {
        "dac.bits": dataclasses.replace(core, dac=dataclasses.replace(core.dac, bits=core.dac.bits + 1)),
        "adc.bits": dataclasses.replace(core, adc=dataclasses.replace(core.adc, bits=core.adc.bits + 1)),
    }
    products = {name: tile_of(other).mvm(core.rows, core.cols) for name, other in changed.items()}
    return [
        name
        for name, other in products.items()
        if np.all(other.energy_pj == base.energy_pj) and np.all(other.latency_ns == base.latency_ns)
    ]


def calibration_document(arch: Architecture, core: AnalogCore) -> dict[str, Any] | None:
    """What was calibrated on what, with the residuals; None where nothing was."""
    cost = core.cost
    if not isinstance(cost, ComponentsCost) or not cost.calibration:
        return None
    path = f"analog_cores.{core.name}.cost.calibration"
    origins = [origin_below(arch, f"{path}[{index}]") for index in range(len(cost.calibration))]
    return {
        "free": {quantity: list(names) for quantity, names in free_parameters(cost).items()},
        "sources": [origin.source for origin in origins],
        "evidence": [origin.evidence for origin in origins],
        "settings": [settings_document(point_of_calibration(core, cost, given)) for given in cost.calibration],
        "points": [
            {
                "point": r.point, "quantity": r.quantity, "stated": at_point(r.stated),
                "predicted": at_point(r.predicted), "error_fraction": at_point(r.error_fraction),
            }
            for r in residuals(core, cost)
        ],
    }  # fmt: skip


def origin_below(arch: Architecture, path: str) -> Provenance:
    """Origin of what a calibration point states: of its last value with a source."""
    found = [origin for name, origin in arch.provenance.items() if name.startswith(f"{path}.") and origin.source]
    return found[-1] if found else Provenance()


def settings_document(at: OperatingPoint) -> dict[str, float]:
    """Rows, columns, phases, bits and voltage of a published operating point; those that matter."""
    settings = {
        "rows_driven": at.rows_used, "cols_used": at.cols_used, "phases": at.phases, "dac_bits": at.dac_bits,
        "adc_bits": at.adc_bits, "supply_v": at.supply,
    }  # fmt: skip
    return {name: at_point(value) for name, value in settings.items() if value is not None}


def settings_text(settings: dict[str, float]) -> str:
    """The settings of a point on one line."""
    said = (
        f"{settings['rows_driven']:g} rows x {settings['cols_used']:g} columns, read phases {settings['phases']:g}, "
        f"bits {settings['dac_bits']:g} in, {settings['adc_bits']:g} out"
    )
    return f"{said}, {settings['supply_v']:g} V" if "supply_v" in settings else said


def core_text(document: dict[str, Any]) -> str:
    """The datasheet in 80 columns."""
    names = ("mvm_energy_pj", "mvm_latency_ns", "area_mm2", "power_mw", "tops", "tops_per_w", "tops_per_mm2")
    rows = []
    for name in names:
        unit = name.rsplit("_", 1)[-1] if unit_of(name) and "_per_" not in name else ""
        rows.append([name, "not stated" if document[name] is None else quantity_text(document[name], unit)])
    said = (
        f"{document['core']}: one tile, {document['rows_used']:g} rows x {document['cols_used']:g} columns in use, "
        f"{document['model']} cost\n"
    )
    said += align(rows, right={1})
    sections = (
        ("energy of one product", "parts_pj", "pj"),
        (f"its time: {document['time_rule']}", "parts_ns", "ns"),
        ("area of the tile", "parts_mm2", "mm2"),
    )
    for title, key, unit in sections:
        if len(document[key]) > 1 and any(document[key].values()):
            said += f"\n\n{title}\n{parts_text(document[key], unit, adds_up=key != 'parts_ns')}"
    said += f"\n\n{converters_text(document['converters'])}"
    return said + calibration_text(document) + "".join(f"\n\n{textwrap.fill(r, 78)}" for r in document["remarks"])


def parts_text(parts: dict[str, float], unit: str, *, adds_up: bool) -> str:
    """Parts, with their shares where they add up."""
    total = sum(parts.values()) or 1.0
    rows = [
        [name, quantity_text(value, unit), f"{100 * value / total:.1f} %" if adds_up else ""]
        for name, value in parts.items()
        if value
    ]
    return align(rows, right={1, 2})


def calibration_text(document: dict[str, Any]) -> str:
    """Calibration and band; one line for a core that is not calibrated."""
    if document["model"] != "components":
        return ""
    given = document["calibration"]
    if given is None:
        return f"\n\nnot calibrated: formulas alone\n{bands_text(document)}"
    free = "; ".join(f"{key.partition('_')[0]}: {', '.join(names)}" for key, names in given["free"].items() if names)
    rows = [
        [f"point {p['point']}", p["quantity"], f"{p['stated']:.6g}", f"{p['predicted']:.6g}",
         f"{100 * p['error_fraction']:+.2f} %"]
        for p in given["points"]
    ]  # fmt: skip
    said = f"\n\ncalibrated ({free})\n"
    said += align(rows, ["", "quantity", "stated", "calibrated", "error"], right={2, 3, 4})
    for index, (settings, source, evidence) in enumerate(
        zip(given["settings"], given["sources"], given["evidence"], strict=True)
    ):
        where = f"point {index}: {settings_text(settings)}; [{evidence or 'no evidence named'}] {source or 'no source'}"
        said += "\n" + textwrap.fill(where, 78, initial_indent="  ", subsequent_indent="    ")
    return f"{said}\n{bands_text(document)}"


def bands_text(document: dict[str, Any]) -> str:
    """Between what energy, time and area are taken to lie."""
    rows = []
    for name, quantity in (("mvm_energy_pj", "energy"), ("mvm_latency_ns", "time"), ("area_mm2", "area")):
        if name in document["band"]["low"]:
            ends = (quantity_text(document["band"][end][name], name.rsplit("_", 1)[-1]) for end in ("low", "high"))
            factor = f"(x {document['band'][f'{quantity}_factor']:.3g} either way)"
            rows.append([f"{quantity} between", next(ends), "and", next(ends), factor])
    return align(rows, right={1, 3})
