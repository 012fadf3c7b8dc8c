"""Published operating points of chips against the datasheet of the shipped files, calibrated on some of them."""

from __future__ import annotations

from typing import Final

from dse.cost.band import figure_factor
from dse.cost.datasheet import core_datasheet
from dse.spec.load import load_architecture
from dse.units import at_point
from dse.validation.comparison import Claim, Comparison, Excluded, Role, Row, Truth
from dse.validation.files import read_json

FILE: Final = "chips.json"
ROLES: Final[dict[str, Role]] = {"calibrated": "calibrated", "held_out": "held out"}
TRUTHS: Final[dict[str, Truth]] = {"measured": "measured silicon", "simulated": "published simulation"}


def compare_chips() -> Comparison:
    """Every published operating point of the shipped chips.

    The measured ones and the simulated ones (ISAAC, PUMA) stand together; only measured points are held out.
    """
    data = read_json(FILE)
    rows = []
    for entry in data["chips"]:
        core = load_architecture(entry["arch"], entry["overrides"]).core(entry["core"])
        used = (entry["rows_used"], entry["cols_used"])
        found = getattr(core_datasheet(core, *used), entry["quantity"])
        band = at_point(figure_factor(core, entry["quantity"], *used)) - 1
        rows.append(
            Row(
                case=entry["case"],
                quantity=entry["quantity"],
                stated=entry["stated"],
                found=at_point(found),
                role=ROLES[entry["role"]],
                band_fraction=band,
                source=f"{entry['source']} ({TRUTHS[entry['evidence']]})",
            )
        )
    return Comparison(
        name="Chips at published operating points",
        what="Energy, power, throughput and efficiency of one tile of each shipped chip. Calibrated: the point is in "
        "the chip's file, so that its error is a residual. Not calibrated: other rows, bits, phases and voltages.",
        truth="measured silicon",
        source="per row",
        rows=tuple(rows),
        claim=Claim(mean_fraction=0.10, max_fraction=0.25, in_band_fraction=0.85),
        excluded=tuple(Excluded(entry["case"], entry["reason"]) for entry in data["excluded"]),
        notes=(data["about"],),
    )
