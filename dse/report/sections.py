"""Tables of the report: front, energy, time, area, traffic, ceiling, accuracy, inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from dse.report.names import METRICS, axis_label, axis_value_text, metric, metric_text
from dse.report.run import Run
from dse.report.tables import MISSING, interval_text, percent_text, prefix_for, quantity_text, significant

FRONT_ROWS: Final = 24
FRONT_METRICS: Final = ("energy_pj_per_token", "latency_ns_per_step", "area_mm2", "sensitivity_share")
CEILING: Final[Mapping[str, tuple[str, str]]] = {
    "all_digital_tokens_per_s": ("Throughput, everything digital", "tokens_per_s"),
    "experts_free_tokens_per_s": ("Throughput if routed experts cost no time", "tokens_per_s"),
    "all_digital_tokens_per_j": ("Efficiency, everything digital", "tokens_per_j"),
    "speedup_limit": ("Largest possible speed-up", "×"),
    "energy_gain_limit": ("Largest possible energy gain", "×"),
    "bytes_per_token_all_digital": ("Bytes read per token, everything digital", "bytes"),
    "bytes_per_token_dense": ("of these: dense weights", "bytes"),
    "bytes_per_token_kv": ("of these: KV cache", "bytes"),
}
"""Key of the ceiling → label, unit."""


class Table(NamedTuple):
    """A table of the page: header, rows, how many columns at the left are names."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    n_names: int = 1


class Subject(NamedTuple):
    """One line of the header: what was read, its name, what matters of it, the first digits of its digest."""

    what: str
    name: str
    details: str
    digest: str


LENGTHS: Final = (
    ("batch", "batch"),
    ("context_tokens", "context"),
    ("prompt_tokens", "prompt"),
    ("new_tokens", "new"),
)
"""Key of a scenario → how the header calls it."""


def subjects(run: Run) -> tuple[Subject, ...]:
    """Architecture and workload; what of the scenario is swept is left out."""
    arch, workload, axes = run.manifest.architecture, run.manifest.workload, run.manifest.axes
    machine = [str(arch["composition"])] if "composition" in arch else []
    machine += [f"boundary: {arch['energy_boundary']}"] if "energy_boundary" in arch else []
    scenario = [str(workload["phase"])] if "phase" in workload else []
    for key, label in LENGTHS:
        if workload.get(key) is not None and f"scenario.{key}" not in axes:
            scenario.append(f"{label} {workload[key]}" + (" tokens" if key.endswith("tokens") else ""))
    return tuple(
        Subject(what, str(about.get("name", "not named")), ", ".join(details), str(about.get("digest", ""))[:16])
        for what, about, details in (("Architecture", arch, machine), ("Workload", workload, scenario))
    )


def axis_values(path: str, values: Sequence[object]) -> tuple[str, str]:
    """Label and values of a swept axis; of more than ten values the ends and their number."""
    texts = [axis_value_text(path, value) for value in values]
    if len(texts) > 10:
        return axis_label(path), f"{texts[0]} … {texts[-1]} ({len(texts)} values)"
    return axis_label(path), ", ".join(texts)


def front_table(run: Run, points: Sequence[int]) -> Table:
    """Settings and metrics of the designs of the front; constant axes are left out."""
    rows = run.ok.set_index("point").loc[list(points)]
    axes = [path for path in run.axes if run.points[path].nunique() > 1]
    names = [name for name in METRICS if name in FRONT_METRICS]
    names = [n for n in names if rows[n].notna().any() and (n != "area_mm2" or run.ok[n].nunique() > 1)]
    body = []
    for point, row in rows.iterrows():
        settings = [axis_value_text(path, row[path]) for path in axes]
        numbers = [metric_text(name, float(row[name])) for name in names]
        low, high = float(row["loss_increase_low"]), float(row["loss_increase_high"])
        loss = interval_text(float(row["loss_increase_nats"]), low, high, "nats")
        body.append((f"#{point}", *settings, *numbers, *([loss] if run.is_measured else [])))
    header = ("Design", *[axis_label(path) for path in axes], *[metric(name).label for name in names])
    if run.is_measured:
        header = (*header, METRICS["loss_increase_nats"].label)
    return Table("Designs on the front", header, tuple(body))


def parts_table(
    frame: pd.DataFrame, points: Mapping[str, int], *, by: str, value: str, unit: str, title: str, total: str = "Total"
) -> Table:
    """One quantity by part for several designs, each with its share, largest of the last design first.

    Args:
        frame: long table with `point`, `by` and `value`.
        points: title of a column → design.
        by: column of the parts.
        value: column of the quantity.
        unit: its unit, a key of `PREFIXES`.
        title: title of the table.
        total: name of the last line; none where empty.
    """
    wide = frame.pivot_table(index=by, columns="point", values=value, aggfunc="sum", sort=False).fillna(0.0)
    kept = {name: point for name, point in points.items() if point in wide.columns}
    if not kept:
        return Table(title, (), ())
    wide = wide[list(dict.fromkeys(kept.values()))]
    wide = wide[(wide != 0).any(axis=1)].sort_values(by=list(wide.columns)[-1], ascending=False, kind="stable")
    sums = wide.sum()
    factor, symbol = prefix_for(float(sums.median()), unit)
    header = [f"[{symbol}]"]
    for name in kept:
        header += [name, "%"] if total else [name]
    rows = []
    for part, numbers in wide.iterrows():
        cells = [str(part)]
        for point in kept.values():
            share = numbers[point] / sums[point] if sums[point] else 0.0
            cells += [significant(numbers[point] / factor), f"{share * 100:.1f}"][: 2 if total else 1]
        rows.append(tuple(cells))
    if total:
        rows.append((total, *[t for p in kept.values() for t in (significant(sums[p] / factor), "100")]))
    return Table(title, tuple(header), tuple(rows))


def traffic_table(run: Run, point: int | None) -> Table:
    """Bytes per token that a design reads, against the same machine with everything digital."""
    rows = run.traffic[run.traffic["point"] == point]
    body = tuple(
        (str(r["memory"]), str(r["what"]), quantity_text(float(r["bytes_per_token"]), "bytes"),
         quantity_text(float(r["all_digital_bytes_per_token"]), "bytes"))
        for r in rows.to_dict("records")
    )  # fmt: skip
    return Table("Memory traffic per token", ("Memory", "What", "This design", "All digital"), body, n_names=2)


def ceiling_table(run: Run) -> Table:
    """The most that analog experts could gain on this machine."""
    body = []
    for key, (label, unit) in CEILING.items():
        number = run.manifest.ceiling.get(key)
        if number is not None:
            text = f"{significant(number)}×" if unit == "×" else quantity_text(number, unit)
            body.append((label, text))
    return Table("Ceiling", ("Limit", "Value"), tuple(body))


def ceiling_sentence(run: Run) -> str:
    """How much could be gained at most, in one sentence."""
    ceiling = run.manifest.ceiling
    speed, energy = ceiling.get("speedup_limit"), ceiling.get("energy_gain_limit")
    if speed is None and energy is None:
        return "The run states no ceiling."
    gains = [f"{significant(speed)}× the speed"] if speed is not None else []
    gains += [f"{significant(energy)}× less energy"] if energy is not None else []
    text = f"Even if the routed experts cost nothing, this machine would reach at most {' and '.join(gains)}"
    whole = ceiling.get("bytes_per_token_all_digital", 0.0)
    rest = ceiling.get("bytes_per_token_dense", 0.0) + ceiling.get("bytes_per_token_kv", 0.0)
    if whole > 0 and rest > 0:
        text += f", because dense weights and KV cache are {percent_text(rest / whole)} of the bytes it reads per token"
    return text + "."


def accuracy_table(run: Run, design: pd.Series[Any] | None) -> Table:
    """Metrics of one design under noise against the digital model, one line per metric and noise scale."""
    header = ("Metric", "Noise", "Digital", "Under noise [95 %]", "Change [95 %]", "Pairs")
    if design is None or pd.isna(design["loss_increase_nats"]):
        return Table("", header, ())
    labels = {"loss_nats": ("Loss", "nats"), "perplexity": ("Perplexity", ""), "top1_fraction": ("Top-1", "fraction"),
              "multiple_choice_fraction": ("Multiple choice", "fraction")}  # fmt: skip
    body = []
    for row in _measurements(run, design).to_dict("records"):
        label, unit = labels.get(str(row["metric"]), (str(row["metric"]), ""))
        mean, change = (
            interval_text(float(row[names[0]]), float(row[names[1]]), float(row[names[2]]), unit)
            for names in (("mean", "low", "high"), ("increase", "increase_low", "increase_high"))
        )
        digital = quantity_text(float(row["digital"]), unit)
        body.append((label, f"{float(row['scale']):g}×", digital, mean, change, f"{int(row['n_pairs'])}"))
    return Table(f"Accuracy of design #{design['point']}", header, tuple(body))


def _measurements(run: Run, design: pd.Series[Any]) -> pd.DataFrame:
    """Rows of the summary that hold for a design: same mapping and, of several measured settings, the same loss."""
    rows: pd.DataFrame = run.accuracy_summary[run.accuracy_summary["mapping_id"] == design["mapping_id"]]
    if "point" not in rows or rows["point"].nunique() < 2:
        return rows
    same = (rows["metric"] == "loss_nats") & np.isclose(rows["increase"], float(design["loss_increase_nats"]))
    kept: pd.DataFrame = rows[rows["point"].isin(rows.loc[same, "point"].head(1))]
    return kept


class Input(NamedTuple):
    """One input value with its source."""

    path: str
    value: str
    evidence: str
    source: str
    place: str


def inputs(run: Run) -> tuple[Input, ...]:
    """All input values with source and evidence, by path."""
    rows = []
    listed = run.provenance.sort_values("path", kind="stable").astype(object).fillna("")
    for row in listed.to_dict("records"):
        place = f"{row['file']}:{str(row['line']).removesuffix('.0')}".rstrip(":")
        value = f"{row['value']} {row['unit']}".strip() or MISSING
        rows.append(Input(str(row["path"]), value, str(row["evidence"]), str(row["source"]), place))
    return tuple(rows)
