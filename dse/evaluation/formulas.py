"""The formula behind each part of a result, in words and symbols, and what its quantity counts."""

from __future__ import annotations

from typing import Final, NamedTuple

from dse.cost.buffer import BUFFER
from dse.cost.crossbar_components import COMPONENTS, REMAINDER
from dse.cost.tile import LUMPED


class Formula(NamedTuple):
    """How a part is computed."""

    text: str
    quantity: str
    """What is multiplied by the stated values."""
    unit: str
    """Unit of the quantity."""


ENERGY: Final[dict[str, Formula]] = {
    LUMPED: Formula("visits · crossbars of a block · energy of one product", "crossbar products", ""),
    "partial sums": Formula("visits · (⌈in/rows⌉ − 1) · outputs · energy of one addition", "additions", ""),
    "links": Formula("bits that cross between dies · energy of one bit", "bits", "bit"),
    "exchange": Formula("visits · bits that all dies of a group send each other · energy of one bit", "bits", "bit"),
    "die sums": Formula("additions on the analog die · energy of one addition", "additions", ""),
    "network": Formula("bits · mean hops · energy of one bit and hop", "bits times hops", "bit"),
    "digital compute": Formula("visits · 2 · weights · energy of one operation", "operations", ""),
    "weight memory": Formula("P(block is active) · weights · bits of a weight · energy of one bit", "bits read", "bit"),
    "attention scores": Formula("pairs of positions · heads · 2 · widths · energy of one operation", "operations", ""),
    "KV cache": Formula("cached elements read and written · bits · energy of one bit", "bits", "bit"),
    "vector work": Formula("operations of norms, softmax, activation, … · energy of one", "operations", ""),
    BUFFER: Formula("bits read · energy of reading one + bits written · energy of writing one", "", ""),
    "idle": Formula("units that are there · idle power · step time", "time", "ns"),
    "tiles on": Formula("tiles with weights of a stage · its time · power of a tile that is on", "time", "ns"),
    "wake-up": Formula("tiles that wake · energy of one wake-up", "wake-ups", ""),
    "drift refresh": Formula("energy of programming all weights · step time / refresh interval", "", ""),
    "flat power": Formula("units · power · step time", "time", "ns"),
    "DAC": Formula("products · read phases · rows driven · energy of one driven row", "", ""),
    "array": Formula("products · read phases · rows · columns · energy of one cell", "", ""),
    "ADC": Formula("products · read phases · columns · energy of one conversion", "", ""),
    "column periphery": Formula("products · columns · (phases · energy of a column + energy after them)", "", ""),
    REMAINDER: Formula("energy fitted to published points, above what the formulas of the parts give", "", ""),
    "fixed periphery": Formula("products · energy of one product that depends on nothing else", "", ""),
}  # fmt: skip
"""Component of the energy → its formula."""

TIME: Final[dict[str, Formula]] = {
    "bandwidth": Formula("bytes / (bandwidth · reached share)", "bytes", "byte"),
    "buffer": Formula("bytes in, out and held / (bandwidth of a unit's buffer · units)", "bytes", "byte"),
    "compute": Formula("operations / (peak rate · reached share · units)", "operations", ""),
    "dependent products": Formula("matrices one after the other · time of one product", "products", ""),
    "tile load": Formula("expected products of the busiest tile · time of one product", "products", ""),
    "kernel launches": Formula("kernels · time of one launch", "launches", ""),
    "vector work": Formula("operations / (vector rate · reached share · units) + launches", "operations", ""),
    "link latency": Formula("crossings one after the other · latency", "crossings", ""),
    "link bandwidth": Formula("bytes / (bandwidth of a pair of dies · pairs)", "bytes", "byte"),
    "exchange latency": Formula("2 crossings · latency, once per stage", "crossings", ""),
    "exchange bandwidth": Formula("bytes that each die sends / its bandwidth", "bytes", "byte"),
    "tile wake-up": Formula("time of one wake-up per stage", "wake-ups", ""),
}
"""Last words of the name of a resource → its formula."""

WAITS: Final = Formula(
    "time of a step with dependent products that queue at shared tiles, less that without", "products waited for", ""
)
AREA: Final = Formula("number of parts · area of one", "parts", "")
TRAFFIC: Final[dict[str, Formula]] = {
    "dense weights": Formula("weights read in a step · bytes of one / tokens of a step", "bytes", "byte"),
    "digital experts": Formula(
        "P(expert is active in a step) · its weights · bytes of one / tokens of a step", "bytes", "byte"
    ),
    "KV cache": Formula("cached elements read and written in a step · bytes of one / its tokens", "bytes", "byte"),
}
"""What is read → the formula of its bytes per token."""
UNKNOWN: Final = Formula("", "quantity", "")


def energy_formula(component: str) -> Formula:
    """The formula of a component of the energy; that of a tile's part says what it is a part of."""
    if component not in ENERGY and component in COMPONENTS:
        return Formula(f"products · energy of {component} in one product", "", "")
    return ENERGY.get(component, UNKNOWN)


def time_formula(resource: str) -> Formula:
    """The formula of the time of a resource, by the last words of its name."""
    ends = [end for end in TIME if resource.endswith(end)]
    return TIME[max(ends, key=len)] if ends else UNKNOWN
