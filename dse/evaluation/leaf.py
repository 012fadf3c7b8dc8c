"""Leaves of a tree: the stated values a part is proportional to, the quantity they multiply, and all its inputs."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dse.evaluation.formulas import Formula
from dse.evaluation.influence import ROUNDING, Influence, origin_at
from dse.evaluation.source import origin_of
from dse.evaluation.tree import UNSTATED, Factor, Input, Node
from dse.spec.architecture import Architecture
from dse.spec.descriptions import field_descriptions
from dse.spec.provenance import Provenance
from dse.spec.values import value_at
from dse.units import at_point, unit_of
from dse.workload.build import Workload, is_of_workload

Array = NDArray[np.float64]
EXACT: Final = 1e-9
DEFAULT: Final = "default"
"""Where a value stands that no file states."""
COUNTS: Final = ("count", "tiles_per_die", "units_per_die")
"""Inputs without a unit that count as factors."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Opened:
    """A design with what each of its inputs does: what its trees are made from."""

    arch: Architecture
    workload: Workload
    influence: Influence


def leaf(design: Opened, name: str, values: ArrayLike, unit: str, formula: Formula, *, path: str = "") -> Node:
    """A part without parts: the values it is proportional to, the quantity they multiply, and all its inputs."""
    array = np.asarray(values, dtype=np.float64)
    value = at_point(array)
    elasticities = design.influence.elasticities(array)
    inputs = {change.path: change.value for change in design.influence.changes}
    origins = {p: origin_or_default(design, p) for p in elasticities}
    terms = proportional(value, elasticities, inputs) or additive(design.influence, array) or [(value, {})]
    primary = path or least_supported(elasticities, origins)
    found = origin_of(design.arch, path) if path else origins.get(primary)
    return Node(
        name=name, value=value, unit=unit, rule="product", formula=formula.text,
        terms=tuple(
            (
                Factor(name=formula.quantity or "quantity", value=quantity, unit=formula.unit),
                *(
                    Factor(name=p, value=inputs[p], unit=unit_text(p), exponent=e,
                           origin=origin_or_default(design, p))
                    for p, e in prices.items()
                ),
            )
            for quantity, prices in terms
        ),
        primary=primary, primary_origin=found or UNSTATED,
        inputs=tuple(Input(path=p, value=inputs[p], elasticity=e, origin=origins[p]) for p, e in elasticities.items()),
    )  # fmt: skip


def origin_or_default(design: Opened, path: str) -> Provenance:
    """Where a value comes from; for one that the file leaves out, what the format says of its default."""
    stated = origin_at(design.arch, design.workload, path)
    if stated is not None or is_of_workload(path):
        return stated or Provenance(file=DEFAULT)
    above, _, last = path.rpartition(".")
    owner = value_at(design.arch, above) if above else design.arch
    kind: type = type(owner)
    texts = field_descriptions(kind) if dataclasses.is_dataclass(kind) else {}
    return Provenance(file=DEFAULT, source=" ".join(texts.get(last, "").split()) or None)


def least_supported(elasticities: dict[str, float], origins: dict[str, Provenance]) -> str:
    """Of the stated values that move a part most, how many there are of a thing left out, the one of least evidence."""
    known = {p: round(abs(e), 6) for p, e in elasticities.items() if is_price(p)}
    moving = {p: e for p, e in known.items() if p.rsplit(".", 1)[-1] not in COUNTS} or known
    most = [p for p, e in moving.items() if e == max(moving.values())]
    return min(most, key=lambda p: (is_supported(origins[p]), p), default="")


def is_supported(origin: Provenance) -> bool:
    """Whether something is said to support a value."""
    return origin.evidence not in (None, "assumed")


Terms = list[tuple[float, dict[str, int]]]
"""Quantity, and the exponent of each stated value."""


def proportional(value: float, elasticities: dict[str, float], inputs: dict[str, float]) -> Terms:
    """The stated values that a part is proportional or inversely proportional to, and the quantity that is left."""
    exponents = {p: round(e) for p, e in elasticities.items() if is_price(p) and abs(abs(e) - 1) < EXACT}
    if not exponents:
        return []
    return [(value / product_of(inputs, exponents), exponents)]


def additive(found: Influence, values: Array) -> Terms:
    """Products of a quantity and stated values that add up to the part; empty where they do not.

    An input that raises the part by a share of it is taken as a factor of that share, one that lowers it as a divisor;
    inputs of the same share belong to one product. That the shares add up says that they were taken rightly.
    """
    array = np.broadcast_to(values, (1 + len(found.changes),))
    products: list[tuple[float, dict[str, int]]] = []
    inputs = {change.path: change.value for change in found.changes}
    for change, after in zip(found.changes, array[1:].tolist(), strict=True):
        difference = after - float(array[0])
        if not is_price(change.path) or abs(difference) <= ROUNDING * abs(float(array[0])):
            continue
        exponent = 1 if difference > 0 else -1
        share = difference / (change.factor**exponent - 1)
        same = next((own for part, own in products if abs(part - share) <= EXACT * abs(float(array[0]))), None)
        if same is None:
            products.append((share, {change.path: exponent}))
        else:
            same[change.path] = exponent
    if not products or abs(sum(share for share, _ in products) - float(array[0])) > EXACT * abs(float(array[0])):
        return []
    return [(share / product_of(inputs, exponents), exponents) for share, exponents in products]


def product_of(inputs: dict[str, float], exponents: dict[str, int]) -> float:
    """The product of stated values."""
    return math.prod(inputs[path] ** exponent for path, exponent in exponents.items())


def is_price(path: str) -> bool:
    """Whether an input is a price, a rate, a share or a number of units: not the size of an array or a bit width."""
    *above, last = path.split(".")
    if last in COUNTS:
        return True
    return not last.endswith(("_tokens", "_bits", "_nm", "_v")) and unit_text(path) != "" and bool(above)


def unit_text(path: str) -> str:
    """Unit that a path states by its last key, or by the one above (``op_pj.fp16``)."""
    *above, last = path.split(".")
    return unit_of(last) or (unit_of(above[-1]) if above else None) or ""
