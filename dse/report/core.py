"""What one product of a tile is made of, and what its calibration rests on."""

from __future__ import annotations

from typing import Any

from dse.cost.calibration import free_energy, residuals
from dse.cost.tile import mvm_cost
from dse.errors import SpecError
from dse.evaluation.frames import at_point
from dse.report.tables import align, quantity_text
from dse.spec.architecture import AnalogCore
from dse.spec.core_cost import ComponentsCost


def core_products(core: AnalogCore, rows_used: int | None, cols_used: int | None) -> dict[str, Any]:
    """Parts of one product and the residuals of the calibration, for ``dse core``.

    Raises:
        SpecError: more rows or columns than the array has.
    """
    for key, used, there in (("rows", rows_used, core.rows), ("cols", cols_used, core.cols)):
        if used is not None and used > at_point(there):
            raise SpecError(f"--{key}-used: the array has {at_point(there):g} {key} (got {used})")
    cost = mvm_cost(core, rows_used, cols_used)
    found: dict[str, Any] = {
        "product": {
            "rows_used": rows_used or at_point(core.rows),
            "cols_used": cols_used or at_point(core.cols),
            "energy_pj": at_point(cost.energy_pj),
            "latency_ns": at_point(cost.latency_ns),
            "parts_pj": {part: at_point(value) for part, value in cost.parts_pj.items()},
        }
    }
    if isinstance(core.cost, ComponentsCost) and core.cost.calibration:
        found["calibration"] = {
            "free_energy": free_energy(core.cost),
            "free_time": core.cost.free.time,
            "points": [
                {
                    "point": r.point, "quantity": r.quantity, "stated": at_point(r.stated),
                    "predicted": at_point(r.predicted), "error_fraction": at_point(r.error_fraction),
                }
                for r in residuals(core, core.cost)
            ],
        }  # fmt: skip
    return found


def products_text(document: dict[str, Any]) -> str:
    """The same as text; nothing for a product that is one figure."""
    product = document["product"]
    if len(product["parts_pj"]) == 1:
        return ""
    total = product["energy_pj"]
    rows = [[part, quantity_text(pj, "pj"), f"{100 * pj / total:.1f} %"] for part, pj in product["parts_pj"].items()]
    rows.append(["sum", quantity_text(total, "pj"), quantity_text(product["latency_ns"], "ns")])
    said = f"\n\none product, {product['rows_used']:g} rows and {product['cols_used']:g} columns\n"
    said += align(rows, right={1, 2})
    if "calibration" not in document:
        return said + "\nnot calibrated: formulas alone, a factor of three either way"
    given = document["calibration"]
    points = [
        [f"point {p['point']}", p["quantity"], f"{p['stated']:.6g}", f"{p['predicted']:.6g}",
         f"{100 * p['error_fraction']:+.2f} %"]
        for p in given["points"]
    ]  # fmt: skip
    said += f"\n\ncalibrated: energy of {given['free_energy']}, time of {given['free_time']}\n"
    return said + align(points, ["", "quantity", "stated", "calibrated", "error"], right={2, 3, 4})
