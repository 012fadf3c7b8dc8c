"""The verdict on a run: three designs worth a look, and what must be known before believing them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import pandas as pd

from dse.mapping.model import Mapping as Placement
from dse.report.names import METRICS, axis_label, axis_value_text, metric_text
from dse.report.run import Run
from dse.report.tables import arrow_text, percent_text, quantity_text, significant

SHOWN: Final = (
    "energy_pj_per_token", "latency_ns_per_step", "tokens_per_s", "area_mm2", "power_mw",
)  # fmt: skip


class CardRow(NamedTuple):
    """One metric of a card: name, value, how it compares to the reference, interval."""

    label: str
    value: str
    versus: str = ""
    interval: str = ""


class Card(NamedTuple):
    """One design of the verdict."""

    title: str
    point: int
    rows: tuple[CardRow, ...]
    settings: tuple[tuple[str, str, str], ...]
    """Swept axis, value here, value of the reference where it differs."""
    proof: str
    """How far the mapping is proven, in words."""
    is_proven: bool
    note: str


def pick_points(run: Run, knee: int | None) -> dict[str, int]:
    """Title of a card → design: lowest energy, lowest latency, knee; without evaluated designs none."""
    ok = run.ok
    if ok["energy_pj_per_token"].notna().sum() == 0:
        return {}
    titles = {"Lowest energy": "energy_pj_per_token", "Lowest latency": "latency_ns_per_step"}
    picked = {t: int(ok.sort_values(name, kind="stable")["point"].iloc[0]) for t, name in titles.items()}
    return picked if knee is None else {**picked, "Knee of the front": knee}


def make_card(run: Run, title: str, point: int) -> Card:
    """The card of one design, against the reference of the run."""
    design = run.design(point)
    assert design is not None, point
    reference = run.design(run.manifest.reference_point)
    rows = [
        CardRow(METRICS[name].label, metric_text(name, float(design[name])), _versus(design, reference, name))
        for name in SHOWN
        if pd.notna(design[name])
    ]
    rows.append(accuracy_row(design))
    mapping = run.mapping(str(design["mapping_id"]))
    settings = []
    for path in run.axes:
        here = axis_value_text(path, design[path])
        there = "" if reference is None else axis_value_text(path, reference[path])
        settings.append((axis_label(path), here, there if there != here else ""))
    return Card(
        title, point, tuple(rows), tuple(settings), proof_text(mapping), mapping is not None and is_proven(mapping),
        _scenario_note(run, design, reference),
    )  # fmt: skip


def accuracy_row(design: pd.Series[Any]) -> CardRow:
    """Loss increase with its interval where it was measured, else the score that stays on analog cores."""
    increase = float(design["loss_increase_nats"])
    if pd.notna(increase):
        low, high = (significant(float(design[f"loss_increase_{end}"])) for end in ("low", "high"))
        return CardRow("Loss increase", quantity_text(increase, "nats"), interval=f"[{low}, {high}]")
    share = float(design["sensitivity_share"])
    return CardRow("Sensitivity on analog", quantity_text(share, "fraction"))


def is_proven(mapping: Placement) -> bool:
    """Whether the optimality of a mapping is proven, at least within its gap."""
    return mapping.status in ("optimal", "within_gap")


def proof_text(mapping: Placement | None) -> str:
    """How far a mapping is proven, in words."""
    if mapping is None:
        return "The run kept no mapping of this design."
    if mapping.status == "optimal":
        return f"Mapping proven optimal for {mapping.objective}."
    if mapping.status == "within_gap":
        return f"Mapping proven within {significant(mapping.gap * 100)} % of the best possible {mapping.objective}."
    if mapping.status == "rule":
        return f"Mapping follows the rule “{mapping.objective}”; no optimality is claimed."
    if mapping.gap == float("inf"):
        return "Best mapping found before the time ran out; nothing is proven."
    return f"Best mapping found before the time ran out; at most {significant(mapping.gap * 100)} % from the optimum."


def caveats(run: Run, *, assumed_energy: Mapping[int, float]) -> list[str]:
    """What must be known before believing the numbers, one sentence each.

    Args:
        run: the run.
        assumed_energy: design → share of its energy that rests on assumed values.
    """
    manifest = run.manifest
    lines = []
    evidence = run.provenance["evidence"].fillna("")
    if len(evidence):
        n_assumed = int((evidence == "assumed").sum())
        n_silent = int((evidence == "").sum())
        silent = f", {n_silent} state no evidence" if n_silent else ""
        share = percent_text(n_assumed / len(evidence))
        lines.append(f"{n_assumed} of {len(evidence)} input values ({share}) are assumed{silent}.")
    if assumed_energy:
        low, high = min(assumed_energy.values()), max(assumed_energy.values())
        share = percent_text(low)
        if percent_text(high) != share:
            share += f" to {percent_text(high)}"
        lines.append(f"{share} of the energy of the designs above rests on assumed values.")
    lines.append(accuracy_sentence(run))
    counts = ", ".join(
        f"{manifest.count(s)} {s}" for s in ("ok", "infeasible", "failed", "pending") if manifest.count(s)
    )
    lines.append(f"{manifest.n_points} designs: {counts or 'none evaluated'}.")
    if manifest.energy_accounting:
        lines.append(f"Energy accounting: {manifest.energy_accounting.rstrip('.')}.")
    return lines


def accuracy_sentence(run: Run) -> str:
    """How accuracy was obtained: draws and intervals, or the rule of the score."""
    if not run.is_measured:
        return f"Accuracy was not measured; {score_sentence(run)}"
    pairs = sorted({int(n) for n in run.accuracy_summary["n_pairs"].dropna()})
    n_measured = int(run.points["loss_increase_nats"].notna().sum())
    if not pairs:
        return f"Accuracy was measured for {n_measured} of {run.manifest.n_points} designs."
    draws = f"{pairs[0]}" if len(pairs) == 1 else f"{pairs[0]} to {pairs[-1]}"
    return (
        f"Accuracy was measured for {n_measured} of {run.manifest.n_points} designs, each from {draws} antithetic "
        "pairs of simulated chips; intervals are 95 % Student-t over pair means, paired with the digital model."
    )


def banner(run: Run) -> str:
    """What stands above a report without measured accuracy."""
    if run.manifest.score.get("status") == "from_weights":
        return f"Accuracy not measured: {score_sentence(run)}"
    return f"No weights known: {score_sentence(run)} Accuracy not measured."


def score_sentence(run: Run) -> str:
    """Which rule the scores come from."""
    rule = str(run.manifest.score.get("rule", "an unnamed rule"))
    unit = str(run.manifest.score.get("unit", "1"))
    return f"scores come from the rule “{rule}”" + ("." if unit == "1" else f" [{unit}].")


def reasons(run: Run) -> list[tuple[str, str, int, str]]:
    """Status, reason up to its first colon, count, one full example; most frequent first."""
    bad = run.points[run.points["status"].isin(["infeasible", "failed"])]
    if bad.empty:
        return []
    heads = bad["reason"].str.split(":", n=1).str[0].str.strip().replace("", "no reason given")
    grouped = bad.assign(head=heads).groupby(["status", "head"], sort=True)["reason"].agg(["size", "first"])
    rows = [(str(s), str(h), int(n), str(t)) for (s, h), n, t in zip(grouped.index, *grouped.to_numpy().T, strict=True)]
    return sorted(rows, key=lambda row: (-row[2], row[0], row[1]))


def _versus(design: pd.Series[Any], reference: pd.Series[Any] | None, name: str) -> str:
    if reference is None or reference["point"] == design["point"]:
        return ""
    return arrow_text(float(design[name]), float(reference[name]))


def _scenario_note(run: Run, design: pd.Series[Any], reference: pd.Series[Any] | None) -> str:
    """Says so where the reference runs another scenario: the gain is then not the hardware's alone."""
    if reference is None:
        return ""
    if reference["point"] == design["point"]:
        return "This is the reference design."
    changed = [
        f"{axis_label(path)} {axis_value_text(path, reference[path])} → {axis_value_text(path, design[path])}"
        for path in run.axes
        if path.startswith(("scenario.", "routing.")) and reference[path] != design[path]
    ]
    return (
        f"The reference runs another scenario ({', '.join(changed)}): part of the change is due to that."
        if changed
        else ""
    )
