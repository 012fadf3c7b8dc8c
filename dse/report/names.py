"""One table of metric and axis names for text, axes of figures and columns of tables."""

from __future__ import annotations

import math
from numbers import Real
from typing import Final, Literal, NamedTuple

from dse.report.tables import MISSING, PREFIXES, quantity_text

Direction = Literal["min", "max"]


class Metric(NamedTuple):
    """How a metric is called, its unit (a key of `PREFIXES`), what it is counted per, which way is better."""

    label: str
    unit: str
    per: str
    better: Direction


METRICS: Final[dict[str, Metric]] = {
    "energy_pj_per_token": Metric("Energy", "pj", "/token", "min"),
    "latency_ns_per_step": Metric("Latency", "ns", "/step", "min"),
    "tokens_per_s": Metric("Throughput", "tokens_per_s", "", "max"),
    "tokens_per_j": Metric("Efficiency", "tokens_per_j", "", "max"),
    "area_mm2": Metric("Area", "mm2", "", "min"),
    "power_mw": Metric("Power", "mw", "", "min"),
    "sensitivity_share": Metric("Sensitivity on analog", "fraction", "", "min"),
    "loss_increase_nats": Metric("Loss increase", "nats", "/token", "min"),
}
"""Column → metric."""

_UNITS_BY_LENGTH: Final = sorted((unit for unit in PREFIXES if unit), key=len, reverse=True)
_COUNTED: Final = {"tokens", "bits"}
_LABELS: Final = {
    "mapping.digital_fraction": "digital experts",
    "scenario.batch": "batch",
    "scenario.context_tokens": "context",
    "scenario.prompt_tokens": "prompt",
    "scenario.new_tokens": "new tokens",
}


def metric(name: str) -> Metric:
    """The metric of a column; a column not in the table keeps its own name."""
    if name in METRICS:
        return METRICS[name]
    stem, unit = split_unit(name)
    return Metric(stem.replace("_", " "), unit, "", "min")


def metric_text(name: str, value: float) -> str:
    """A value of a metric with unit and what it is counted per.

    >>> metric_text("energy_pj_per_token", 4.16e7)
    '41.6 µJ/token'
    """
    found = metric(name)
    text = quantity_text(value, found.unit)
    return text if text == MISSING else text + found.per


def split_unit(name: str) -> tuple[str, str]:
    """A name without its unit suffix, and the unit.

    >>> split_unit("energy_pj"), split_unit("rows")
    (('energy', 'pj'), ('rows', ''))
    """
    for unit in _UNITS_BY_LENGTH:
        if name.endswith(f"_{unit}"):
            return name.removesuffix(f"_{unit}"), unit
    return name, ""


def axis_label(path: str) -> str:
    """A short name of a swept axis, without unit.

    >>> axis_label("analog_cores.pcm.cost.mvm.energy_pj"), axis_label("mapping.digital_fraction")
    ('pcm mvm energy', 'digital experts')
    """
    if path in _LABELS:
        return _LABELS[path]
    parts = path.split(".")
    stem, _ = split_unit(parts[-1])
    kept = [part for part in parts[1:-1] if part not in ("cost", "device")]
    return " ".join([*kept, stem]).replace("_", " ")


def axis_unit(path: str) -> str:
    """Unit of a swept axis, a key of `PREFIXES`."""
    return split_unit(path.rsplit(".", 1)[-1])[1]


def axis_value_text(path: str, value: object) -> str:
    """A value of a swept axis as text.

    >>> axis_value_text("mapping.digital_fraction", 0.125), axis_value_text("scenario.batch", 8.0)
    ('12.5 %', '8')
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        return MISSING if value is None else str(value)
    if math.isnan(float(value)):
        return MISSING
    unit = axis_unit(path)
    if unit in _COUNTED:
        return quantity_text(float(value), "")
    return quantity_text(float(value), unit)
